"""The one connection that changes indexes: its own settings, one run at a time, and patience with locks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import msgspec

from easymo.indexes.errors import AnotherRunError, ConnectError, LockError
from easymo.indexes.observed import Connection, quote
from easymo.indexes.progress import Tell

LOCK_TIMEOUT = timedelta(seconds=2)

# Advisory locks belong to a database; the number only has to be ours.
_RUN_LOCK = int.from_bytes(b"easymoix")
_RUN_LOCK_HOLDER = """
select pid from pg_locks
where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())
  and (classid::bigint << 32) | objid::bigint = $1
"""
_OPEN_TRANSACTIONS = """
select pid, state, extract(epoch from now() - xact_start)::bigint as seconds, left(query, 80) as query
from pg_stat_activity
where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()
order by xact_start
limit 3
"""


class Retry(msgspec.Struct, frozen=True):
    """How often a step that got no lock is tried, and how long to wait between: doubling up to `longest_delay`."""

    attempts: int = 10
    first_delay: timedelta = timedelta(milliseconds=250)
    longest_delay: timedelta = timedelta(seconds=5)

    def delay(self, attempt: int) -> timedelta:
        """The wait after the attempt of this number, counted from 1."""
        return min(self.longest_delay, self.first_delay * (1 << (attempt - 1)))


@asynccontextmanager
async def only_run(database_url: str, lock_timeout: timedelta) -> AsyncIterator[Connection]:
    """A connection in autocommit whose lock waits end after `lock_timeout`.

    Raises ConnectError, and AnotherRunError while another one is open.
    """
    connection = await _connect(database_url, lock_timeout)
    try:
        # Never the waiting form: a session that waits for it holds a snapshot, which the other one's build waits for.
        if not await connection.fetchval("select pg_try_advisory_lock($1)", _RUN_LOCK):
            raise AnotherRunError(await connection.fetchval(_RUN_LOCK_HOLDER, _RUN_LOCK))
        yield connection
    finally:
        await connection.close()


async def _connect(database_url: str, lock_timeout: timedelta) -> Connection:
    try:
        return await asyncpg.connect(
            database_url,
            statement_cache_size=0,
            server_settings={
                "application_name": "easymo indexes",
                "lock_timeout": str(lock_timeout // timedelta(milliseconds=1)),
                "statement_timeout": "0",  # a build that a role's limit cuts off leaves an invalid index
            },
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise ConnectError(str(error)) from error


async def with_retries(
    connection: Connection,
    index: str,
    retry: Retry,
    attempt_once: Callable[[], Awaitable[None]],
    tell: Tell,
) -> int:
    """Try until the locks are there; `tell("wait", attempt, delay)` is called before each wait.

    Returns the number of attempts. Raises LockError after the last one, naming the open transactions.
    """
    for attempt in range(1, retry.attempts + 1):
        try:
            await attempt_once()
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            if attempt < retry.attempts:
                tell("wait", attempt, retry.delay(attempt))
                await asyncio.sleep(retry.delay(attempt).total_seconds())
        else:
            return attempt
    raise LockError(index, retry.attempts, await _open_transactions(connection))


async def drop(connection: Connection, schema: str, name: str) -> None:
    """Drop an index without blocking anybody, if it is there."""
    await connection.execute(f"drop index concurrently if exists {quote(schema)}.{quote(name)}")


async def _open_transactions(connection: Connection) -> list[str]:
    rows = await connection.fetch(_OPEN_TRANSACTIONS)
    return [f"backend {row['pid']}, {row['state']}, open for {row['seconds']} s ({row['query']})" for row in rows]
