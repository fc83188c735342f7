"""Messages and dead letters in Postgres. Raises DatabaseError when Postgres fails."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from msgspec import Struct
from msgspec.json import encode
from prometheus_client import Counter

from easymo_platform.runtime.database import Database, Session
from easymo_platform.runtime.errors import ServiceError
from easymo_platform.runtime.identity import uuid7
from easymo_platform.whatsapp_webhook.conversation import Service
from easymo_platform.whatsapp_webhook.model import (
    DeadLetter,
    Decided,
    Message,
    Outgoing,
    Queued,
    Unsent,
    UnsentMessage,
    Work,
)

WINDOW = timedelta(hours=24)
"""How long after a person's last message free text may be sent to them."""


def reply_id(message_id: UUID, part: int = 0) -> UUID:
    """Id of a reply to a message, or of a further part of it: it can only be written once, whoever writes it."""
    return uuid5(NAMESPACE_URL, f"easymo:whatsapp/reply:{message_id}{f'/{part}' if part else ''}")


class Reply(Struct, frozen=True):
    """What goes back to a person: text, or with `message_type` `interactive` or `read` what `payload` holds."""

    body: str
    message_type: str = "text"
    payload: dict[str, Any] = {}


class Change(Struct, frozen=True):
    """What an answer changes beside the conversation: an opt-out (`out`, `in`), a hand-over and its reason."""

    opting: Literal["", "out", "in"] = ""
    hand_over: str = ""


class Conversation:
    """Where a phone number stands; ``service`` and ``session_id`` are ``None`` until one was chosen."""

    def __init__(
        self, user_id: UUID, service: str | None, session_id: UUID | None, *, handed_over: bool = False
    ) -> None:
        self.user_id = user_id
        self.service = service
        self.session_id = session_id
        self.handed_over = handed_over

    def choose(self, service: Service) -> None:
        """Go on with another service, in a session of its own."""
        if service.name != self.service:
            self.service, self.session_id = service.name, None

    def leave(self) -> None:
        """Back to the menu."""
        self.service = self.session_id = None


class MessageStore:
    """What the API and the worker read and write, but for the ingest."""

    def __init__(self, database: Database, messages: Counter) -> None:
        self.database = self._database = database
        self._messages = messages

    # What the worker does with messages that came in

    async def claim_inbound(self, limit: int, lease_s: float) -> list[Work]:
        """Up to ``limit`` messages, oldest first, at most one of each phone number."""
        rows = await self._database.fetch("claim_inbound", limit=limit, lease=timedelta(seconds=lease_s))
        return [Work(**row) for row in rows]

    async def conversation(self, phone_number: str) -> Conversation:
        """Where this person stands; one that we did not know becomes a user."""
        row = await self._database.fetch_row("conversation", phone_number=phone_number)
        assert row is not None, "the insert returns the user that was there, too"
        return Conversation(
            row["user_id"], row["active_service"], row["agent_session_id"], handed_over=row["handed_over"]
        )

    async def answer(
        self, work: Work, conversation: Conversation, replies: Sequence[Reply], change: Change | None = None
    ) -> bool:
        """In one statement: the message is processed and its replies are queued. False if the claim has run out."""
        given = [
            {
                "id": reply_id(work.id, part),
                "message_type": reply.message_type,
                "body": reply.body or None,
                "payload": {**reply.payload, "in_reply_to": str(work.id)},
            }
            for part, reply in enumerate(replies)
        ]
        row = await self._database.fetch_row(
            "answer",
            message_id=work.id,
            lease=work.next_attempt_at,
            user_id=conversation.user_id,
            replies=encode(given).decode(),
            active_service=conversation.service,
            agent_session_id=conversation.session_id,
            opting=change.opting if change else "",
            reason=change.hand_over if change else "",
        )
        if row is None:
            return False
        self.count("inbound", "processed")
        for _ in range(row["replies"]):
            self.count("outbound", "pending")
        return True

    async def forget(self, wamid: str, sender: str) -> None:
        """Delete the words of a message that its sender has deleted."""
        await self._database.fetch("forget_message", wamid=wamid, from_number=sender)

    async def postpone(self, work: Work, delay_s: float, *, failed: bool) -> None:
        """Give the message back, due again after the delay."""
        delay = timedelta(seconds=delay_s)
        await self._database.fetch(
            "postpone", message_id=work.id, lease=work.next_attempt_at, delay=delay, failed=int(failed)
        )

    async def postpone_number(self, work: Work, delay_s: float) -> None:
        """Give the message back and let the whole number wait."""
        await self.postpone(work, delay_s, failed=False)
        delay = timedelta(seconds=delay_s)
        await self._database.fetch("postpone_number", phone_number=work.from_number, delay=delay)

    async def bury(self, work: Work, error: str, error_type: str, code: int | None = None) -> None:
        """The message has failed for good: in one transaction it is marked so and becomes a dead letter."""
        async with self._database.session() as session, session.connection.transaction():
            if await self._set_failed(session, work, code, error_type):
                await session.fetch(
                    "bury", dead_letter_id=uuid7(), message_id=work.id, error=error, error_type=error_type
                )

    # What the worker does with messages that go out

    async def claim_outbound(self, limit: int, lease_s: float) -> list[Work]:
        """Up to ``limit`` messages to send, oldest first, at most one to each phone number."""
        lease = timedelta(seconds=lease_s)
        rows = await self._database.fetch("claim_outbound", limit=limit, lease=lease, heard_after=lease / 2)
        return [Work(**row) for row in rows]

    async def set_accepted(self, work: Work, wamid: str) -> None:
        """The provider has the message and calls it ``wamid``."""
        if await self._database.fetch_row("set_accepted", message_id=work.id, wamid=wamid):
            self.count("outbound", "accepted")

    async def count_unknown_outcome(self, work: Work) -> None:
        """Perhaps it was sent, perhaps not: only the provider's callbacks, or their absence, will tell."""
        await self._database.fetch("count_unknown_outcome", message_id=work.id, lease=work.next_attempt_at)

    async def refuse(self, work: Work, code: int, title: str) -> None:
        """The provider will never take this message."""
        async with self._database.session() as session:
            await self._set_failed(session, work, code, title)

    async def simulated_under_way(self) -> list[dict[str, Any]]:
        """Simulated messages that were not read yet."""
        return [dict(row) for row in await self._database.fetch("simulated_under_way")]

    async def queue_depth(self) -> dict[str, Any]:
        """Pending messages per direction, the oldest one that is due, and what waits for a person of the team."""
        async with self._database.session() as session:
            depth = await session.fetch_row("queue_depth")
            waiting = await session.fetch_row("for_a_person")
        assert depth is not None
        assert waiting is not None
        return {**depth, **waiting}

    # What the API does

    async def queue(
        self, message_id: UUID, outgoing: Outgoing, from_number: str, phone_number_id: str, *, answers: bool = False
    ) -> Queued:
        """Queue a message of our own; `answers`: it belongs to a conversation that a person has taken over.

        Raises the 409 for text beyond the 24-hour window, for somebody who wants no messages, and for an id that was
        used for another message.
        """
        columns = outgoing.columns()
        if answers:
            columns["payload"] = {"answers": True}
        row = await self._database.fetch_row(
            "queue_outbound",
            message_id=message_id,
            from_number=from_number,
            phone_number_id=phone_number_id,
            answers=answers,
            **columns,
        )
        if row is not None and row["queued"]:
            self.count("outbound", "pending")
            return Queued(message_id)
        earlier = await self._database.fetch_row("outbound_by_id", message_id=message_id)
        if earlier is not None:
            if dict(earlier) != columns:
                raise ServiceError(409, "idempotency_key_reused", "This Idempotency-Key was used for another message.")
            return Queued(message_id)
        if row is not None and row["opted_out"]:
            raise ServiceError(
                409, "opted_out", "This person wants no messages (STOP). They may undo it by writing START."
            )
        raise ServiceError(
            409, "outside_window", "This number has not written to us for 24 hours: send a template instead."
        )

    async def by_id(self, message_id: UUID) -> Message:
        """One message; raises the 404 for an unknown one."""
        row = await self._database.fetch_row("message_by_id", message_id=message_id)
        if row is None:
            raise ServiceError(404, "message_not_found", f"There is no message {message_id}.")
        return Message(**row)

    async def unsent(self, *, oldest: bool) -> Unsent:
        """What is pending or failed: the oldest 100, or all of the last hour."""
        async with self._database.session() as session:
            if oldest:
                rows = await session.fetch("oldest_unsent_messages")
            else:
                rows = await session.fetch("unsent_messages_of_last_hour")
            counts = await session.fetch("undelivered_messages_by_status")
        by_status = {row["status"]: row["messages"] for row in counts}
        return Unsent([UnsentMessage(**row) for row in rows], by_status)

    async def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Dead letters that wait for a decision, oldest first."""
        return [DeadLetter(**row) for row in await self._database.fetch("dead_letters", limit=limit)]

    async def retry(self, dead_letter_id: UUID) -> Decided:
        """Let its message be handled again. Raises the 404 for an unknown one, the 409 if that cannot be done."""
        if await self._database.fetch_row("retry_dead_letter", dead_letter_id=dead_letter_id) is None:
            raise await self._undecidable(dead_letter_id)
        return Decided(dead_letter_id, "processing")

    async def discard(self, dead_letter_id: UUID) -> Decided:
        """Give its message up. Raises the 404 for an unknown one, the 409 if it was decided already."""
        if await self._database.fetch_row("discard_dead_letter", dead_letter_id=dead_letter_id) is None:
            raise await self._undecidable(dead_letter_id)
        return Decided(dead_letter_id, "discarded")

    async def events_to_act_on(self, limit: int = 100) -> list[dict[str, Any]]:
        """What Meta reported and nobody has looked at yet, oldest first."""
        return [dict(row) for row in await self._database.fetch("events_to_act_on", limit=limit)]

    async def acknowledge_event(self, event_id: UUID) -> bool:
        """Somebody has looked at it. False for one that is unknown or was noted before."""
        return await self._database.fetch_row("acknowledge_event", event_id=event_id) is not None

    def count(self, direction: str, status: str) -> None:
        """Count a message that came to a status."""
        self._messages.labels("whatsapp-webhook", direction, status).inc()

    async def _undecidable(self, dead_letter_id: UUID) -> ServiceError:
        row = await self._database.fetch_row("dead_letter_status", dead_letter_id=dead_letter_id)
        if row is None:
            return ServiceError(404, "dead_letter_not_found", f"There is no dead letter {dead_letter_id}.")
        status = "pending, but its message is no longer there" if row["status"] == "pending" else row["status"]
        return ServiceError(409, "already_decided", f"The dead letter is {status}.")

    async def _set_failed(self, session: Session, work: Work, code: int | None, title: str) -> bool:
        row = await session.fetch_row(
            "set_failed", message_id=work.id, lease=work.next_attempt_at, error_code=code, error_title=title
        )
        if row is not None:
            self.count("inbound" if work.wamid else "outbound", "failed")
        return row is not None


def within_window(last_inbound_at: datetime | None) -> bool:
    """Whether free text may still be sent to somebody who wrote then."""
    return last_inbound_at is not None and datetime.now(UTC) - last_inbound_at < WINDOW
