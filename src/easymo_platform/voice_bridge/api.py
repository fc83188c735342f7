"""Routes about calls, and the provider's callback."""

from typing import Annotated, cast
from uuid import UUID

from litestar import HttpMethod, Response, get, post, route
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from easymo_platform.runtime.auth import PUBLIC, SCOPE
from easymo_platform.runtime.errors import DATABASE_ERROR, ServiceError
from easymo_platform.runtime.idempotency import id_for
from easymo_platform.runtime.openapi import EXAMPLE, answers
from easymo_platform.runtime.routes import AnyRequest
from easymo_platform.voice_bridge.analytics import TransactionList
from easymo_platform.voice_bridge.model import (
    Call,
    CallbackOutcome,
    CallbackResult,
    CallList,
    Captured,
    ConsentRecord,
    OutboundCall,
    PlacedCall,
    Segments,
    StatusChange,
    StatusResult,
    Stored,
    read_twilio,
    status_from_twilio,
)
from easymo_platform.voice_bridge.service import VoiceBridge
from easymo_platform.voice_bridge.strategies import VoiceStrategies, in_a_key
from easymo_platform.voice_bridge.twilio import read_callback

READ = "voice:read"
WRITE = "voice:calls.write"
_CALL = {"id": "00000002-22df-82a5-8699-154123453375", "to_number": "+250700000001", "status": "ringing"}
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key again returns the same call. "
        "The call's id is the UUIDv5 of easymo:calls/outbound:<key> in the URL namespace.",
    ),
]


def bridge(request: AnyRequest) -> VoiceBridge:
    """The service's parts, built once per process."""
    return cast(VoiceBridge, request.app.state.service)


@post(
    "/calls/outbound",
    summary="Place a call",
    opt={
        DATABASE_ERROR: ("voice_call_create_failed", 502),
        SCOPE: "voice:outbound.write",
        EXAMPLE: {"to": "+250700000001", "topic": "delivery"},
    },
)
async def place_call(
    request: AnyRequest, data: JSONBody[OutboundCall], idempotency_key: IdempotencyKey = None
) -> PlacedCall:
    return await bridge(request).place_call(data, id_for(request, "calls/outbound", idempotency_key))


@get(
    "/calls/{call_id:uuid}",
    summary="Everything stored about a call",
    opt={SCOPE: READ, EXAMPLE: _CALL},
    responses=answers(Call),
)
async def call_by_id(request: AnyRequest, call_id: FromPath[UUID]) -> Response[bytes]:
    voice = bridge(request)
    return await voice.cached(request, VoiceStrategies.voice_call(call_id), lambda: voice.store.by_id(call_id))


@get(
    "/calls",
    summary="The newest 50 calls to a number or of a user",
    opt={SCOPE: READ, EXAMPLE: {"calls": [_CALL]}},
    responses=answers(CallList),
)
async def calls(
    request: AnyRequest,
    number: Annotated[str | None, QueryParameter(min_length=3, max_length=256)] = None,
    user_id: FromQuery[UUID | None] = None,
) -> Response[bytes]:
    voice = bridge(request)
    if number is not None and user_id is None:
        # A plus sign that the client did not encode arrives as a space.
        to = "+" + number[1:] if number[0] == " " else number
        return await voice.cached(
            request, VoiceStrategies.calls_to_number(in_a_key(to)), lambda: voice.store.to_number(to)
        )
    if user_id is not None and number is None:
        return await voice.cached(request, VoiceStrategies.calls_of_user(user_id), lambda: voice.store.of_user(user_id))
    raise ServiceError(400, "invalid_query", "Pass either number or user_id.")


@get(
    "/transactions",
    summary="The newest 50 transactions of a user",
    opt={SCOPE: READ, EXAMPLE: {"transactions": [{"transaction_ref": "TXN-1", "amount": "1200.00"}]}},
)
async def transactions(request: AnyRequest, user_id: FromQuery[UUID]) -> TransactionList:
    return await bridge(request).analytics.transactions_of_user(user_id)


@post(
    "/calls/{call_id:uuid}/status",
    status_code=200,
    summary="Move a call through its life cycle",
    opt={SCOPE: WRITE, EXAMPLE: StatusChange("ringing")},
)
async def change_status(request: AnyRequest, call_id: FromPath[UUID], data: JSONBody[StatusChange]) -> StatusResult:
    return await bridge(request).change_status(call_id, data.status)


@post(
    "/calls/{call_id:uuid}/consent",
    status_code=200,
    summary="Record that the callee agreed",
    opt={DATABASE_ERROR: ("consent_persist_failed", 500), SCOPE: WRITE, EXAMPLE: {"channel": "ivr"}},
)
async def record_consent(request: AnyRequest, call_id: FromPath[UUID], data: JSONBody[ConsentRecord]) -> Stored:
    await bridge(request).store.record_consent(call_id, data)
    return Stored()


@post(
    "/calls/{call_id:uuid}/segments",
    status_code=200,
    summary="Store a piece of transcript",
    opt={
        DATABASE_ERROR: ("segments_persist_failed", 500),
        SCOPE: WRITE,
        EXAMPLE: {"segments": [{"sequence": 0, "speaker": "caller", "text": "Muraho"}]},
    },
)
async def capture_segments(request: AnyRequest, call_id: FromPath[UUID], data: JSONBody[Segments]) -> Captured:
    await bridge(request).store.capture(call_id, data)
    return Captured(count=len(data.segments), locale=data.locale)


@route(
    "/webhooks/twilio/voice-status",
    http_method=[HttpMethod.GET, HttpMethod.POST],
    status_code=200,
    summary="Twilio's status callback, signed with X-Twilio-Signature (a form, a query, or JSON with bodySHA256)",
    opt={SCOPE: PUBLIC, EXAMPLE: {"outcome": "applied"}},
)
async def twilio_status(request: AnyRequest) -> CallbackResult:
    body = await request.body()
    query = request.scope["query_string"].decode("latin-1")
    signed, form = read_callback(body, query)
    path = "/webhooks/twilio/voice-status" + (f"?{query}" if query else "")
    bridge(request).check_twilio(path, signed, request.headers.get("x-twilio-signature", ""))
    callback = read_twilio(form)
    status = status_from_twilio(callback.call_status) if callback is not None else None
    if callback is None or status is None:
        return CallbackResult(CallbackOutcome.IGNORED)
    outcome = await bridge(request).store.apply_callback(
        callback.call_sid, status, callback.sequence_number, callback.duration_s, form
    )
    return CallbackResult(outcome)


CALL_ROUTES = (
    place_call,
    call_by_id,
    calls,
    transactions,
    change_status,
    record_consent,
    capture_segments,
    twilio_status,
)
