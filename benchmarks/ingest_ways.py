"""The services of the ingest benchmark: they differ in how a webhook is stored, and in nothing else."""

import os
from collections.abc import Mapping
from hashlib import sha256
from time import perf_counter
from typing import Any

from litestar import Litestar, Request, post

from easymo_platform.operations import serve
from easymo_platform.whatsapp_webhook import app as webhook_app
from easymo_platform.whatsapp_webhook.delivery import Delivery, Inbound
from easymo_platform.whatsapp_webhook.ingest import Ingest
from easymo_platform.whatsapp_webhook.model import Accepted

GROUP, ALONE, ALONE_TERSE, STATIC = "group-commit", "insert-per-request", "insert-per-request-terse", "static-json"
WAYS = (GROUP, ALONE, ALONE_TERSE, STATIC)

_DELIVERY = "insert into webhook_deliveries (body_sha256, signature_ok, entries, ack_ms) values ($1, true, $2, $3)"
_MESSAGE = """
insert into whatsapp_messages (id, wamid, direction, from_number, to_number, phone_number_id, message_type, body,
  payload, provider_ts, status, next_attempt_at)
values ($1, $2, 'inbound', $3, $4, $5, $6, $7, $8::text::jsonb, $9, 'pending', now())
on conflict (wamid) do nothing
returning id
"""
_BOTH = f"""
with delivered as ({_DELIVERY.replace("$1", "$10").replace("$2", "$11").replace("$3", "$12")} on conflict do nothing)
{_MESSAGE}
"""


def _delivery_row(body: bytes, delivery: Delivery, received: float) -> tuple[Any, ...]:
    return sha256(body).digest(), delivery.entries, 1000 * (perf_counter() - received)


def _message_row(message: Inbound) -> tuple[Any, ...]:
    return (
        message.id,
        message.wamid,
        message.from_number,
        message.to_number,
        message.phone_number_id,
        message.message_type,
        message.body,
        bytes(message.payload).decode(),
        message.provider_ts,
    )


class InsertPerRequest(Ingest):
    """Each request for itself, as the other statements of this service are written: a connection of the pool, one
    transaction, one insert for each of the two rows, one commit. Statements are prepared.

    No worker is notified, whose lock would let one commit wait for another: that much is in its favour.
    """

    async def store(self, body: bytes, delivery: Delivery, received: float) -> Accepted:
        """Stores a delivery of exactly one message that somebody answers, which is what the benchmark sends."""
        (message,) = delivery.messages
        async with self._database.session() as session, session.connection.transaction():
            row = _delivery_row(body, delivery, received)
            await session.connection.execute(f"{_DELIVERY} on conflict do nothing", *row)
            new = await session.connection.fetch(_MESSAGE, *_message_row(message))
        self._pending.inc(len(new))
        return Accepted(1, 0, 1 - len(new))


class TersePerRequest(Ingest):
    """The least that a request for itself can do: both rows in one statement, which commits by itself."""

    async def store(self, body: bytes, delivery: Delivery, received: float) -> Accepted:
        """As :meth:`InsertPerRequest.store`."""
        (message,) = delivery.messages
        async with self._database.session() as session:
            row = (*_message_row(message), *_delivery_row(body, delivery, received))
            new = await session.connection.fetch(_BOTH, *row)
        self._pending.inc(len(new))
        return Accepted(1, 0, 1 - len(new))


_INGESTS = {ALONE: InsertPerRequest, ALONE_TERSE: TersePerRequest}


def create(environ: Mapping[str, str]) -> Litestar:
    """The service with the way to store that INGEST names."""
    way = environ["INGEST"]
    if way in _INGESTS:
        vars(webhook_app)[Ingest.__name__] = _INGESTS[way]
    app = webhook_app.create(environ)
    if way == STATIC:

        @post("/webhook", status_code=200)
        async def accept(request: Request[Any, Any, Any]) -> Accepted:
            await request.body()
            return Accepted(1, 0, 0)

        static = Litestar([accept], logging_config=None)
        static.state.runtime = app.state.runtime
        return static
    return app


def serve_way(way: str) -> None:
    """This process becomes the service, alone on the last core."""
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    serve.SERVICES = {"benchmark": serve.ServiceEntry("benchmarks.ingest_ways", 0, "/")}
    os.environ["INGEST"] = way
    serve.main(["benchmark", "--port", "0"])
