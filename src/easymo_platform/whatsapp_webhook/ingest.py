"""Ingest by group commit: requests that arrive while one statement runs share the next one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from time import perf_counter
from typing import NamedTuple
from uuid import UUID

from prometheus_client import Counter

from easymo_platform.runtime.database import Database
from easymo_platform.runtime.errors import DatabaseError, ServiceError
from easymo_platform.whatsapp_webhook.model import Accepted, Delivery, Inbound, StatusReport

BATCH_MAX_REQUESTS = 256


class _Waiting(NamedTuple):
    digest: bytes
    delivery: Delivery
    received: float
    answer: asyncio.Future[Accepted]


class Ingest:
    """Stores deliveries. One statement at a time per process, so that messages keep the order of their arrival."""

    def __init__(self, database: Database, duplicates: Counter, messages: Counter) -> None:
        self._database = database
        self._duplicates = duplicates
        self._messages = messages
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()

    async def store(self, body: bytes, delivery: Delivery) -> Accepted:
        """Returns once everything in ``delivery`` is committed.

        Raises:
            DatabaseError: it is not stored, or not known to be: the provider must deliver it again.
            ServiceError: 400, when Postgres has no form for a value of this delivery.
        """
        answer: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(sha256(body).digest(), delivery, perf_counter(), answer))
        self._arrived.set()
        return await answer

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Stores in the background for the length of the block; what has arrived is stored before it ends."""
        task = asyncio.create_task(self._store_for_ever(), name="ingest")
        try:
            yield
        finally:
            while self._waiting:
                await self._store_waiting()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _store_for_ever(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._store_waiting()

    async def _store_waiting(self) -> None:
        batch, self._waiting = self._waiting[:BATCH_MAX_REQUESTS], self._waiting[BATCH_MAX_REQUESTS:]
        try:
            await self._store(batch)
        except ServiceError:
            # One of them holds a value that Postgres cannot store: the others must not suffer from it.
            for one in batch:
                try:
                    await self._store([one])
                except (ServiceError, DatabaseError) as error:
                    _fail(one, error)
        except DatabaseError as error:
            for one in batch:
                _fail(one, error)

    async def _store(self, batch: list[_Waiting]) -> None:
        new = await self._store_messages(batch)
        reports = [report for one in batch for report in one.delivery.statuses]
        changed = await self._apply(reports) if reports else set()
        for one in batch:
            messages, statuses = one.delivery.messages, one.delivery.statuses
            duplicates = sum(message.id not in new for message in messages)
            duplicates += sum(report.wamid not in changed for report in statuses)
            if duplicates:
                self._duplicates.labels("whatsapp-webhook").inc(duplicates)
            if not one.answer.done():  # the client may have gone
                one.answer.set_result(Accepted(len(messages), len(statuses), duplicates))

    async def _store_messages(self, batch: list[_Waiting]) -> set[UUID]:
        now = perf_counter()
        messages: list[Inbound] = [message for one in batch for message in one.delivery.messages]
        rows = await self._database.fetch(
            "store_deliveries",
            body_sha256=[one.digest for one in batch],
            entries=[one.delivery.entries for one in batch],
            ack_ms=[1000 * (now - one.received) for one in batch],
            ids=[message.id for message in messages],
            wamids=[message.wamid for message in messages],
            from_numbers=[message.from_number for message in messages],
            to_numbers=[message.to_number for message in messages],
            phone_number_ids=[message.phone_number_id for message in messages],
            message_types=[message.message_type for message in messages],
            bodies=[message.body for message in messages],
            payloads=[message.payload for message in messages],
            provider_times=[message.provider_ts for message in messages],
            statuses=["pending" if message.pending else "skipped" for message in messages],
        )
        new = {row["id"] for row in rows}
        for message in messages:
            if message.id in new:
                status = "pending" if message.pending else "skipped"
                self._messages.labels("whatsapp-webhook", "inbound", status).inc()
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
