"""The statements that took the time, each with the name it has in its service and the plan that Postgres has for it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg
import msgspec

from easymo.indexes.declared import Declared
from easymo.indexes.explain import Explained, call, explain, prepare
from easymo.indexes.hotqueries import HotQuery, read_hot_queries
from easymo.indexes.observed import Connection
from easymo.indexes.parameters import preparable
from easymo.indexes.parser import SyntaxFault, fingerprint

_SERVICES = Path(__file__).parents[2]
_SLOWEST = 3
_LARGE_TABLE_ROWS = 10_000
"""Postgres is right to read a small table from end to end."""

_COUNTERS = """
select queryid, sum(calls)::bigint as calls, sum(total_exec_time) as total_ms from {view}
where dbid = (select oid from pg_database where datname = current_database()) and queryid is not null and toplevel
group by queryid having sum(calls) > 0
"""
_TEXT = "select query from {view} where queryid = $1 limit 1"
_ROWS = "select relname, reltuples from pg_class where relkind in ('r', 'p') and relname = any ($1)"
# What has a plan, and is not the look of a monitor at the server itself.
_PLANNED = re.compile(r"\s*(?:select|with|insert|update|delete|merge)\b(?!.*\bpg_)", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(r"^\s*--[^\n]*\n", re.MULTILINE)

Counters = Mapping[int, tuple[int, float]]
"""Calls and milliseconds by pg_stat_statements' queryid."""


class SlowStatement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement, what it has cost in the time looked at, and the plan that Postgres has for it without values.

    `name` is where it stands, `voice_bridge/live_calls`; it is empty for a statement of nobody's queries.sql. Such a
    one is only known without its constants, so that its plan cannot use a partial index that those would allow.
    `scanned` are large tables that the plan reads from end to end, `missing` the declared indexes on them that are not
    there. `plan` is empty where Postgres could not make one; then `no_plan_because`.
    """

    name: str
    statement: str
    calls: int
    mean_ms: float
    total_ms: float
    plan: list[str] = []
    no_plan_because: str = ""
    scanned: list[str] = []
    indexes: list[str] = []
    missing: list[str] = []


async def read_counters(connection: Connection, view: str) -> Counters:
    """The counters of this database now."""
    rows = await connection.fetch(_COUNTERS.format(view=view))
    return {row["queryid"]: (row["calls"], row["total_ms"]) for row in rows}


def difference(before: Counters, after: Counters) -> Counters:
    """The same for what ran between two readings; nothing for what did not run."""
    found = {}
    for query, (calls, total_ms) in after.items():
        earlier_calls, earlier_ms = before.get(query, (0, 0.0))
        if calls > earlier_calls:
            found[query] = (calls - earlier_calls, total_ms - earlier_ms)
    return found


async def slowest(
    connection: Connection, view: str, counters: Counters, missing: Sequence[Declared]
) -> list[SlowStatement]:
    """The three that took most of the time, of those that have a plan."""
    queries = read_hot_queries(sorted(_SERVICES.glob("*/queries.sql")))
    named = {fingerprint(query.text): query for query in reversed(queries)}  # of two alike, the first
    found: list[SlowStatement] = []
    for query, (calls, total_ms) in sorted(counters.items(), key=lambda entry: -entry[1][1]):
        text = await connection.fetchval(_TEXT.format(view=view), query)
        if text is None or not _PLANNED.match(_COMMENT.sub("", text)):
            continue
        spent = _spent(text, named, calls, total_ms)
        found.append(await _explained(connection, spent, missing))
        if len(found) == _SLOWEST:
            break
    return found


def _spent(text: str, named: Mapping[str, HotQuery], calls: int, total_ms: float) -> SlowStatement:
    """The statement as its service has it, since pg_stat_statements has put parameters in place of constants."""
    name = ""
    try:
        query = named.get(fingerprint(text))
    except SyntaxFault:  # a parameter stands where only a literal may
        query = None
    if query is not None:
        name, text = f"{query.path.parent.name}/{query.name}", query.text
    shown = " ".join(_COMMENT.sub("", text).split())
    return SlowStatement(
        name=name, statement=shown, calls=calls, mean_ms=round(total_ms / calls, 2), total_ms=round(total_ms, 1)
    )


async def _explained(connection: Connection, spent: SlowStatement, missing: Sequence[Declared]) -> SlowStatement:
    try:
        async with connection.transaction(readonly=True):
            plan, lines = await _generic_plan(connection, preparable(spent.statement).rstrip("; "))
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
