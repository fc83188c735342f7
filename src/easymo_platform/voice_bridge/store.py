"""Reads and writes of calls. Every write goes through here, and drops what it made stale after its commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import asyncpg
from prometheus_client import Counter

from easymo.cache import CacheService
from easymo.cache.commit import Later
from easymo_platform.runtime.database import Database, Session
from easymo_platform.runtime.errors import ServiceError
from easymo_platform.voice_bridge.model import (
    Call,
    CallbackOutcome,
    CallList,
    CallSummary,
    ChangedCall,
    ConsentRecord,
    LiveCall,
    Segments,
    predecessors,
    predecessors_for_provider,
)
from easymo_platform.voice_bridge.strategies import drop_all_lists, drop_cached

STUCK_AFTER = timedelta(hours=4)
SWEEP_BATCH = 100


class Moved(Enum):
    """What came of an attempt to change a call's status."""

    YES = "yes"
    ALREADY_THERE = "already there"
    ILLEGAL = "illegal"


def call_not_found(call_id: UUID) -> ServiceError:
    """The 404 of an unknown call."""
    return ServiceError(404, "call_not_found", f"There is no call {call_id}.")


def standing_at(current: asyncpg.Record | None, call_id: UUID, wanted: str) -> Moved:
    """What became of a move that changed nothing. Raises the 404 for an unknown call."""
    if current is None:
        raise call_not_found(call_id)
    return Moved.ALREADY_THERE if current["status"] == wanted else Moved.ILLEGAL


class Transaction:
    """One transaction that writes calls."""

    def __init__(self, session: Session, later: Later) -> None:
        self.session = session
        self.came_to: list[str] = []
        self._later = later

    def changed(self, row: asyncpg.Record, status: str | None = None) -> None:
        """Note a call that was written: what shows it is dropped from the cache after the commit."""
        drop_cached(self._later, ChangedCall(**row))
        if status is not None:
            self.came_to.append(status)

    async def move(self, call_id: UUID, status: str, allowed: tuple[str, ...], duration_s: int | None = None) -> Moved:
        """The only writer of the life cycle: a compare-and-set from one of the ``allowed`` statuses to ``status``.

        Of two concurrent moves one wins; the other sees the row as the winner left it. Raises the 404 for an unknown
        call.
        """
        if allowed:
            change = {"call_id": call_id, "status": status, "predecessors": allowed, "duration_seconds": duration_s}
            row = await self.session.fetch_row("set_call_status", **change)
            if row is not None:
                self.changed(row, status)
                return Moved.YES
        return standing_at(await self.session.fetch_row("call_status", call_id=call_id), call_id, status)


class CallStore:
    """Calls in Postgres. Raises :class:`~easymo_platform.runtime.errors.DatabaseError` when Postgres fails."""

    def __init__(self, database: Database, cache: CacheService, moved: Counter) -> None:
        self._database = database
        self._cache = cache
        self._moved = moved

    async def live(self, limit: int) -> list[LiveCall]:
        """The newest ``limit`` calls that are pending, ringing or active."""
        if limit > 15:
            rows = await self._database.fetch("live_calls_up_to", limit=limit)
        else:
            rows = await self._database.fetch("live_calls")
        return [LiveCall(**row) for row in rows[:limit]]

    async def active(self, limit: int) -> list[LiveCall]:
        """The newest ``limit`` active calls of the last 24 hours."""
        rows = await self._database.fetch("active_calls_of_last_day")
        return [LiveCall(**row) for row in rows[:limit]]

    async def by_id(self, call_id: UUID) -> Call:
        """One call; raises the 404 for an unknown one."""
        row = await self._database.fetch_row("call_by_id", call_id=call_id)
        if row is None:
            raise call_not_found(call_id)
        return Call(**row)

    async def to_number(self, number: str) -> CallList:
        """The newest 50 calls to a number."""
        return _summaries(await self._database.fetch("calls_to_number", to_number=number))

    async def of_user(self, user_id: UUID) -> CallList:
        """The newest 50 calls of a user."""
        return _summaries(await self._database.fetch("calls_of_user", user_id=user_id))

    async def create(self, call_id: UUID, columns: dict[str, Any]) -> Call | None:
        """Insert a pending call. Returns the call that has the id already, `None` if there was none.

        Raises the 409 for a person who wants no calls.
        """
        row = await self._write("insert_call", "pending", call_id=call_id, **columns)
        if row is not None:
            return None
        earlier = await self._database.fetch_row("call_by_id", call_id=call_id)
        if earlier is None:
            raise ServiceError(409, "opted_out", "This person wants no calls.")
        return Call(**earlier)

    async def change_status(self, call_id: UUID, status: str) -> Moved:
        """Move a call on behalf of one of our own callers."""
        allowed = predecessors(status)
        change = {"call_id": call_id, "status": status, "predecessors": allowed, "duration_seconds": None}
        if allowed and await self._write("set_call_status", status, **change) is not None:
            return Moved.YES
        return standing_at(await self._database.fetch_row("call_status", call_id=call_id), call_id, status)

    async def apply_callback(
        self, sid: str, status: str, sequence_number: int | None, duration_s: int | None, payload: dict[str, str]
    ) -> CallbackOutcome:
        """Record a provider's callback and move its call as far as it says. 404 for a call we did not place."""
        async with self._transaction() as transaction:
            call = await transaction.session.fetch_row("call_of_provider", provider_call_sid=sid)
            if call is None:
                raise ServiceError(404, "call_not_found", "There is no call with this CallSid.")
            if sequence_number is not None:
                event = {"call_id": call["id"], "provider_call_sid": sid, "sequence_number": sequence_number}
                if (
                    await transaction.session.fetch_row(
                        "insert_call_event", type=f"status.{status}", payload=payload, **event
                    )
                    is None
                ):
                    return CallbackOutcome.DUPLICATE
            allowed = predecessors_for_provider(status)
            moved = await transaction.move(call["id"], status, allowed, duration_s)
            return CallbackOutcome.APPLIED if moved is Moved.YES else CallbackOutcome.IGNORED

    async def record_consent(self, call_id: UUID, consent: ConsentRecord) -> None:
        """Store that the callee agreed; raises the 404 for an unknown call."""
        async with self._transaction() as transaction:
            given = {"call_id": call_id, "recorded_at": consent.recorded_at, "media_url": consent.media_url}
            row = await transaction.session.fetch_row("set_call_consent", channel=consent.channel, **given)
            if row is None:
                raise call_not_found(call_id)
            await transaction.session.fetch("insert_consent", **given)
            transaction.changed(row)

    async def capture(self, call_id: UUID, piece: Segments) -> None:
        """Store a piece of transcript; raises the 404 for an unknown call."""
        async with self._transaction() as transaction:
            row = await transaction.session.fetch_row("set_call_transcript", call_id=call_id, locale=piece.locale)
            if row is None:
                raise call_not_found(call_id)
            segments = piece.segments
            await transaction.session.fetch(
                "upsert_segments",
                call_id=call_id,
                sequences=[segment.sequence for segment in segments],
                speakers=[segment.speaker for segment in segments],
                texts=[segment.text for segment in segments],
                confidences=[segment.confidence for segment in segments],
                starts=[segment.started_at for segment in segments],
                ends=[segment.ended_at for segment in segments],
            )
            transaction.changed(row)

    async def fail_stuck_calls(self) -> int:
        """Fail up to :data:`SWEEP_BATCH` live calls that nobody has touched for :data:`STUCK_AFTER`.

        Returns how many; 0 as well when another replica is at it.
        """
        async with self._transaction() as transaction:
            lock = await transaction.session.fetch_row("try_sweep_lock")
            if lock is None or not lock["locked"]:
                return 0
            stuck = await transaction.session.fetch("stuck_calls", age=STUCK_AFTER, limit=SWEEP_BATCH)
            moves = [await transaction.move(row["id"], "failed", predecessors("failed")) for row in stuck]
            return moves.count(Moved.YES)

    async def count_live(self) -> int:
        """How many calls are live now."""
        row = await self._database.fetch_row("count_live_calls")
        return int(row["live"]) if row else 0

    async def _write(self, name: str, came_to: str, **arguments: Any) -> asyncpg.Record | None:
        """One statement that commits by itself, then drop what it made stale.

        When its outcome is unknown (the connection broke), it is not known either which lists show the call: they all
        go.
        """
        later = Later()
        try:
            row = await self._database.fetch_row(name, **arguments)
        except BaseException:
            await asyncio.shield(drop_all_lists(self._cache, arguments["call_id"]))
            raise
        if row is not None:
            drop_cached(later, ChangedCall(**row))
            await later.send(self._cache)
            self._moved.labels("voice-bridge", came_to).inc()
        return row

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        async with self._database.session() as session, self._cache.after_commit(session.connection) as later:
            transaction = Transaction(session, later)
            yield transaction
        for status in transaction.came_to:
            self._moved.labels("voice-bridge", status).inc()


def _summaries(rows: list[asyncpg.Record]) -> CallList:
    return CallList([CallSummary(**row) for row in rows])
