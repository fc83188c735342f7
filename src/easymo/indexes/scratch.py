"""A copy of some tables on a scratch server, where indexes can be built, hidden and dropped without harm.

The source is only read. A copy holds the columns, the rows (or a sample of them) and the valid indexes; no foreign
keys, checks or triggers. Partitioned tables become plain ones.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from easymo.indexes.errors import ScratchError
from easymo.indexes.observed import Connection, quote
from easymo.indexes.statistics import analyze_as, takes_statistics
from easymo.indexes.tables import CopiedTable

MAX_COPY_BYTES = 4 * 10**9

_COLUMNS = """
select a.attname as name, a.attnotnull as not_null, t.typtype::text as kind, t.oid as type_oid,
  format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid),
    case when t.typtype = 'd' then t.typtypmod else a.atttypmod end) as type,
  tn.nspname as type_schema, t.typname as type_name
from pg_attribute a join pg_type t on t.oid = a.atttypid join pg_namespace tn on tn.oid = t.typnamespace
where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
_INDEXES = "select pg_get_indexdef(indexrelid) from pg_index where indrelid = $1 and indisvalid order by indexrelid"
_LABELS = "select array_agg(quote_literal(enumlabel) order by enumsortorder) from pg_enum where enumtypid = $1"
_PLANNER = """
select name, current_setting(name) as value from pg_settings where name in ('seq_page_cost', 'random_page_cost',
  'cpu_tuple_cost', 'cpu_index_tuple_cost', 'cpu_operator_cost', 'effective_cache_size', 'work_mem', 'jit',
  'max_parallel_workers_per_gather', 'effective_io_concurrency', 'default_statistics_target')
"""
_EXTENSIONS = "select extname from pg_extension where extname <> 'plpgsql'"
_HIDE = """
update pg_index i set indisvalid = false from pg_class c
where c.oid = i.indexrelid and c.relname = any ($1::text[]) and c.relnamespace::regnamespace::text !~ '^pg_'
"""


class Copy(msgspec.Struct, frozen=True):
    """What was copied. `sampled_ratio` is 1 for all rows; `left_out` is what the scratch server refused.

    `own_statistics` says whether the planner knows of the copy what the source knows of its tables; if not, what
    ANALYZE finds in the copy.
    """

    tables: tuple[CopiedTable, ...]
    sampled_ratio: float
    seconds: float
    left_out: tuple[str, ...]
    own_statistics: bool


async def copy_tables(
    source: Connection, target: Connection, tables: Sequence[CopiedTable], max_bytes: int = MAX_COPY_BYTES
) -> Copy:
    """Fill the empty database of `target`; more than `max_bytes` of rows are sampled. Raises ScratchError.

    The connection takes over what the planner of the source is told of its machine.
    """
    started = time.perf_counter()
    ratio = min(1.0, max_bytes / max(1, sum(table.bytes for table in tables)))
    await _extensions(source, target)
    for row in await source.fetch(_PLANNER):
        await target.execute("select set_config($1, $2, false)", row["name"], row["value"])
    left_out: list[str] = []
    for table in tables:
        columns = await _create(source, target, table)
        await _fill(source, target, table, columns, ratio)
        for row in await source.fetch(_INDEXES, table.oid):
            try:
                await target.execute(row[0].replace(" ON ONLY ", " ON "))
            except asyncpg.PostgresError as error:
                left_out.append(f"{row[0]} ({error})")
    await target.execute("vacuum")
    left_out += await analyze_as(source, target, tables, ratio)
    return Copy(tuple(tables), ratio, time.perf_counter() - started, tuple(left_out), takes_statistics(target))


@asynccontextmanager
async def scratch_databases(scratch_url: str | None, count: int) -> AsyncIterator[list[Connection]]:
    """Connections to new databases, dropped afterwards: on the server named, or on an embedded one."""
    from easymo.embedded import database_server  # only here: looking and building need no server of ours

    with database_server(scratch_url) as server:
        admin = await asyncpg.connect(server.url)
        names = [f"easymo_scratch_{admin.get_server_pid()}_{number}" for number in range(count)]
        connections: list[Connection] = []
        try:
            for name in names:
                await admin.execute(f"create database {name}")
                connections.append(await asyncpg.connect(server.database_url(name), statement_cache_size=0))
            yield connections
        finally:
            for connection in connections:
                await connection.close()
            for name in names:
                await admin.execute(f"drop database if exists {name} with (force)")
            await admin.close()


@asynccontextmanager
async def hidden(scratch: Connection, indexes: Iterable[str]) -> AsyncIterator[None]:
    """Within the block no plan of this connection uses these indexes. Superusers only, and never on a user's server."""
    transaction = scratch.transaction()
    await transaction.start()
    try:
        await scratch.execute("deallocate all")
        await scratch.execute(_HIDE, [*indexes])
        yield
    finally:
        await transaction.rollback()
        await scratch.execute("deallocate all")


async def _extensions(source: Connection, target: Connection) -> None:
    for row in await source.fetch(_EXTENSIONS):
        try:
            await target.execute(f"create extension if not exists {quote(row[0])} cascade")
        except asyncpg.PostgresError:
            continue  # missed only where a column or an index needs it, which is then told


async def _create(source: Connection, target: Connection, table: CopiedTable) -> list[str]:
    columns = await source.fetch(_COLUMNS, table.oid)
    await target.execute(f"create schema if not exists {quote(table.schema)}")
    for column in columns:
        if column["kind"] == "e":
            await _create_enum(source, target, column)
    parts = [f"{quote(c['name'])} {c['type']}{' not null' if c['not_null'] else ''}" for c in columns]
    try:
        await target.execute(f"create table {table.qualified} ({', '.join(parts)}) with (autovacuum_enabled = off)")
    except asyncpg.PostgresError as error:
        raise ScratchError(table.name, str(error)) from error
    return [quote(column["name"]) for column in columns]


async def _create_enum(source: Connection, target: Connection, column: asyncpg.Record) -> None:
    name = f"{quote(column['type_schema'])}.{quote(column['type_name'])}"
    if await target.fetchval("select to_regtype($1) is null", name):
        await target.execute(f"create schema if not exists {quote(column['type_schema'])}")
        await target.execute(
            f"create type {name} as enum ({', '.join(await source.fetchval(_LABELS, column['type_oid']))})"
        )


async def _fill(
    source: Connection, target: Connection, table: CopiedTable, columns: Sequence[str], ratio: float
) -> None:
    """Pipe the rows through COPY, binary on both sides."""
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=16)
    sample = f" tablesample bernoulli ({ratio * 100:.4f}) repeatable (1)" if ratio < 1 else ""

    async def read() -> None:
        try:
            query = f"select {', '.join(columns)} from {table.qualified}{sample}"
            await source.copy_from_query(query, output=pieces.put, format="binary")
        finally:
            await pieces.put(None)

    async def rows() -> AsyncIterator[bytes]:
        while (piece := await pieces.get()) is not None:
            yield piece

    reading = asyncio.create_task(read())
    try:
        await target.copy_to_table(table.name, schema_name=table.schema, source=rows(), format="binary")
    except asyncpg.PostgresError as error:
        reading.cancel()
        raise ScratchError(table.name, str(error)) from error
    await reading
