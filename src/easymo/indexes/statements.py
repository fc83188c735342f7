"""Counters of pg_stat_statements before and after a deployment: what happened to each query (basis: observed)."""

from datetime import datetime
from pathlib import Path

import asyncpg
import msgspec

from easymo.indexes.errors import CountersError
from easymo.indexes.observed import Connection
from easymo.indexes.session import reader

_COUNTERS = """
select queryid::text as id, min(query) as query, sum(calls)::bigint as calls, sum(total_exec_time) as total_ms,
  sum(shared_blks_hit + shared_blks_read)::bigint as buffers
from {view} where dbid = (select oid from pg_database where datname = current_database()) and queryid is not null
group by queryid
"""
VIEW = """
select quote_ident(n.nspname) || '.pg_stat_statements'
from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements'
"""
# 1.9 came with PostgreSQL 14; pg_upgrade leaves the extension as it was.
_OUTDATED = """
select extversion from pg_extension
where extname = 'pg_stat_statements' and string_to_array(extversion, '.')::int[] < '{1,9}'
"""
_TEXT_LENGTH = 200


class Counter(msgspec.Struct, frozen=True):
    """What a query has cost since the counters began."""

    id: str
    query: str
    calls: int
    total_ms: float
    buffers: int


class Counters(msgspec.Struct, frozen=True):
    """All queries of one database at one moment; `began` is when Postgres last reset them."""

    database: str
    at: datetime
    began: datetime | None
    queries: list[Counter]


class Observed(msgspec.Struct, frozen=True):
    """A query before and after the snapshot. The means are None in a period without calls."""

    query: str
    calls_before: int
    calls_after: int
    mean_ms_before: float | None
    mean_ms_after: float | None
    buffers_before: float | None
    buffers_after: float | None


async def counters_view(connection: Connection) -> str:
    """The view pg_stat_statements, with its schema. Raises CountersError where it is missing, or from before 14."""
    view = await connection.fetchval(VIEW)
    if view is None:
        raise CountersError("pg_stat_statements is not installed in this database: CREATE EXTENSION pg_stat_statements")
    if outdated := await connection.fetchval(_OUTDATED):
        raise CountersError(
            f"the extension pg_stat_statements is still at version {outdated}, from before PostgreSQL 14: ALTER "
            "EXTENSION pg_stat_statements UPDATE"
        )
    return str(view)


async def read_counters(database_url: str) -> Counters:
    """The counters now. Raises ConnectError, and CountersError as `counters_view` does."""
    async with reader(database_url) as connection:
        view = await counters_view(connection)
        try:
            rows = await connection.fetch(_COUNTERS.format(view=view))
            began = await connection.fetchval(f"select stats_reset from {view}_info")
        except asyncpg.PostgresError as error:
            raise CountersError(str(error)) from error
        now = await connection.fetchrow("select current_database() as database, now() as at")
        assert now is not None
        queries = [
            Counter(r["id"], " ".join(r["query"].split())[:_TEXT_LENGTH], r["calls"], r["total_ms"], r["buffers"])
            for r in rows
        ]
        return Counters(now["database"], now["at"], began, queries)


def write_snapshot(counters: Counters, file: Path) -> None:
    """Keep counters for `compare`."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(counters)) + b"\n")


def read_snapshot(file: Path) -> Counters:
    """Counters that `write_snapshot` kept. Raises CountersError."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Counters)
    except (OSError, msgspec.DecodeError) as error:
        raise CountersError(f"{file} is no snapshot of `easymo indexes verify --snapshot`: {error}") from error


def compare(before: Counters, now: Counters) -> list[Observed]:
    """Each query until the snapshot and since, those with the most time since first.

    Raises CountersError when the snapshot is of another database, or the counters were reset in between.
    """
    if before.database != now.database:
        raise CountersError(f"the snapshot is of database {before.database}, not of {now.database}")
    if before.began != now.began:
        raise CountersError(
            f"the counters were reset at {now.began}, after the snapshot, so that nothing can be compared"
        )
    old = {query.id: query for query in before.queries}
    found = []
    for query in now.queries:
        was = old.get(query.id, Counter(query.id, query.query, 0, 0.0, 0))
        calls, total_ms = query.calls - was.calls, query.total_ms - was.total_ms
        row = Observed(
            query.query,
            was.calls,
            calls,
            _mean(was.total_ms, was.calls),
            _mean(total_ms, calls),
            _mean(was.buffers, was.calls),
            _mean(query.buffers - was.buffers, calls),
        )
        found.append((total_ms, row))
    return [row for _, row in sorted(found, key=lambda pair: -pair[0])]


def _mean(total: float, calls: int) -> float | None:
    return round(total / calls, 4) if calls > 0 else None
