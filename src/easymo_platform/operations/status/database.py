"""What Postgres says: its connections, the statements that take the time, which indexes lack and which lie idle."""

import asyncio

import asyncpg
import msgspec

from easymo.indexes import IndexesError, read_declared
from easymo.indexes.declared import Declared
from easymo.indexes.observed import Connection, find_table, indexes_on, observed_index
from easymo.indexes.state import index_states, usage
from easymo.indexes.statements import VIEW
from easymo_platform.operations.migrate import MIGRATIONS
from easymo_platform.operations.status.statements import SlowStatement, difference, read_counters, slowest

INDEX_MIGRATION = MIGRATIONS / "20251129000000_performance_optimization.sql"

_CONNECT_S = 5
_STATEMENT_S = 3

# pg_stat_activity hides what kind of backend it shows from those who may not see statements of others.
_CONNECTIONS = """
select sum(numbackends)::int as open,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as maximum
from pg_stat_database
"""
_TABLES = "select oid from pg_class where relkind in ('r', 'p') and relnamespace = to_regnamespace('public')"


class IdleIndex(msgspec.Struct, frozen=True):
    """An index that no read has used since Postgres counts."""

    index: str
    table: str
    size_bytes: int


class DatabaseStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The server and this database. `slow_since` says what `slow` counts: the time looked at, or all there was."""

    unreachable_because: str = ""
    connections: int = 0
    max_connections: int = 0
    slow: list[SlowStatement] = []
    slow_since: str = ""
    missing_indexes: list[str] = []
    unused_indexes: list[IdleIndex] = []


async def database_status(url: str | None, seconds: float) -> DatabaseStatus:
    """Looks for that long. Nothing is run but reads of the catalogue and EXPLAIN, and no read for more than 3 s."""
    if not url:
        return DatabaseStatus(unreachable_because="no address: pass --database-url or set DATABASE_URL")
    settings = {
        "application_name": "easymo status",
        "statement_timeout": f"{_STATEMENT_S}s",
        "default_transaction_read_only": "on",
    }
    try:
        connection = await asyncpg.connect(
            url, timeout=_CONNECT_S, command_timeout=_CONNECT_S, statement_cache_size=0, server_settings=settings
        )
        try:
            return await _look(connection, seconds)
        finally:
            await connection.close(timeout=_CONNECT_S)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        return DatabaseStatus(unreachable_because=str(error) or type(error).__name__)
    except IndexesError as error:
        return DatabaseStatus(unreachable_because=f"it is not the platform's database: {error}")


async def _look(connection: Connection, seconds: float) -> DatabaseStatus:
    view = await connection.fetchval(VIEW)
    before = await read_counters(connection, view) if view else {}
    await asyncio.sleep(seconds)
    open_now = await connection.fetchrow(_CONNECTIONS)
    assert open_now is not None
    missing = await _missing(connection)
    slow: list[SlowStatement] = []
    since = "are not known without pg_stat_statements in this database"
    if view:
        after = await read_counters(connection, view)
        slow, since = await slowest(connection, view, difference(before, after), missing), f"in {seconds:g} s"
        if not slow:
            slow, since = await slowest(connection, view, after, missing), "since Postgres counts"
    return DatabaseStatus(
        connections=open_now["open"],
        max_connections=open_now["maximum"],
        slow=slow,
        slow_since=since,
        missing_indexes=[index.name for index in missing],
        unused_indexes=await _unused(connection),
    )


async def _missing(connection: Connection) -> list[Declared]:
    """Declared indexes that are not there, or are an invalid rest."""
    missing = []
    for index in read_declared(INDEX_MIGRATION):
        table = await find_table(connection, index.definition)
        there = await observed_index(connection, table.schema, index.name)
        if there is None or not there.valid:
            missing.append(index)
    return missing


async def _unused(connection: Connection) -> list[IdleIndex]:
    """The largest first. None where a replica may use what this server does not."""
    tables = [row["oid"] for row in await connection.fetch(_TABLES)]
    states = index_states(await indexes_on(connection, tables), {}, await usage(connection, ()))
    idle = [IdleIndex(state.index, state.table, state.size_bytes) for state in states if state.remark == "unused"]
    return sorted(idle, key=lambda index: index.size_bytes, reverse=True)
