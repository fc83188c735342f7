"""How far a build is and what it waits for, as pg_stat_progress_create_index tells a second connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg
import msgspec

from easymo.indexes.observed import Connection

_INTERVAL_S = 0.25
_PROGRESS = """
select p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total, p.lockers_done, p.lockers_total,
  p.current_locker_pid as blocker_pid, coalesce(left(a.query, 80), '') as blocker_query
from pg_stat_progress_create_index p left join pg_stat_activity a on a.pid = p.current_locker_pid
where p.pid = $1
"""


class Glimpse(msgspec.Struct, frozen=True):
    """One look at a build. `done_ratio` is of this phase, 0 to 1, and None where Postgres does not count.

    While it waits for a transaction of somebody, `blocker_pid` and `blocker_query` name it.
    """

    index: str
    phase: str
    done_ratio: float | None
    blocker_pid: int | None
    blocker_query: str


Watch = Callable[[Glimpse], None]


@asynccontextmanager
async def watching(database_url: str, connection: Connection, index: str, watch: Watch | None) -> AsyncIterator[None]:
    """Call `watch` a few times a second while the block builds an index on `connection`."""
    if watch is None:
        yield
        return
    task = asyncio.create_task(_look(database_url, connection.get_server_pid(), index, watch))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await task  # a look that fails must not stop a build that goes on


async def _look(database_url: str, pid: int, index: str, watch: Watch) -> None:
    eyes = await asyncpg.connect(database_url, statement_cache_size=0)
    try:
        while True:
            row = await eyes.fetchrow(_PROGRESS, pid)
            if row is not None:
                watch(Glimpse(index, row["phase"], _done(row), row["blocker_pid"] or None, row["blocker_query"]))
            await asyncio.sleep(_INTERVAL_S)
    finally:
        eyes.terminate()


def _done(row: asyncpg.Record) -> float | None:
    for unit in ("tuples", "blocks", "lockers"):
        if row[f"{unit}_total"]:
            return min(1.0, float(row[f"{unit}_done"]) / float(row[f"{unit}_total"]))
    return None
