"""What Meta delivers. Pure.

A delivery is read element by element: what we cannot read is kept as an `Event` in Meta's own words and never stands
in the way of the rest. Only a body that is no JSON object at all is refused, since Meta delivers a refused body again
for days.
"""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from easymo_platform.runtime.identity import uuid7
from easymo_platform.whatsapp_webhook.kinds import clean, read, text_of

REPORTED = ("sent", "delivered", "read", "failed")
"""The statuses that a message of ours comes to; others (`deleted`, `played`) are kept as events."""

UNKNOWN_SENDER = "unknown"
_DIGITS = re.compile(r"\+?([1-9][0-9]{6,14})")
_SPACING = re.compile(r"[\s().\-‐-―]")
_SURROGATES = re.compile(
    rb"(\\\\)|(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""An escaped backslash, a whole pair, or half of one."""

_MILLISECONDS_FROM = 100_000_000_000
"""A timestamp from here on is in milliseconds: in seconds it would be the year 5138."""

_TO_ACT_ON = {
    "account_update",
    "account_alerts",
    "account_review_update",
    "phone_number_quality_update",
    "message_template_status_update",
    "message_template_quality_update",
    "template_category_update",
    "business_capability_update",
    "user_preferences",
    "security",
}
"""Fields whose events a person must look at: the account, a number or a template is restricted, paused or
downgraded."""

_GOOD_NEWS = {"APPROVED", "VERIFIED_ACCOUNT", "REINSTATED", "FLAGGED_REMOVED", "GREEN", "resume"}


class Malformed(Exception):
    """The body is no webhook payload; the text says why."""


class Inbound(Struct, frozen=True):
    """A message as it is stored. `payload` is Meta's JSON of it; `pending` is false for one that nobody answers.

    `window_at`: when the person wrote, by Meta's clock, if that opens the 24-hour window.
    """

    id: UUID
    wamid: str
    from_number: str
    to_number: str
    phone_number_id: str
    message_type: str
    body: str | None
    payload: Raw
    provider_ts: datetime | None
    pending: bool
    window_at: datetime | None = None


class StatusReport(Struct, frozen=True):
    """One status of a message that we sent. `message_id` is our own id, which Meta hands back."""

    wamid: str
    status: str
    at: datetime
    message_id: UUID | None = None
    error_code: int | None = None
    error_title: str | None = None


class Event(Struct, frozen=True):
    """Anything else: `kind` names it, `act` says that a person must look at it."""

    kind: str
    act: bool
    payload: Raw


class Delivery(Struct, frozen=True):
    """Everything in one webhook request."""

    entries: int
    messages: list[Inbound]
    statuses: list[StatusReport]
    events: list[Event] = []


_raw_object = msgspec.json.Decoder(dict[str, Raw])
_raw_list = msgspec.json.Decoder(list[Raw])


def read_delivery(body: bytes) -> Delivery:
    """Every message, status and event of every change of every entry.

    Raises `Malformed` when the body is no JSON object with entries.
    """
    try:
        try:
            return _read(body)
        except (msgspec.DecodeError, UnicodeError):
            return _read(_repaired(body))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Malformed(f"The body is no webhook payload: {error}.") from error
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error


def as_text(delivery: Delivery) -> Delivery:
    """The same with every payload as a text in place of JSON, for what a database cannot store as JSON."""
    replace = msgspec.structs.replace
    return replace(
        delivery,
        messages=[replace(message, payload=_quoted(message.payload)) for message in delivery.messages],
        events=[replace(event, payload=_quoted(event.payload)) for event in delivery.events],
    )


def _quoted(raw: Raw) -> Raw:
    return Raw(msgspec.json.encode({"as_text": bytes(raw).decode("utf-8", "replace")}))


def _read(body: bytes) -> Delivery:
    envelope = _raw_object.decode(body)
    if "object" not in envelope or "entry" not in envelope:
        raise msgspec.ValidationError("it has no `object` or no `entry`")
    entries = _raw_list.decode(envelope["entry"])
    found = Delivery(len(entries), [], [], [])
    for entry in entries:
        changes = _list_in(_object_in(entry), "changes")
        if changes is None:
            found.events.append(Event("entry", True, entry))
        for change in changes or ():
            _read_change(change, found)
    return found


def _read_change(change: Raw, found: Delivery) -> None:
    fields = _object_in(change)
    field = clean(_decoded(fields.get("field"))) or "unknown"
    value = _object_in(fields.get("value"))
    if field != "messages" or not value:
        found.events.append(Event(field, _needs_a_person(field, value), change))
        return
    metadata = _decoded(value.get("metadata"))
    for name, kept in (("messages", _keep_message), ("statuses", _keep_status)):
        if name not in value:
            continue
        elements = _list_in(value, name)
        if elements is None:
            found.events.append(Event(name, True, value[name]))
        for element in elements or ():
            try:
                kept(element, metadata, found)
            except (msgspec.DecodeError, RecursionError):  # JSON, but of a kind that no program reads
                found.events.append(Event(name, True, element))
    for error in _list_in(value, "errors") or ():
        found.events.append(Event("errors", True, error))


def _keep_message(raw: Raw, metadata: Any, found: Delivery) -> None:
    fields = _decoded(raw)
    wamid = text_of(fields, "id")
    if not wamid:
        found.events.append(Event("message", True, raw))
        return
    sender = identity_of(text_of(fields, "from")) or identity_of(text_of(fields, "from_user_id"))
    kind = text_of(fields, "type") or "unknown"
    reading = read(kind, fields)
    at = _moment(fields.get("timestamp"))
    answered = bool(sender) and reading.handling != "note"
    found.messages.append(
        Inbound(
            id=uuid7(),
            wamid=wamid,
            from_number=sender or UNKNOWN_SENDER,
            to_number=e164(text_of(metadata, "display_phone_number")) or UNKNOWN_SENDER,
            phone_number_id=text_of(metadata, "phone_number_id"),
            message_type=kind,
            body=reading.body or None,
            payload=Raw(bytes(raw).replace(b"\\u0000", b"\\ufffd")),
            provider_ts=at,
            pending=answered,
            window_at=min(at or datetime.now(UTC), datetime.now(UTC)) if answered else None,
        )
    )


def _keep_status(raw: Raw, _: Any, found: Delivery) -> None:
    given = _decoded(raw)
    wamid, status, at = text_of(given, "id"), text_of(given, "status"), _moment(_field(given, "timestamp"))
    if not wamid or status not in REPORTED:
        found.events.append(Event(f"status {status or 'unknown'}", False, raw))
        return
    errors = [error for error in _as_list(given.get("errors")) if isinstance(error, dict)]
    code = errors[0].get("code") if errors else None
    titles = [title for error in errors if (title := text_of(error, "title") or text_of(error, "message"))]
    found.statuses.append(
        StatusReport(
            wamid,
            status,
            at or datetime.now(UTC),
            _uuid(text_of(given, "biz_opaque_callback_data")),
            code if isinstance(code, int) and abs(code) < 2**31 else None,
            "; ".join(titles) or None,
        )
    )


def identity_of(sender: str) -> str:
    """Who wrote: a number with its plus sign, or Meta's business-scoped id as it is; empty for neither.

    A service's short code is nobody to talk to.
    """
    if number := e164(sender):
        return number
    return sender.strip() if re.fullmatch(r"\s*[A-Za-z]{2}\.[\w.\-]{1,200}\s*", sender) else ""


def e164(number: str) -> str:
    """`number` with its plus sign and without the spacing that Meta writes for people; empty when it is no number."""
    match = _DIGITS.fullmatch(_SPACING.sub("", number))
    return f"+{match[1]}" if match else ""


def _needs_a_person(field: str, value: dict[str, Raw]) -> bool:
    if field not in _TO_ACT_ON:
        return False
    words = {clean(_decoded(value.get(name))) for name in ("event", "decision", "new_quality_score", "current_limit")}
    preferences = _decoded(value.get("user_preferences"))
    words |= {text_of(preference, "value") for preference in _as_list(preferences)}
    return not words & _GOOD_NEWS


def _repaired(body: bytes) -> bytes:
    """The body with replacement characters where a text holds no valid UTF-8 or half a surrogate pair."""
    text = body.decode("utf-8", "replace").encode()
    return _SURROGATES.sub(lambda found: found[0] if found[1] or found[2] else b"\\ufffd", text)


def _object_in(raw: Raw | None) -> dict[str, Raw]:
    try:
        return _raw_object.decode(raw) if raw is not None else {}
    except msgspec.ValidationError:
        return {}


def _list_in(fields: dict[str, Raw], name: str) -> list[Raw] | None:
    try:
        return _raw_list.decode(fields[name])
    except (KeyError, msgspec.ValidationError):
        return None


def _decoded(raw: Raw | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def _field(given: Any, name: str) -> Any:
    return given.get(name) if isinstance(given, dict) else None


def _as_list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []


def _moment(timestamp: Any) -> datetime | None:
    """Meta writes seconds since 1970, as a text; numbers and milliseconds occur, too."""
    try:
        seconds = int(timestamp) if isinstance(timestamp, str | int) and not isinstance(timestamp, bool) else None
        if seconds is None:
            return None
        return datetime.fromtimestamp(seconds / 1000 if seconds >= _MILLISECONDS_FROM else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
