"""Routes of whatsapp-webhook: Meta's webhook, messages and dead letters."""

import hmac
from time import perf_counter
from typing import Annotated, Literal, cast
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from easymo.cache import CacheService
from easymo_platform.runtime.auth import PUBLIC, SCOPE
from easymo_platform.runtime.direct import answer_directly, header, read_body
from easymo_platform.runtime.errors import ServiceError
from easymo_platform.runtime.idempotency import id_for
from easymo_platform.runtime.openapi import EXAMPLE
from easymo_platform.runtime.routes import AnyRequest, IdempotencyKey
from easymo_platform.whatsapp_webhook import signature
from easymo_platform.whatsapp_webhook.delivery import Malformed, read_delivery
from easymo_platform.whatsapp_webhook.model import (
    FINAL,
    Accepted,
    Claim,
    DeadLetters,
    Decided,
    Handoff,
    Handoffs,
    Message,
    MessageList,
    MessageStatus,
    Outgoing,
    Queued,
    Text,
    Unsent,
)
from easymo_platform.whatsapp_webhook.pages import NEWEST, PAGE, Cursor
from easymo_platform.whatsapp_webhook.service import WhatsAppWebhook
from easymo_platform.whatsapp_webhook.strategies import WhatsAppStrategies

READ = "whatsapp:read"
SEND = "whatsapp:send"
OPERATE = "whatsapp:operate"
WEBHOOK_MAX_BYTES = 3 * 1024 * 1024
_SIGNATURE = signature.HEADER.encode()

_ID = "00000002-22df-82a5-8699-154123453375"
_SUMMARY = {"id": _ID, "direction": "outbound", "to_number": "+250700000001", "body": "Muraho!", "status": "read"}


def webhook(request: AnyRequest) -> WhatsAppWebhook:
    """The service's parts, built once per process."""
    return cast(WhatsAppWebhook, request.app.state.service)


@get(
    "/webhook",
    summary="Meta asks whether this address is ours",
    media_type="text/plain",
    opt={SCOPE: PUBLIC, EXAMPLE: "1158201444"},
)
async def verify(
    request: AnyRequest,
    mode: Annotated[str, QueryParameter(name="hub.mode")] = "",
    token: Annotated[str, QueryParameter(name="hub.verify_token")] = "",
    challenge: Annotated[str, QueryParameter(name="hub.challenge")] = "",
) -> str:
    wanted = webhook(request).settings.whatsapp_verify_token
    if mode != "subscribe" or not hmac.compare_digest(token.encode(), wanted.encode()):
        raise ServiceError(403, "forbidden", "hub.verify_token is not the one that was agreed on.")
    return challenge


@post(
    "/webhook",
    status_code=200,
    summary="What Meta delivers: messages and statuses, signed with X-Hub-Signature-256",
    middleware=[answer_directly],
    opt={SCOPE: PUBLIC, EXAMPLE: Accepted(1, 0, 0)},
)
async def deliver(request: AnyRequest) -> Accepted:
    started = perf_counter()
    service = webhook(request)
    body = await read_body(request, WEBHOOK_MAX_BYTES)
    if not signature.is_signed(service.settings.whatsapp_app_secret, body, header(request, _SIGNATURE)):
        raise ServiceError(401, "bad_signature", "X-Hub-Signature-256 is not the signature of this body.")
    try:
        delivery = read_delivery(body)
    except Malformed as error:
        raise ServiceError(400, "invalid_payload", str(error)) from error
    accepted = await service.ingest.store(body, delivery, started)
    service.ack_seconds.observe(perf_counter() - started)
    return accepted


@get(
    "/messages",
    summary="Messages, newest first: all, of a number, or of a user",
    opt={SCOPE: READ, EXAMPLE: {"messages": [_SUMMARY], "next": None}},
)
async def messages(
    request: AnyRequest,
    phone: Annotated[str | None, QueryParameter(pattern=r"^[+ ]?[1-9][0-9]{6,14}$")] = None,
    direction: FromQuery[Literal["inbound", "outbound"]] = "inbound",
    user_id: FromQuery[UUID | None] = None,
    status: FromQuery[MessageStatus | None] = None,
    before: Annotated[str | None, QueryParameter(description="`next` of the page before.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = PAGE,
) -> MessageList:
    """``direction`` is from (inbound) or to (outbound) the number, and means nothing without ``phone``."""
    if phone is not None and user_id is not None:
        raise ServiceError(400, "invalid_query", "Pass either phone or user_id.")
    # A plus sign that the client did not encode arrives as a space.
    number = None if phone is None else "+" + phone.lstrip("+ ")
    return await webhook(request).pages.page(
        from_number=number if direction == "inbound" else None,
        to_number=number if direction == "outbound" else None,
        user_id=user_id,
        status=status,
        before=NEWEST if before is None else Cursor.parse(before),
        limit=limit,
    )


@get(
    "/messages/unsent",
    summary="Pending and failed messages of the last hour, or the oldest ones",
    opt={SCOPE: READ, EXAMPLE: {"messages": [], "by_status": {"pending": 3, "failed": 1}}},
)
async def unsent(request: AnyRequest, oldest: FromQuery[bool] = False) -> Unsent:
    return await webhook(request).store.unsent(oldest=oldest)


@get("/messages/{message_id:uuid}", summary="One message", opt={SCOPE: READ, EXAMPLE: _SUMMARY})
async def message_by_id(request: AnyRequest, message_id: FromPath[UUID]) -> Response[Message]:
    """Only a message that cannot change any more is cached, so that no event has to drop it."""
    service = webhook(request)
    key = WhatsAppStrategies.whatsapp_message(message_id)
    cache: CacheService = service.cache
    message = await cache.get(key, type=Message)
    found = "HIT" if message is not None else "MISS"
    if message is None:
        message = await service.store.by_id(message_id)
        if message.status in FINAL:
            await cache.set(key, message)
        else:
            found = "BYPASS"
    return Response(message, headers={"x-cache": found})


@post(
    "/messages",
    status_code=202,
    summary="Queue a message",
    opt={SCOPE: SEND, EXAMPLE: {"to": "+250700000001", "type": "template", "template": {"name": "welcome"}}},
)
async def send(request: AnyRequest, data: JSONBody[Outgoing], idempotency_key: IdempotencyKey = None) -> Queued:
    service = webhook(request)
    message_id = id_for(request, "whatsapp/messages", idempotency_key)
    settings = service.settings
    return await service.store.queue(message_id, data, settings.whatsapp_number, settings.whatsapp_phone_number_id)


@get("/dlq", summary="Dead letters that wait for a decision", opt={SCOPE: READ, EXAMPLE: {"dead_letters": []}})
async def dead_letters(request: AnyRequest, limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100) -> DeadLetters:
    return DeadLetters(await webhook(request).store.dead_letters(limit))


@post(
    "/dlq/{dead_letter_id:uuid}/retry",
    status_code=202,
    summary="Handle the message of a dead letter again",
    opt={SCOPE: OPERATE, EXAMPLE: {"id": _ID, "status": "processing"}},
)
async def retry(request: AnyRequest, dead_letter_id: FromPath[UUID]) -> Decided:
    return await webhook(request).store.retry(dead_letter_id)


@post(
    "/dlq/{dead_letter_id:uuid}/discard",
    status_code=200,
    summary="Give the message of a dead letter up",
    opt={SCOPE: OPERATE, EXAMPLE: {"id": _ID, "status": "discarded"}},
)
async def discard(request: AnyRequest, dead_letter_id: FromPath[UUID]) -> Decided:
    return await webhook(request).store.discard(dead_letter_id)


_HANDOFF = {"id": _ID, "phone_number": "+250700000001", "reason": "person", "status": "open"}


@get(
    "/handoffs",
    summary="Conversations for a person of the team, oldest first",
    opt={SCOPE: OPERATE, EXAMPLE: {"handoffs": [_HANDOFF]}},
)
async def handoffs(request: AnyRequest, status: FromQuery[Literal["open", "claimed", "closed"]] = "open") -> Handoffs:
    return await webhook(request).handoffs.waiting(status)


@post(
    "/handoffs/{handoff_id:uuid}/claim",
    status_code=200,
    summary="Take a conversation over",
    opt={SCOPE: OPERATE, EXAMPLE: Claim("aline")},
)
async def claim_handoff(request: AnyRequest, handoff_id: FromPath[UUID], data: JSONBody[Claim]) -> Handoff:
    return await webhook(request).handoffs.claim(handoff_id, data.by)


@post(
    "/handoffs/{handoff_id:uuid}/answer",
    status_code=202,
    summary="Write to the person",
    opt={SCOPE: OPERATE, EXAMPLE: Text("Muraho, this is Aline of EasyMO.")},
)
async def answer_handoff(request: AnyRequest, handoff_id: FromPath[UUID], data: JSONBody[Text]) -> Queued:
    return await webhook(request).handoffs.answer(handoff_id, data)


@post(
    "/handoffs/{handoff_id:uuid}/close",
    status_code=200,
    summary="Give a conversation back to the agent",
    opt={SCOPE: OPERATE, EXAMPLE: _HANDOFF},
)
async def close_handoff(request: AnyRequest, handoff_id: FromPath[UUID]) -> Handoff:
    return await webhook(request).handoffs.close(handoff_id)


ROUTES = (
    verify,
    deliver,
    messages,
    unsent,
    message_by_id,
    send,
    dead_letters,
    retry,
    discard,
    handoffs,
    claim_handoff,
    answer_handoff,
    close_handoff,
)
