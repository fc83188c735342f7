"""Answers messages that came in: the menu, a fixed sentence, a person of the team, or what agent-core replies."""

import random
from typing import Any, Literal
from uuid import UUID

import structlog
from msgspec import Struct

from easymo_platform.runtime.breaker import BreakerOpen
from easymo_platform.runtime.client import Peer, PeerBusy, PeerDown, PeerError
from easymo_platform.runtime.errors import DatabaseError
from easymo_platform.runtime.limits import RateLimits
from easymo_platform.runtime.logs import identify
from easymo_platform.whatsapp_webhook import conversation as words
from easymo_platform.whatsapp_webhook.conversation import BY_NAME, MENU, MENU_LIST, Service
from easymo_platform.whatsapp_webhook.kinds import Reading, read
from easymo_platform.whatsapp_webhook.model import Work
from easymo_platform.whatsapp_webhook.provider import OutcomeUnknown, Provider, Refused
from easymo_platform.whatsapp_webhook.store import Change, Conversation, MessageStore, Reply

RETRIES = 3
RETRY_BASE_S = 1.0
SESSION_MINUTES = 60
SCOPE = "agent:respond"

_READ_ONLY_PART = f"I have read the first {words.TEXT_MOST:,} characters of your message."
_menu = Reply(MENU, "interactive", {"interactive": MENU_LIST})

_log = structlog.get_logger(__name__)


class _Session(Struct):
    id: UUID


class _AgentReply(Struct):
    reply: str
    provider: str
    degraded: bool = False


def backoff_s(attempts: int, base_s: float = RETRY_BASE_S, most_s: float = 300.0) -> float:
    """Before the next attempt: doubled after each, and up to a tenth of a second by chance."""
    return float(min(most_s, base_s * 2**attempts)) + random.uniform(0, 0.1)


class Answerer:
    """Handles one claimed message. Whatever happens, it ends processed, postponed or a dead letter.

    "Later" (a 429 or 503, an open breaker, no connection) is no attempt: the message waits as long as it was told to
    and is never given up for it. An attempt is a question that was asked and went wrong.
    """

    def __init__(
        self, store: MessageStore, agent: Peer, provider: Provider, limits: RateLimits, per_minute: int
    ) -> None:
        self._store = store
        self._provider = provider
        self._agent = agent
        self._limits = limits
        self._per_minute = per_minute

    async def handle(self, work: Work) -> None:
        """Answer `work`, or see to it that it is tried again."""
        identify(f"message-{work.id}")
        counted = await self._limits.hit(f"answers:{work.from_number}", self._per_minute)
        if counted is not None and counted.exceeded:
            await self._store.postpone_number(work, counted.resets_in_s)
            return
        try:
            if not await self._answer(work):
                _log.info("claim_ran_out", message_id=str(work.id))
        except (BreakerOpen, PeerBusy) as error:
            await self._store.postpone(work, error.retry_after_s + random.uniform(0, 1), failed=False)
        except PeerError as error:
            await self._try_again(work, error, "timeout" if isinstance(error, PeerDown) else "refused")
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001
            # A defect of ours with this one message must not stop those behind it.
            _log.exception("answer_failed", message_id=str(work.id))
            await self._store.bury(work, repr(error), "defect")

    async def _answer(self, work: Work) -> bool:
        """False when the claim has run out."""
        reading = read(work.message_type, work.payload)
        conversation = await self._store.conversation(work.from_number)
        if reading.revokes:
            await self._store.forget(reading.revokes, work.from_number)
        await self._mark_read(work)
        if reading.handling == "read":
            return await self._store.answer(work, conversation, [])
        fixed = self._fixed(reading, conversation)
        if fixed is not None:
            replies, change = fixed
            return await self._store.answer(work, conversation, replies, change)
        text = reading.body or work.body or ""
        conversation.choose(words.service_for(text, conversation.service))
        reply = await self._ask(work, conversation, text[: words.TEXT_MOST])
        said = reply.reply if len(text) <= words.TEXT_MOST else f"{reply.reply}\n\n{_READ_ONLY_PART}"
        by = {"answered_by": reply.provider, "degraded": reply.degraded}
        return await self._store.answer(work, conversation, [Reply(part, "text", by) for part in words.in_parts(said)])

    async def _mark_read(self, work: Work) -> None:
        """The two blue ticks: the person sees that somebody has it. A mark that fails is not worth a second attempt."""
        try:
            await self._provider.mark_read(work)
        except (Refused, OutcomeUnknown) as error:
            _log.debug("not_marked_read", message_id=str(work.id), problem=str(error))

    def _fixed(self, reading: Reading, conversation: Conversation) -> tuple[list[Reply], Change | None] | None:
        """What is answered without the agent; None for a question to it."""
        text = reading.body
        # The same words come as text, as the title of a button and as the payload of a template's button.
        said = (text, reading.choice)
        if any(map(words.wants_no_more, said)):
            return [_sentence(words.OPTED_OUT)], Change(opting="out")
        if any(map(words.wants_more, said)):
            return [_sentence(words.OPTED_IN), *self._back_to_menu(conversation)], Change(opting="in")
        if conversation.handed_over:
            return [], None
        if any(map(words.asks_for_a_person, said)):
            return [_sentence(words.HANDED_OVER)], Change(hand_over=text or "asked for a person")
        if reading.handling == "acknowledge":
            return [_sentence(reading.reply)], None
        if words.asks_for_menu(text):
            return self._back_to_menu(conversation), None
        # Before the first question of a service a number still chooses; afterwards it may answer what the agent asked.
        active = conversation.service if conversation.session_id is not None else None
        service = words.chosen(text, reading.choice, active)
        if service is not None:
            conversation.choose(service)
            return [_sentence(service.opening)], None
        if active is None and words.number_in(text) is not None:
            return [_sentence(words.OUT_OF_RANGE)], None
        return None

    def _back_to_menu(self, conversation: Conversation) -> list[Reply]:
        conversation.leave()
        return [_menu]

    async def _ask(self, work: Work, conversation: Conversation, text: str) -> _AgentReply:
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

    async def _respond(self, work: Work, session_id: UUID, service: Service, text: str) -> _AgentReply:
        message: dict[str, Any] = {"session_id": session_id, "agent_kind": service.agent_kind, "message": text or "?"}
        return await self._agent.post("/respond", message, _AgentReply, scope=SCOPE, idempotency_key=str(work.id))

    async def _try_again(self, work: Work, error: PeerError, kind: Literal["timeout", "refused"]) -> None:
        never = 400 <= error.status < 500 and error.status != 408
        if work.attempts >= RETRIES or never:
            await self._store.bury(work, str(error), kind)
            _log.warning("message_buried", message_id=str(work.id), problem=str(error))
        else:
            await self._store.postpone(work, backoff_s(work.attempts), failed=True)


def _sentence(text: str) -> Reply:
    return Reply(text, "text", {"answered_by": "menu"})
