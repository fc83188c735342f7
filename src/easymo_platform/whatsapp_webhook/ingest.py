"""Ingest by group commit: requests that arrive while one statement runs share the next one."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from time import perf_counter
from typing import NamedTuple
from uuid import UUID

import msgspec
import structlog
from prometheus_client import Counter

from easymo_platform.runtime.background import in_background
from easymo_platform.runtime.database import Database
from easymo_platform.runtime.errors import DatabaseError, ServiceError
from easymo_platform.whatsapp_webhook.delivery import Delivery, Event, Inbound, StatusReport, as_text
from easymo_platform.whatsapp_webhook.model import Accepted

BATCH_MAX_REQUESTS = 256
BATCH_MAX_BYTES = 4 * 1024 * 1024
"""Of bodies, beyond the first: one statement holds all of them in memory, here and in Postgres."""


class _Request(msgspec.Struct, frozen=True):
    """A request as it is stored."""

    body_sha256: str
    entries: int
    ack_ms: float


class _Waiting(NamedTuple):
    sha256: str
    size_bytes: int
    delivery: Delivery
    received: float
    answer: asyncio.Future[Accepted]


_log = structlog.get_logger(__name__)


class Ingest:
    """Stores deliveries. One statement at a time per process, so that messages keep the order of their arrival.

    The next one takes whatever has arrived when the one before is committed; nobody waits for company.
    """

    def __init__(self, database: Database, duplicates: Counter, messages: Counter, events: Counter) -> None:
        self._database = database
        self._duplicates = duplicates.labels("whatsapp-webhook")
        self._messages = messages
        self._events = events
        self._pending = messages.labels("whatsapp-webhook", "inbound", "pending")
        self._skipped = messages.labels("whatsapp-webhook", "inbound", "skipped")
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()

    async def store(self, body: bytes, delivery: Delivery, received: float) -> Accepted:
        """Returns once everything in ``delivery`` is committed. ``received``: when it came, by ``perf_counter``.

        Raises:
            DatabaseError: it is not stored, or not known to be: the provider must deliver it again.
            ServiceError: 400, when Postgres has no form for a value of this delivery.
        """
        answer: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(sha256(body).hexdigest(), len(body), delivery, received, answer))
        self._arrived.set()
        return await answer

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Stores in the background for the length of the block; what has arrived is stored before it ends."""
        async with in_background(self._store_for_ever, "ingest"):
            try:
                yield
            finally:
                while self._waiting:
                    await self._store_batch(self._next_batch())

    async def _store_for_ever(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._store_batch(self._next_batch())

    def _next_batch(self) -> list[_Waiting]:
        waiting = self._waiting
        batch = [waiting.popleft()]
        size_bytes = 0
        while waiting and len(batch) < BATCH_MAX_REQUESTS and size_bytes + waiting[0].size_bytes <= BATCH_MAX_BYTES:
            size_bytes += waiting[0].size_bytes
            batch.append(waiting.popleft())
        return batch

    async def _store_batch(self, batch: list[_Waiting]) -> None:
        try:
            await self._store(batch)
        except ServiceError:
            # One of them holds a value that Postgres cannot store: the others must not suffer from it.
            for one in batch:
                try:
                    await self._store_alone(one)
                except (ServiceError, DatabaseError) as error:
                    _fail(one, error)
        except DatabaseError as error:
            for one in batch:
                _fail(one, error)

    async def _store_alone(self, one: _Waiting) -> None:
        """A delivery with a value that Postgres has no form for: its payloads are kept as text, not as JSON."""
        try:
            await self._store([one])
        except ServiceError:
            _log.warning("payload_kept_as_text", sha256=one.sha256)
            await self._store([one._replace(delivery=as_text(one.delivery))])

    async def _store(self, batch: list[_Waiting]) -> None:
        new = await self._store_messages(batch)
        reports = [report for one in batch for report in one.delivery.statuses]
        changed = await self._apply(reports) if reports else set()
        for one in batch:
            messages, statuses = one.delivery.messages, one.delivery.statuses
            duplicates = 0
            for message in messages:
                duplicates += message.id not in new
            for report in statuses:
                duplicates += report.wamid not in changed
            if duplicates:
                self._duplicates.inc(duplicates)
            if not one.answer.done():  # the client may have gone
                one.answer.set_result(Accepted(len(messages), len(statuses), duplicates))

    async def _store_messages(self, batch: list[_Waiting]) -> set[UUID]:
        now = perf_counter()
        messages: list[Inbound] = [message for one in batch for message in one.delivery.messages]
        requests = [_Request(one.sha256, one.delivery.entries, 1000 * (now - one.received)) for one in batch]
        events: list[Event] = [event for one in batch for event in one.delivery.events]
        given = {"requests": requests, "messages": messages, "events": events}
        deliveries = msgspec.json.encode(given).decode()
        rows = await self._database.fetch("store_deliveries", deliveries=deliveries)
        new = {row["id"] for row in rows}
        pending = sum([message.pending for message in messages if message.id in new])
        self._pending.inc(pending)
        self._skipped.inc(len(new) - pending)
        for event in events:
            self._events.labels("whatsapp-webhook", event.kind[:40] if event.act else "other").inc()
        return new

    async def _apply(self, reports: list[StatusReport]) -> set[str]:
        rows = await self._database.fetch(
            "apply_statuses",
            wamids=[report.wamid for report in reports],
            message_ids=[report.message_id for report in reports],
            statuses=[report.status for report in reports],
            times=[report.at for report in reports],
            error_codes=[report.error_code for report in reports],
            error_titles=[report.error_title for report in reports],
        )
        came_to = {row["id"]: row["status"] for row in rows if row["changed"] and row["status"] != row["old_status"]}
        for status in came_to.values():
            self._messages.labels("whatsapp-webhook", "outbound", status).inc()
        return {row["wamid"] for row in rows if row["changed"]}


def _fail(one: _Waiting, error: Exception) -> None:
    if not one.answer.done():
        one.answer.set_exception(error)
