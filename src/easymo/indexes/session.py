"""The one connection that changes indexes: its own settings, one run at a time, and patience with locks.

What a run does, in this order:

1. **Connect** without settings, and look whether a pooler shares the session: there no setting, lock or concurrent
   build is safe.
2. **Timeouts.** `statement_timeout` and the limits of idle time are lifted: a build that they cut off leaves an
   invalid index. `lock_timeout` is set: a concurrent build takes SHARE UPDATE EXCLUSIVE, which no reader or writer
   waits for, but a DROP of a partitioned index does not, and whoever waits for such a lock holds up all who come
   later. `client_connection_check_interval` makes a backend end soon after its client was killed.
3. **One run at a time**: an advisory lock of the session, asked for again and again and never waited for. A waiting
   session holds a snapshot, and a concurrent build waits for every older snapshot: the two would wait for each
   other.
4. **Attempts.** A build waits three times for the transactions that are open then. When `lock_timeout` ends a wait,
   or Postgres breaks a deadlock, the attempt has failed and another follows, later each time; it looks first at
   what the one before has left. After the last one the error names who was in the way.
5. **The end** of the connection gives the advisory lock back, whatever has happened.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import asyncpg
import msgspec

from easymo.indexes.errors import AnotherRunError, ConnectError, LockError, VersionError
from easymo.indexes.observed import Connection, quote
from easymo.indexes.pooler import refuse_pooler
from easymo.indexes.progress import Tell

LOCK_TIMEOUT = timedelta(seconds=2)
OLDEST_VERSION = 14

# A backend whose client was killed sees it after the interval below; until then it holds the lock of its run.
_PATIENCE_S, _POLL_S = 3.0, 0.1
_CLIENT_CHECK = "set client_connection_check_interval = '500ms'"

# Those that this version has: the last one came with 17.
_NO_LIMITS = """
select set_config(name, '0', false) from pg_settings
where name in ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')
"""

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

    Raises ConnectError, VersionError, PoolerError, and AnotherRunError while another one is open; one that was killed a
    moment ago is waited for.
    """
    connection = await _connect(database_url)
    try:
        await refuse_pooler(connection, database_url)
        await _prepare(connection, lock_timeout)
        deadline = time.monotonic() + _PATIENCE_S
        # Never the waiting form: a session that waits for it holds a snapshot, which the other one's build waits for.
        while not await connection.fetchval("select pg_try_advisory_lock($1)", _RUN_LOCK):
            if time.monotonic() > deadline:
                raise AnotherRunError(await connection.fetchval(_RUN_LOCK_HOLDER, _RUN_LOCK))
            await asyncio.sleep(_POLL_S)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def reader(database_url: str) -> AsyncIterator[Connection]:
    """A connection for looking only. Raises ConnectError and VersionError."""
    connection = await _connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def _connect(database_url: str) -> Connection:
    try:
        # No settings here: a pooler would refuse them before it could be recognised.
        connection = await asyncpg.connect(
            database_url, statement_cache_size=0, server_settings={"application_name": "easymo indexes"}
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise ConnectError(str(error)) from error
    version = connection.get_server_version().major
    if version < OLDEST_VERSION:
        await connection.close()
        raise VersionError(version, OLDEST_VERSION)
    return connection


async def _prepare(connection: Connection, lock_timeout: timedelta) -> None:
    # A build that a limit of the role cuts off leaves an invalid index.
    await connection.execute("set statement_timeout = 0")
    await connection.execute(_NO_LIMITS)
    await connection.execute(f"set lock_timeout = {lock_timeout // timedelta(milliseconds=1)}")
    with suppress(asyncpg.InvalidParameterValueError):  # the server's system has no way to see it
        await connection.execute(_CLIENT_CHECK)


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
    raise LockError(index, retry.attempts, await open_transactions(connection))


async def drop(connection: Connection, schema: str, name: str) -> None:
    """Drop an index without blocking anybody, if it is there."""
    await connection.execute(f"drop index concurrently if exists {quote(schema)}.{quote(name)}")


async def open_transactions(connection: Connection) -> list[str]:
    """The three oldest open transactions of others in this database, in words: a build waits for their end."""
    rows = await connection.fetch(_OPEN_TRANSACTIONS)
    return [f"backend {row['pid']}, {row['state']}, open for {row['seconds']} s ({row['query']})" for row in rows]
