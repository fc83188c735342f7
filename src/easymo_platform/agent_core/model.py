"""Sessions, messages and tools: what clients send and get. Pure."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

FlowType = Literal[
    "nearby_drivers", "nearby_passengers", "pharmacy", "quincaillerie", "shops", "property_rental", "schedule_trip",
    "waiter", "job_board", "marketplace",
]  # fmt: skip
AgentKind = Literal["broker", "support", "sales", "marketing", "mobility"]
SessionStatus = Literal["searching", "negotiating", "presenting", "completed", "cancelled", "timeout", "error"]
LIVE = ("searching", "negotiating", "presenting")

_PREDECESSORS: dict[str, tuple[str, ...]] = {
    "searching": (),
    "negotiating": ("searching",),
    "presenting": ("searching", "negotiating"),
    "completed": ("presenting",),
    "cancelled": LIVE,
    "timeout": LIVE,
    "error": LIVE,
}


def predecessors(status: str) -> tuple[str, ...]:
    """The statuses from which a session may come to ``status``."""
    return _PREDECESSORS[status]


Phrase = Annotated[str, Meta(min_length=1, max_length=4096)]
Word = Annotated[str, Meta(min_length=1, max_length=128)]
Number = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{6,14}$")]


class NewSession(Struct, frozen=True, forbid_unknown_fields=True):
    """A session to open; it ends by itself after ``window_minutes``."""

    user_id: UUID
    flow_type: FlowType
    agent_kind: AgentKind = "broker"
    request_data: dict[str, Any] = {}
    window_minutes: Annotated[int, Meta(ge=1, le=1440)] = 5


class Session(Struct, frozen=True):
    """A session as it stands."""

    id: UUID
    user_id: UUID
    flow_type: FlowType
    agent_kind: AgentKind
    status: SessionStatus
    request_data: dict[str, Any]
    result_data: dict[str, Any] | None
    deadline_at: datetime
    completed_at: datetime | None
    cancellation_reason: str | None
    created_at: datetime
    updated_at: datetime


class SessionList(Struct, frozen=True):
    """Sessions of a user, newest first, at most 50."""

    sessions: list[Session]


class SessionChange(Struct, frozen=True, forbid_unknown_fields=True):
    """A new status; ``reason`` is kept for a cancellation, ``result_data`` for a completion."""

    status: SessionStatus
    reason: Annotated[str, Meta(max_length=500)] | None = None
    result_data: dict[str, Any] | None = None


class Extension(Struct, frozen=True, forbid_unknown_fields=True):
    """More time for a live session, counted from now."""

    minutes: Annotated[int, Meta(ge=1, le=1440)] = 5


class AgentMessage(Struct, frozen=True):
    """One utterance in a session."""

    id: UUID
    role: Literal["user", "agent", "system"]
    content: str
    provider: str | None
    model: str | None
    latency_ms: int | None
    metadata: dict[str, Any]
    created_at: datetime


class AgentMessageList(Struct, frozen=True):
    """The newest 200 messages of a session, oldest first."""

    messages: list[AgentMessage]


class Turn(Struct, frozen=True, forbid_unknown_fields=True):
    """One utterance that the caller knows of."""

    role: Literal["user", "agent", "system"]
    text: Phrase


class Toolkit(Struct, frozen=True, forbid_unknown_fields=True):
    """How to answer; only a language model heeds it."""

    model: Word | None = None
    suggestions: bool = True


class Question(Struct, frozen=True, forbid_unknown_fields=True):
    """A message to answer in a session. ``history`` replaces what is stored of the session."""

    session_id: UUID
    agent_kind: AgentKind
    message: Phrase
    profile_ref: Word | None = None
    history: Annotated[list[Turn], Meta(max_length=50)] | None = None
    toolkit: Toolkit = Toolkit()


class Reply(Struct, frozen=True):
    """The answer. ``provider`` says who gave it; ``degraded``: the language model was asked first and failed."""

    reply: str
    provider: str
    model: str
    degraded: bool = False
    suggestions: list[str] = []


class Lead(Struct, frozen=True):
    """A person whom a tenant wants to talk to."""

    id: UUID
    phone_number: str
    display_name: str | None
    tags: list[str]
    disposition: str | None
    opted_out_at: datetime | None
    updated_at: datetime


class Leads(Struct, frozen=True):
    """Leads of the tenant, newest first, at most 50."""

    leads: list[Lead]


class LeadRef(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The lead with this number."""

    tenant_id: Word
    phone_number: Number


class LeadLog(LeadRef, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A lead to add, or what is new about it."""

    display_name: Word | None = None
    tags: Annotated[list[Word], Meta(max_length=20)] = []


class Disposition(LeadRef, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """How a conversation ended."""

    disposition: Literal["interested", "not_interested", "call_back", "wrong_number", "converted"]


class LeadCall(LeadRef, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A call to a lead."""

    topic: Annotated[str, Meta(max_length=256)] | None = None


class Payment(LeadRef, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Money to ask of a lead, in whole francs; the same ``reference`` asks once."""

    amount: Annotated[int, Meta(ge=1, le=10_000_000)]
    reference: Word
    currency: Literal["RWF"] = "RWF"


class Transfer(LeadRef, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A call that a person should take over."""

    call_id: UUID
    reason: Annotated[str, Meta(max_length=500)] = ""


class CallPlaced(Struct, frozen=True, rename="camel"):
    """Answer to :class:`LeadCall`."""

    call_id: UUID


class PaymentRequested(Struct, frozen=True):
    """Answer to :class:`Payment`: the transaction is pending until the payer confirms."""

    transaction_ref: str
    status: str


class Noted(Struct, frozen=True):
    """What was asked is recorded, for a person to act on."""

    status: Literal["requested"] = "requested"
