"""Messages: what clients send and get, and what a worker has claimed. Pure."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct, field, to_builtins

MessageStatus = Literal[
    "pending", "processing", "processed", "skipped", "accepted", "sent", "delivered", "read", "failed"
]

FINAL = frozenset({"processed", "skipped", "read"})
"""A message that came to one of these never changes again."""


class Accepted(Struct, frozen=True):
    """Answer to a webhook: everything in it is stored. Duplicates are counted in ``messages`` and ``statuses`` too."""

    messages: int
    statuses: int
    duplicates: int
    status: Literal["accepted"] = "accepted"


Recipient = Annotated[
    str, Meta(pattern=r"^(\+[1-9][0-9]{6,14}|[A-Za-z]{2}\.[\w.\-]{1,200})$", examples=["+250700000001"])
]


class Text(Struct, frozen=True, forbid_unknown_fields=True):
    """A text to send."""

    body: Annotated[str, Meta(min_length=1, max_length=4096)]


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """A message that Meta has approved: it may also be sent more than 24 hours after the last one received.

    `components` fill its parameters, in the form of the Cloud API.
    """

    name: Annotated[str, Meta(min_length=1, max_length=512)]
    language: Annotated[str, Meta(min_length=2, max_length=16)] = "en"
    components: Annotated[list[dict[str, Any]], Meta(max_length=20)] = []


class Outgoing(Struct, frozen=True, forbid_unknown_fields=True):
    """A message to send: `text` or `template`, as `type` says. `to` is a number or a business-scoped id of Meta's."""

    to: Recipient
    type: Literal["text", "template"]
    text: Text | None = None
    template: Template | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.type == "text") or (self.template is None) == (self.type == "template"):
            raise ValueError("give exactly what type names: text or template")

    def columns(self) -> dict[str, Any]:
        """The message as it is stored; two messages are the same when these are."""
        template = self.template
        return {
            "to_number": self.to,
            "message_type": self.type,
            "body": self.text.body if self.text else None,
            "payload": {"template": to_builtins(template)} if template else {},
        }


class Queued(Struct, frozen=True):
    """Answer to :class:`Outgoing`."""

    id: UUID
    status: str = "pending"


class MessageSummary(Struct, frozen=True):
    """A message as it stands in lists."""

    id: UUID
    wamid: str | None
    user_id: UUID | None
    direction: Literal["inbound", "outbound"]
    from_number: str
    to_number: str
    message_type: str
    body: str | None
    status: MessageStatus
    created_at: datetime


class MessageList(Struct, frozen=True):
    """A page of messages, newest first. ``next``, given as ``before``, brings the page that follows."""

    messages: list[MessageSummary]
    next: str | None


class UnsentMessage(Struct, frozen=True):
    """A message that is pending or failed."""

    id: UUID
    wamid: str | None
    direction: Literal["inbound", "outbound"]
    from_number: str
    to_number: str
    status: MessageStatus
    attempts: int
    next_attempt_at: datetime | None
    error_code: int | None
    created_at: datetime


class Unsent(Struct, frozen=True):
    """Pending and failed messages: those of the last hour (newest first) or the oldest 100; counts by status."""

    messages: list[UnsentMessage]
    by_status: dict[str, int]


class Message(Struct, frozen=True):
    """Everything stored about a message but Meta's own JSON."""

    id: UUID
    wamid: str | None
    user_id: UUID | None
    direction: Literal["inbound", "outbound"]
    from_number: str
    to_number: str
    message_type: str
    body: str | None
    status: MessageStatus
    error_code: int | None
    error_title: str | None
    attempts: int
    next_attempt_at: datetime | None
    provider_ts: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    failed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Handoff(Struct, frozen=True):
    """A conversation for a person of the team; the agent is silent until it is closed."""

    id: UUID
    phone_number: str
    reason: str
    status: Literal["open", "claimed", "closed"]
    claimed_by: str | None
    opened_at: datetime
    claimed_at: datetime | None
    closed_at: datetime | None
    said_last: str | None = None


class Handoffs(Struct, frozen=True):
    """Conversations of one status, oldest first, at most 200."""

    handoffs: list[Handoff]


class Claim(Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes a conversation over."""

    by: Annotated[str, Meta(min_length=1, max_length=128)]


class DeadLetter(Struct, frozen=True):
    """A message that no retry helped. ``correlation_id`` is the message's id."""

    id: UUID
    wamid: str | None
    phone_number: str | None
    error: str
    error_type: str
    attempts: int
    status: str
    correlation_id: str | None
    created_at: datetime


class DeadLetters(Struct, frozen=True):
    """Dead letters that wait for a decision, oldest first."""

    dead_letters: list[DeadLetter]


class Decided(Struct, frozen=True):
    """What became of a dead letter."""

    id: UUID
    status: Literal["processing", "discarded"]


class Work(Struct, frozen=True):
    """A message that a worker has claimed until ``next_attempt_at``, which is also the proof of the claim."""

    id: UUID
    wamid: str | None
    from_number: str
    to_number: str
    phone_number_id: str | None
    message_type: str
    body: str | None
    payload: dict[str, Any]
    attempts: int
    next_attempt_at: datetime
    created_at: datetime
    last_inbound_at: datetime | None = field(default=None)
    opted_out: bool = False
