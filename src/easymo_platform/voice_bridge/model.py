"""Calls: their life cycle, what clients send and what they get. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

CallStatus = Literal["pending", "ringing", "active", "completed", "failed", "busy", "no_answer", "canceled"]

RANK: dict[str, int] = {
    "pending": 0,
    "ringing": 1,
    "active": 2,
    "completed": 3,
    "failed": 3,
    "busy": 3,
    "no_answer": 3,
    "canceled": 3,
}
"""How far a call has come; a status change never lowers it. Below 3 the call is live."""

LIVE = ("pending", "ringing", "active")

_PREDECESSORS: dict[str, tuple[str, ...]] = {
    "pending": (),
    "ringing": ("pending",),
    "active": ("pending", "ringing"),
    "completed": ("active",),
    "failed": LIVE,
    "busy": ("pending", "ringing"),
    "no_answer": ("pending", "ringing"),
    "canceled": ("pending", "ringing"),
}

_TWILIO_STATUS = {
    "queued": "pending",
    "initiated": "pending",
    "ringing": "ringing",
    "in-progress": "active",
    "answered": "active",
    "completed": "completed",
    "busy": "busy",
    "failed": "failed",
    "no-answer": "no_answer",
    "canceled": "canceled",
}


def predecessors(status: str) -> tuple[str, ...]:
    """The statuses from which one of our own callers may move a call to ``status``."""
    return _PREDECESSORS[status]


def predecessors_for_provider(status: str) -> tuple[str, ...]:
    """The same for a provider, who reports what has happened: every live status of lower rank.

    Callbacks get lost and come out of order; a call that was never reported as answered still ends.
    """
    return tuple(earlier for earlier in LIVE if RANK[earlier] < RANK[status])


def status_from_twilio(word: str) -> str | None:
    """Our word for Twilio's ``CallStatus``; ``None`` for one that we do not know."""
    return _TWILIO_STATUS.get(word)


_FARMING = re.compile(r"\b(farmer|produce|mazao|mkulima|shamba)", re.IGNORECASE)


def agent_profile_for(topic: str | None, callee: str) -> str:
    """Who takes the call: ``farmer_agent`` if the topic or the callee speaks of farming, else ``general_agent``."""
    return "farmer_agent" if _FARMING.search(topic or "") or _FARMING.search(callee) else "general_agent"


def consent_required_by(agent_profile: str) -> bool:
    """Whether the call may only go on after the callee has agreed to be recorded."""
    return agent_profile == "farmer_agent"


Moment = Annotated[datetime, Meta(tz=True)]
ShortText = Annotated[str, Meta(max_length=256)]


class OutboundCall(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """A call to place."""

    to: Annotated[str, Meta(min_length=3, max_length=256, examples=["+250700000001"])]
    from_: Annotated[str, Meta(min_length=3, max_length=256)] = "sip:bridge@sip.easymo"
    topic: ShortText | None = None
    metadata: dict[str, Any] = {}


class Route(Struct, frozen=True, rename="camel"):
    """Where a call goes."""

    agent_profile: str
    sip_target: str
    consent_required: bool


class Consent(Struct, frozen=True):
    """Whether consent must be recorded before the agent speaks."""

    required: bool


class PlacedCall(Struct, frozen=True, rename="camel"):
    """Answer to :class:`OutboundCall`."""

    call_id: UUID
    route: Route
    consent: Consent


class StatusChange(Struct, frozen=True, forbid_unknown_fields=True):
    """A new status for a call."""

    status: CallStatus


class StatusResult(Struct, frozen=True):
    """``changed`` is false when the call had the status already."""

    id: UUID
    status: str
    changed: bool


class ConsentRecord(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The callee agreed."""

    recorded_at: Moment | None = None
    channel: Annotated[str, Meta(min_length=1, max_length=64)] = "ivr"
    media_url: Annotated[str, Meta(max_length=2048, pattern="^https?://")] | None = None


class Segment(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One utterance of a transcript."""

    sequence: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    speaker: Literal["caller", "assistant", "system"]
    text: Annotated[str, Meta(max_length=10_000)]
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None


class Segments(Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of a call's transcript; a sequence number sent again replaces the earlier text."""

    segments: Annotated[list[Segment], Meta(min_length=1, max_length=500)]
    locale: Literal["en", "sw"] = "en"

    def __post_init__(self) -> None:
        if len({segment.sequence for segment in self.segments}) < len(self.segments):
            raise ValueError("each sequence number may occur once")


class Stored(Struct, frozen=True):
    """Answer to :class:`ConsentRecord`."""

    status: Literal["stored"] = "stored"


class Captured(Struct, frozen=True):
    """Answer to :class:`Segments`."""

    count: int
    locale: str
    status: Literal["captured"] = "captured"


class TwilioStatus(Struct, frozen=True):
    """What we read of Twilio's status callback; it sends many more fields, and leaves some empty."""

    call_sid: str
    call_status: str
    sequence_number: int | None = None
    duration_s: int | None = None


def read_twilio(form: Mapping[str, str]) -> TwilioStatus | None:
    """The status in a callback; None for one without (answering-machine detection alone, a child leg of no call of
    ours).

    A field that we can do without never costs the status.
    """
    sid, word = form.get("CallSid", ""), form.get("CallStatus", "")
    if not sid or len(sid) > 64 or not word:
        return None
    return TwilioStatus(sid, word.lower(), _count(form.get("SequenceNumber")), _count(form.get("CallDuration")))


def _count(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


class CallbackOutcome(StrEnum):
    """What a provider callback did. Providers only look at the status code; people read this."""

    APPLIED = "applied"
    IGNORED = "ignored"
    DUPLICATE = "duplicate"


class CallbackResult(Struct, frozen=True):
    """Answer to a provider callback."""

    outcome: CallbackOutcome


class LiveCall(Struct, frozen=True):
    """A call under way, as the dashboard lists it."""

    id: UUID
    to_number: str
    from_number: str
    status: CallStatus
    agent_profile: str
    started_at: datetime | None
    consent_obtained: bool


class LiveCalls(Struct, frozen=True):
    """The newest live calls."""

    calls: list[LiveCall]
    generated_at: datetime


class CallSummary(Struct, frozen=True):
    """A call as it stands in lists."""

    id: UUID
    user_id: UUID | None
    direction: str
    from_number: str
    to_number: str
    status: CallStatus
    agent_profile: str
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: int | None
    consent_required: bool
    consent_obtained: bool
    created_at: datetime


class CallList(Struct, frozen=True):
    """Calls, newest first."""

    calls: list[CallSummary]


class Call(Struct, frozen=True):
    """Everything stored about a call."""

    id: UUID
    user_id: UUID | None
    provider: str
    provider_call_sid: str | None
    direction: str
    from_number: str
    to_number: str
    status: CallStatus
    agent_profile: str
    channel: str | None
    topic: str | None
    consent_required: bool
    consent_obtained: bool
    consent_recorded_at: datetime | None
    consent_channel: str | None
    consent_media_url: str | None
    transcript_status: str | None
    transcript_locale: str | None
    last_transcript_segment_at: datetime | None
    started_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    duration_seconds: int | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class ChangedCall(msgspec.Struct, frozen=True):
    """What a writer knows about the row it wrote: enough to drop every cached value that shows it."""

    id: UUID
    user_id: UUID | None
    to_number: str
