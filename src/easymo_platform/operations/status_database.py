"""What Postgres says: which statements take the time, how it would run them, and which indexes lack or lie idle."""

import asyncio
import re
from collections.abc import Mapping, Sequence

import asyncpg
import msgspec

from easymo.indexes import IndexesError, read_declared
from easymo.indexes.declared import Declared
from easymo.indexes.explain import Explained, call, explain, prepare
from easymo.indexes.observed import Connection, find_table, indexes_on, observed_index
from easymo.indexes.parameters import preparable
from easymo.indexes.state import index_states, usage
from easymo.indexes.statements import VIEW
from easymo_platform.operations.migrate import MIGRATIONS

INDEX_MIGRATION = MIGRATIONS / "20251129000000_performance_optimization.sql"

_CONNECT_S = 5
_STATEMENT_S = 3
_SLOWEST = 3
_LARGE_TABLE_ROWS = 10_000
"""Postgres is right to read a small table from end to end."""

_COUNTERS = """
select queryid, sum(calls)::bigint as calls, sum(total_exec_time) as total_ms from {view}
where dbid = (select oid from pg_database where datname = current_database()) and queryid is not null and toplevel
group by queryid having sum(calls) > 0
"""
_TEXT = "select query from {view} where queryid = $1 limit 1"
_CONNECTIONS = """
select count(*) as open,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as maximum
from pg_stat_activity where backend_type = 'client backend'
"""
_ROWS = "select c.relname, c.reltuples::bigint from pg_class c where c.relkind in ('r', 'p') and c.relname = any ($1)"
_TABLES = "select oid from pg_class where relkind in ('r', 'p') and relnamespace = to_regnamespace('public')"

# What has a plan, and is not the look of a monitor at the server itself.
_PLANNED = re.compile(r"\s*(?:select|with|insert|update|delete|merge)\b(?!.*\bpg_)", re.IGNORECASE | re.DOTALL)

Counters = Mapping[int, tuple[int, float]]


class SlowStatement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement, what it has cost in the time looked at, and the plan that Postgres has for it without values.

    `scanned` are large tables that the plan reads from end to end, `missing` the declared indexes on them that are not
    there. `plan` is empty where Postgres could not make one; then `no_plan_because`.
    """

    statement: str
    calls: int
    mean_ms: float
    total_ms: float
    plan: list[str] = []
    no_plan_because: str = ""
    scanned: list[str] = []
    indexes: list[str] = []
    missing: list[str] = []


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
    before = await _counters(connection, view) if view else {}
    await asyncio.sleep(seconds)
    open_now = await connection.fetchrow(_CONNECTIONS)
    assert open_now is not None
    missing = await _missing(connection)
    slow: list[SlowStatement] = []
    since = "are not known without pg_stat_statements in this database"
    if view:
        after = await _counters(connection, view)
        slow, since = await _slowest(connection, view, difference(before, after), missing), f"in {seconds:g} s"
        if not slow:
            slow, since = await _slowest(connection, view, after, missing), "since Postgres counts"
    return DatabaseStatus(
        connections=open_now["open"],
        max_connections=open_now["maximum"],
        slow=slow,
        slow_since=since,
        missing_indexes=[index.name for index in missing],
        unused_indexes=await _unused(connection),
    )


def difference(before: Counters, after: Counters) -> dict[int, tuple[int, float]]:
    """Calls and milliseconds of every statement that ran between two readings."""
    found = {}
    for query, (calls, total_ms) in after.items():
        earlier_calls, earlier_ms = before.get(query, (0, 0.0))
        if calls > earlier_calls:
            found[query] = (calls - earlier_calls, total_ms - earlier_ms)
    return found


async def _counters(connection: Connection, view: str) -> dict[int, tuple[int, float]]:
    rows = await connection.fetch(_COUNTERS.format(view=view))
    return {row["queryid"]: (row["calls"], row["total_ms"]) for row in rows}


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


async def _slowest(
    connection: Connection, view: str, counters: Counters, missing: Sequence[Declared]
) -> list[SlowStatement]:
    """Those that took most of the time, of those that have a plan."""
    found: list[SlowStatement] = []
    for query, (calls, total_ms) in sorted(counters.items(), key=lambda entry: -entry[1][1]):
        text = await connection.fetchval(_TEXT.format(view=view), query)
        if text is not None and _PLANNED.match(text):
            found.append(await _explained(connection, text, calls, total_ms, missing))
        if len(found) == _SLOWEST:
            break
    return found


async def _explained(
    connection: Connection, text: str, calls: int, total_ms: float, missing: Sequence[Declared]
) -> SlowStatement:
    spent = SlowStatement(
        statement=" ".join(text.split()), calls=calls, mean_ms=round(total_ms / calls, 2), total_ms=round(total_ms, 1)
    )
    try:
        async with connection.transaction(readonly=True):
            plan, lines = await _generic_plan(connection, preparable(text).rstrip("; \n"))
            rows = await connection.fetch(_ROWS, list(plan.scanned))
    except asyncpg.PostgresError as error:
        return msgspec.structs.replace(spent, no_plan_because=str(error))
    large = {row["relname"] for row in rows if row["reltuples"] >= _LARGE_TABLE_ROWS}
    return msgspec.structs.replace(
        spent,
        plan=lines,
        scanned=sorted(large),
        indexes=list(plan.indexes),
        missing=[index.name for index in missing if index.definition.table in large],
    )


async def _generic_plan(connection: Connection, text: str) -> tuple[Explained, list[str]]:
    """The plan for any values, read and as Postgres prints it; the statement is not run."""
    execute = call([None] * len(await prepare(connection, text)))
    plan = await explain(connection, execute, generic=True)
    await connection.execute("set local plan_cache_mode = force_generic_plan")
    return plan, [row[0] for row in await connection.fetch(f"explain (costs off) {execute}")]
