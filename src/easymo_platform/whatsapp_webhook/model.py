"""Messages: what Meta sends, what we store, what clients get. Pure."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct, field

from easymo_platform.runtime.identity import uuid7

InboundStatus = Literal["pending", "processing", "processed", "skipped", "failed"]
MessageStatus = Literal[
    "pending", "processing", "processed", "skipped", "accepted", "sent", "delivered", "read", "failed"
]
REPORTED = ("sent", "delivered", "read", "failed")
"""The statuses of Meta's callbacks that we follow; others (``played``) are ignored."""

FINAL = frozenset({"processed", "skipped", "read"})
"""A message that came to one of these never changes again."""

ANSWERED_TYPES = ("text", "interactive")
UNKNOWN_SENDER = "unknown"

_DIGITS = re.compile(r"\+?([1-9][0-9]{6,14})")


class Malformed(Exception):
    """The body is no webhook payload; the text says why."""


class Inbound(Struct, frozen=True):
    """A message as it is stored. ``payload`` is Meta's JSON of it; ``pending`` is false for one that nobody answers."""

    id: UUID
    wamid: str
    from_number: str
    to_number: str
    phone_number_id: str
    message_type: str
    body: str | None
    payload: msgspec.Raw
    provider_ts: datetime | None
    pending: bool


class StatusReport(Struct, frozen=True):
    """One status of a message that we sent. ``message_id`` is our own id, which Meta hands back."""

    wamid: str
    status: str
    at: datetime
    message_id: UUID | None = None
    error_code: int | None = None
    error_title: str | None = None


class Delivery(Struct, frozen=True):
    """Everything in one webhook request."""

    entries: int
    messages: list[Inbound]
    statuses: list[StatusReport]


class _Metadata(Struct, frozen=True):
    display_phone_number: Any = None
    phone_number_id: Any = None


class _Value(Struct):
    metadata: _Metadata = _Metadata()
    messages: list[msgspec.Raw] = []
    statuses: list[Any] = []


class _Change(Struct):
    field: str = ""
    value: msgspec.Raw = msgspec.Raw(b"{}")


class _Entry(Struct):
    changes: list[_Change] = []


class _Envelope(Struct):
    object: str
    entry: list[_Entry]


class _Message(Struct, rename={"sender": "from", "kind": "type"}):
    """A message in Meta's words. Any field may be absent or of any type."""

    id: Any = None
    sender: Any = None
    timestamp: Any = None
    kind: Any = None
    text: Any = None
    interactive: Any = None


_envelopes = msgspec.json.Decoder(_Envelope)
_values = msgspec.json.Decoder(_Value)
_messages = msgspec.json.Decoder(_Message)


def read_delivery(body: bytes) -> Delivery:
    """Every message and status of every change of every entry.

    Fields and kinds of change that we do not know are passed over, as is a message without an id; what Meta adds must
    not stop what we understand. Raises :class:`Malformed` when the body is no such payload at all.
    """
    messages: list[Inbound] = []
    statuses: list[StatusReport] = []
    try:
        envelope = _envelopes.decode(body)
        for entry in envelope.entry:
            for change in entry.changes:
                if change.field == "messages":
                    value = _values.decode(change.value)
                    messages += [read for raw in value.messages if (read := _inbound(raw, value.metadata))]
                    statuses += [report for given in value.statuses if (report := _report(given))]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The body is no webhook payload: {error}.") from error
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error
    return Delivery(len(envelope.entry), messages, statuses)


def _inbound(raw: msgspec.Raw, metadata: _Metadata) -> Inbound | None:
    try:
        given = _messages.decode(raw)
    except msgspec.ValidationError:  # JSON, but no object
        return None
    wamid = _clean(given.id)
    if not wamid:
        return None
    sender = e164(_clean(given.sender))
    kind = _clean(given.kind) or "unknown"
    return Inbound(
        id=uuid7(),
        wamid=wamid,
        from_number=sender or UNKNOWN_SENDER,
        to_number=e164(_clean(metadata.display_phone_number)) or UNKNOWN_SENDER,
        phone_number_id=_clean(metadata.phone_number_id),
        message_type=kind,
        body=_body(given, kind),
        payload=msgspec.Raw(str(raw, "utf-8").replace("\\u0000", "\\ufffd")),
        provider_ts=_moment(given.timestamp),
        pending=bool(sender) and kind in ANSWERED_TYPES,
    )


def _body(given: _Message, kind: str) -> str | None:
    """What the person said: the text, or the title of the button or row that was chosen."""
    if kind == "text":
        return _text(given.text, "body")
    if kind == "interactive":
        interactive = given.interactive
        if isinstance(interactive, dict):
            chosen = interactive.get("button_reply") or interactive.get("list_reply")
            return _text(chosen, "id") or _text(chosen, "title")
    return None


def _report(given: Any) -> StatusReport | None:
    wamid, status, at = _text(given, "id"), _text(given, "status"), _moment(_text(given, "timestamp"))
    if not wamid or status not in REPORTED:
        return None
    errors = given.get("errors")
    error = errors[0] if isinstance(errors, list) and errors else {}
    code = error.get("code") if isinstance(error, dict) else None
    return StatusReport(
        wamid,
        status,
        at or datetime.now(UTC),
        _uuid(_text(given, "biz_opaque_callback_data")),
        code if isinstance(code, int) and abs(code) < 2**31 else None,
        _text(error, "title") or None,
    )


def e164(number: str) -> str:
    """``number`` with its plus sign; empty when it is no number (Meta may name people without one)."""
    match = _DIGITS.fullmatch(number)
    return f"+{match[1]}" if match else ""


def _text(given: Any, name: str) -> str:
    return _clean(given.get(name)) if isinstance(given, dict) else ""


def _clean(value: Any) -> str:
    """A text as Postgres can keep it; empty for anything else."""
    return value.replace("\0", "\ufffd")[:65_536] if isinstance(value, str) else ""


def _moment(timestamp: Any) -> datetime | None:
    """Meta writes seconds since 1970, as a text."""
    try:
        return datetime.fromtimestamp(int(timestamp), UTC) if isinstance(timestamp, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


class Accepted(Struct, frozen=True):
    """Answer to a webhook: everything in it is stored. Duplicates are counted in ``messages`` and ``statuses`` too."""

    messages: int
    statuses: int
    duplicates: int
    status: Literal["accepted"] = "accepted"


Number = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{6,14}$", examples=["+250700000001"])]


class Text(Struct, frozen=True, forbid_unknown_fields=True):
    """A text to send."""

    body: Annotated[str, Meta(min_length=1, max_length=4096)]


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """A message that Meta has approved: it may also be sent more than 24 hours after the last one received."""

    name: Annotated[str, Meta(min_length=1, max_length=512)]
    language: Annotated[str, Meta(min_length=2, max_length=16)] = "en"


class Outgoing(Struct, frozen=True, forbid_unknown_fields=True):
    """A message to send: ``text`` or ``template``, as ``type`` says."""

    to: Number
    type: Literal["text", "template"]
    text: Text | None = None
    template: Template | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.type == "text") or (self.template is None) == (self.type == "template"):
            raise ValueError("give exactly what type names: text or template")


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
