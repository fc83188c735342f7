"""Answers messages that came in: the menu, or what agent-core replies."""

import random
from typing import Any, Literal
from uuid import UUID

import structlog
from msgspec import Struct

from easymo_platform.runtime.breaker import BreakerOpen
from easymo_platform.runtime.client import Peer, PeerDown, PeerError
from easymo_platform.runtime.errors import DatabaseError
from easymo_platform.runtime.limits import RateLimits
from easymo_platform.runtime.logs import identify
from easymo_platform.whatsapp_webhook.conversation import BY_NAME, MENU, Service, asks_for_menu, service_for
from easymo_platform.whatsapp_webhook.model import Work
from easymo_platform.whatsapp_webhook.store import Conversation, MessageStore

RETRIES = 3
RETRY_BASE_S = 1.0
SESSION_MINUTES = 60
SCOPE = "agent:respond"

_log = structlog.get_logger(__name__)


class _Session(Struct):
    id: UUID


class _Reply(Struct):
    reply: str
    provider: str
    degraded: bool = False


def backoff_s(attempts: int, base_s: float = RETRY_BASE_S, most_s: float = 300.0) -> float:
    """Before the next attempt: doubled after each, and up to a tenth of a second by chance."""
    return float(min(most_s, base_s * 2**attempts)) + random.uniform(0, 0.1)


class Answerer:
    """Handles one claimed message. Whatever happens, it ends processed, postponed or a dead letter."""

    def __init__(self, store: MessageStore, agent: Peer, limits: RateLimits, per_minute: int) -> None:
        self._store = store
        self._agent = agent
        self._limits = limits
        self._per_minute = per_minute

    async def handle(self, work: Work) -> None:
        """Answer ``work``, or see to it that it is tried again."""
        identify(f"message-{work.id}")
        counted = await self._limits.hit(f"answers:{work.from_number}", self._per_minute)
        if counted is not None and counted.exceeded:
            await self._store.postpone_number(work, counted.resets_in_s)
            return
        try:
            await self._answer(work)
        except BreakerOpen as error:
            await self._store.postpone(work, error.retry_after_s, failed=False)
        except PeerError as error:
            await self._try_again(work, error, "timeout" if isinstance(error, PeerDown) else "refused")
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001
            # A defect of ours with this one message must not stop those behind it.
            _log.exception("answer_failed", message_id=str(work.id))
            await self._store.bury(work, repr(error), "defect")

    async def _answer(self, work: Work) -> None:
        text = work.body or ""
        conversation = await self._store.conversation(work.from_number)
        if asks_for_menu(text):
            conversation.leave()
            await self._store.answer(work, conversation, MENU, {"answered_by": "menu"})
            return
        conversation.choose(service_for(text, conversation.service))
        reply = await self._ask(work, conversation, text)
        answered_by = {"answered_by": reply.provider, "degraded": reply.degraded}
        if not await self._store.answer(work, conversation, reply.reply, answered_by):
            _log.info("claim_ran_out", message_id=str(work.id))

    async def _ask(self, work: Work, conversation: Conversation, text: str) -> _Reply:
        """What agent-core says; in a new session if there is none, or the old one has ended."""
        service = BY_NAME[conversation.service or "general_broker"]
        if conversation.session_id is not None:
            try:
                return await self._respond(work, conversation.session_id, service, text)
            except PeerError as error:
                if error.status not in (404, 409):
                    raise
        wanted = {
            "user_id": conversation.user_id,
            "flow_type": service.flow_type,
            "agent_kind": service.agent_kind,
            "request_data": {"channel": "whatsapp", "service": service.name},
            "window_minutes": SESSION_MINUTES,
        }
        session = await self._agent.post("/sessions", wanted, _Session, scope=SCOPE, idempotency_key=str(work.id))
        conversation.session_id = session.id
        return await self._respond(work, session.id, service, text)

    async def _respond(self, work: Work, session_id: UUID, service: Service, text: str) -> _Reply:
        message: dict[str, Any] = {"session_id": session_id, "agent_kind": service.agent_kind, "message": text or "?"}
        return await self._agent.post("/respond", message, _Reply, scope=SCOPE, idempotency_key=str(work.id))

    async def _try_again(self, work: Work, error: PeerError, kind: Literal["timeout", "refused"]) -> None:
        if work.attempts >= RETRIES:
            await self._store.bury(work, str(error), kind)
            _log.warning("message_buried", message_id=str(work.id), problem=str(error))
        else:
            await self._store.postpone(work, backoff_s(work.attempts), failed=True)
