"""Replies: by the language model, by rules, or by rules because the model failed."""

from time import perf_counter
from typing import Any
from uuid import UUID, uuid5

import structlog
from prometheus_client import Counter, Histogram

from easymo_platform.agent_core import rules
from easymo_platform.agent_core.llm import LanguageModel, ModelFailed
from easymo_platform.agent_core.model import Question, Reply, Turn
from easymo_platform.agent_core.settings import AgentSettings
from easymo_platform.agent_core.store import SessionStore, is_live, session_ended
from easymo_platform.agent_core.tools import Tools
from easymo_platform.runtime.breaker import BreakerOpen
from easymo_platform.runtime.errors import ServiceError

CONTEXT_TURNS = 20
CUT = "(My answer was too long and ends here. Ask me to go on.)"

_log = structlog.get_logger(__name__)


class AgentCore:
    """One per process; the routes call it."""

    def __init__(
        self,
        settings: AgentSettings,
        store: SessionStore,
        tools: Tools,
        model: LanguageModel | None,
        responses: Counter,
        seconds: Histogram,
    ) -> None:
        self.settings = settings
        self.store = store
        self.tools = tools
        self._model = model
        self._responses = responses
        self._seconds = seconds

    def require(self, feature: str, *, on: bool) -> None:
        """Raises the 403 for a feature that is switched off."""
        if not on:
            name = feature.upper().replace(".", "_")
            raise ServiceError(403, "feature_off", f"{feature} is switched off here (FEATURE_{name}).")

    async def respond(self, question: Question, question_id: UUID, *, again: bool) -> Reply:
        """Answer in a live session; the same `question_id` gets the same answer, however often it is asked.

        `again`: it may have been asked before. Raises the 404 for an unknown session, the 409 for one that has ended
        or an id that was used for another question, the 502 or 504 when the model fails and must not be replaced.
        """
        session = await self.store.cached(question.session_id)
        reply_id = uuid5(question_id, "reply")
        if again:
            earlier = await self.store.earlier_reply(session.id, question_id, reply_id, question.message)
            if earlier is not None:
                return earlier
        if not is_live(session):
            raise session_ended(session)
        started = perf_counter()
        reply, tokens_in, tokens_out = await self._reply(question)
        elapsed_s = perf_counter() - started
        self._seconds.labels("agent-core", reply.provider).observe(elapsed_s)
        columns: dict[str, Any] = {
            "question_id": question_id,
            "question": question.message,
            "reply_id": reply_id,
            "reply": reply.reply,
            "provider": reply.provider,
            "model": reply.model,
            "latency_ms": round(1000 * elapsed_s),
            "tokens_in": tokens_in,
            "tokens_out": tokens_out,
            "metadata": {"degraded": reply.degraded, "suggestions": reply.suggestions},
        }
        if not await self.store.record(session.id, columns):
            earlier = await self.store.earlier_reply(session.id, question_id, reply_id, question.message)
            return earlier or reply
        return reply

    async def _reply(self, question: Question) -> tuple[Reply, int | None, int | None]:
        degraded = False
        if self._model is not None:
            try:
                turns = await self._turns(question)
                completion = await self._model.complete(question.agent_kind, turns, question.toolkit.model)
            except (ModelFailed, BreakerOpen) as error:
                _log.warning("model_failed", problem=str(error))
                self._responses.labels("agent-core", "openai", "failed").inc()
                if not self.settings.agent_fallback:
                    timed_out = isinstance(error, ModelFailed) and error.timed_out
                    raise ServiceError(
                        504 if timed_out else 502, "provider_failed", "The language model gave no answer."
                    ) from error
                degraded = True
            else:
                self._responses.labels("agent-core", "openai", "ok").inc()
                model = completion.model or self.settings.agent_model
                text = f"{completion.text} …\n{CUT}" if completion.cut else completion.text
                return Reply(text, "openai", model), completion.tokens_in, completion.tokens_out
        text, suggestions = rules.reply_by_rules(question.agent_kind, question.message)
        self._responses.labels("agent-core", rules.PROVIDER, "degraded" if degraded else "ok").inc()
        suggestions = suggestions if question.toolkit.suggestions else []
        return Reply(text, rules.PROVIDER, rules.MODEL, degraded, suggestions), None, None

    async def _turns(self, question: Question) -> list[Turn]:
        if question.history is not None:
            history = list(question.history)
        else:
            stored = await self.store.messages(question.session_id, CONTEXT_TURNS)
            history = [Turn(message.role, message.content) for message in stored.messages]
        return [*history, Turn("user", question.message)]
