"""A copy of some tables on a scratch server, where indexes can be built, hidden and dropped without harm.

The source is only read. A copy holds the columns, the rows (or a sample of them) and the valid indexes of tables, and
the types, functions and views of the whole database as far as the scratch server takes them; no foreign keys, checks or
triggers. Partitioned tables become plain ones; a materialized view becomes a table.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg
import msgspec

from easymo.indexes.errors import ScratchError
from easymo.indexes.objects import copy_objects, copy_views
from easymo.indexes.observed import Connection, quote
from easymo.indexes.security import COPY_ROLE
from easymo.indexes.statistics import analyze_as, takes_statistics
from easymo.indexes.tables import CopiedTable

MAX_COPY_BYTES = 4 * 10**9

_COLUMNS = """
select a.attname as name, a.attnotnull as not_null, case when l.oid is not null and l.collname <> 'default'
    then ' collate ' || quote_ident(ln.nspname) || '.' || quote_ident(l.collname) else '' end as collation,
  format_type(a.atttypid, a.atttypmod) as type
from pg_attribute a left join pg_collation l on l.oid = a.attcollation
  left join pg_namespace ln on ln.oid = l.collnamespace
where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
_INDEXES = "select pg_get_indexdef(indexrelid) from pg_index where indrelid = $1 and indisvalid order by indexrelid"
_PLANNER = """
select name, current_setting(name) as value from pg_settings where name in ('seq_page_cost', 'random_page_cost',
  'cpu_tuple_cost', 'cpu_index_tuple_cost', 'cpu_operator_cost', 'effective_cache_size', 'work_mem', 'jit',
  'max_parallel_workers_per_gather', 'effective_io_concurrency', 'default_statistics_target', 'search_path')
"""
_LOCALE = """
select datcollate as collate, datctype as ctype, to_jsonb(d) ->> 'datlocprovider' as provider,
  coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') as locale
from pg_database d where datname = current_database()
"""
_BY_CODE_POINT = {"C", "POSIX"}
_HIDE = """
update pg_index i set indisvalid = false from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = i.indexrelid and (c.relname = any ($1::text[]) or quote_ident(n.nspname) || '.' || quote_ident(c.relname)
  = any ($1::text[])) and n.nspname !~ '^pg_'
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

    The connection takes over what the planner of the source is told of its machine, and its search path.
    """
    started = time.perf_counter()
    ratio = min(1.0, max_bytes / max(1, sum(table.bytes for table in tables)))
    for row in await source.fetch(_PLANNER):
        await target.execute("select set_config($1, $2, false)", row["name"], row["value"])
    await copy_objects(source, target, {table.schema for table in tables})
    left_out: list[str] = []
    by_oid = {table.oid: table for table in tables}
    for table in tables:
        parents = [by_oid[oid].qualified for oid in table.parents if oid in by_oid]
        columns = await _create(source, target, table, parents, left_out)
        await _fill(source, target, table, columns, ratio)
        for row in await source.fetch(_INDEXES, table.oid):
            try:
                await target.execute(row[0].replace(" ON ONLY ", " ON "))
            except asyncpg.PostgresError as error:
                left_out.append(f"{row[0]} ({error})")
    await copy_views(source, target)
    await target.execute("vacuum")
    left_out += await analyze_as(source, target, tables, ratio)
    return Copy(tuple(tables), ratio, time.perf_counter() - started, tuple(left_out), takes_statistics(target))


@asynccontextmanager
async def scratch_databases(
    scratch_url: str | None, count: int, like: "Connection | None" = None
) -> AsyncIterator[list[Connection]]:
    """Connections to new databases, dropped afterwards: on the server named, or on an embedded one.

    They sort as the database of `like` does, if the server can. Raises ScratchError.
    """
    from easymo.embedded import database_server  # only here: looking and building need no server of ours

    with database_server(scratch_url) as server:
        try:
            admin = await asyncpg.connect(server.url)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise ScratchError("", f"the scratch server cannot be reached: {error}") from error
        names = [f"easymo_scratch_{admin.get_server_pid()}_{number}" for number in range(count)]
        connections: list[Connection] = []
        try:
            locales = [""] if like is None else await _locales(like)
            for name in names:
                await _create_database(admin, name, locales)
                connections.append(await asyncpg.connect(server.database_url(name), statement_cache_size=0))
            yield connections
        finally:
            for connection in connections:
                await connection.close()
            for name in names:
                await admin.execute(f"drop database if exists {name} with (force)")
            with suppress(asyncpg.DependentObjectsStillExistError):  # another run has copies here
                await admin.execute(f"drop role if exists {COPY_ROLE}")
            await admin.close()


async def _create_database(admin: Connection, name: str, locales: Sequence[str]) -> None:
    for place, locale in enumerate(locales, start=1):
        try:
            await admin.execute(f"create database {name} template template0 encoding 'UTF8' {locale}")
        except asyncpg.PostgresError as error:
            if place == len(locales):
                raise ScratchError("", f"the scratch server makes no database: {error}") from error
        else:
            return


async def _locales(like: Connection) -> list[str]:
    """How to ask for the order of a database, the best first.

    The last but one sorts as C does but is not C to the planner: as in the database, an index of a text then finds no
    prefix unless it has text_pattern_ops. The last is what the server has.
    """
    row = await like.fetchrow(_LOCALE)
    assert row is not None
    libc = f"lc_collate '{row['collate']}' lc_ctype '{row['ctype']}'"
    exact = f"locale_provider libc {libc}"
    if row["provider"] == "i":
        exact = f"locale_provider icu icu_locale '{row['locale']}' locale 'C.UTF-8'"
    if row["provider"] == "b":
        exact = f"locale_provider builtin builtin_locale '{row['locale']}' locale 'C'"
    if _by_code_point(row):
        return [exact, libc, "locale 'C'", ""]
    return [exact, libc, *(f"locale_provider libc locale '{name}'" for name in ("en_US.UTF-8", "C.UTF-8")), ""]


async def order_note(source: Connection, target: Connection) -> str:
    """How a copy sorts otherwise than the database, in words; empty where it does not."""
    one, other = await source.fetchrow(_LOCALE), await target.fetchrow(_LOCALE)
    assert one is not None
    assert other is not None
    here, there = (row["locale"] or row["collate"] for row in (one, other))
    if here == there:
        return ""
    same = _by_code_point(one) == _by_code_point(other)
    return f"The database sorts texts by {here}, the copy by {there}: " + (
        "the same indexes can serve a query, but sorting takes another time."
        if same
        else "an index of a text may serve LIKE there that cannot here. Name a server that has it with --scratch."
    )


def _by_code_point(locale: asyncpg.Record) -> bool:
    return locale["provider"] == "b" or (locale["provider"] == "c" and locale["collate"] in _BY_CODE_POINT)


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


async def _create(
    source: Connection, target: Connection, table: CopiedTable, parents: Sequence[str], left_out: list[str]
) -> list[str]:
    """Make a table; a column whose type or collation the server has not becomes a text, or loses its collation."""
    parts, selected = [], []
    for column in await source.fetch(_COLUMNS, table.oid):
        name, kind, collation = quote(column["name"]), column["type"], column["collation"]
        selected.append(name)
        try:
            await target.fetchval(f"select null::{kind}")
            await target.fetchval(f"select null::{kind}{collation}")
        except asyncpg.PostgresError as error:
            left_out.append(f"{table.place}.{column['name']} {kind}{collation} ({error})")
            collation = ""
            if "collation" not in str(error).lower():
                kind, selected[-1] = "text", f"{name}::text"
        parts.append(f"{name} {kind}{collation}{' not null' if column['not_null'] else ''}")
    inherits = f" inherits ({', '.join(parents)})" if parents else ""
    try:
        await target.execute(
            f"create table {table.qualified} ({', '.join(parts)}){inherits} with (autovacuum_enabled = off)"
        )
    except asyncpg.PostgresError as error:
        raise ScratchError(table.place, str(error)) from error
    return selected


async def _fill(
    source: Connection, target: Connection, table: CopiedTable, columns: Sequence[str], ratio: float
) -> None:
    """Pipe the rows through COPY, binary on both sides."""
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=16)
    sample = f" tablesample bernoulli ({ratio * 100:.4f}) repeatable (1)" if ratio < 1 else ""
    only = "" if table.partitioned else "only "

    async def read() -> None:
        try:
            query = f"select {', '.join(columns)} from {only}{table.qualified}{sample}"
            await source.copy_from_query(query, output=pieces.put, format="binary")
        finally:
            await pieces.put(None)

    async def rows() -> AsyncIterator[bytes]:
        while (piece := await pieces.get()) is not None:
            yield piece

    reading = asyncio.create_task(read())
    names = [column.removesuffix("::text")[1:-1].replace('""', '"') for column in columns]
    try:
        await target.copy_to_table(table.name, schema_name=table.schema, columns=names, source=rows(), format="binary")
    except asyncpg.PostgresError as error:
        await asyncio.wait([reading], timeout=1)
        if reading.done() and reading.exception():
            raise ScratchError(table.place, f"its rows cannot be read: {reading.exception()}") from error
        reading.cancel()
        raise ScratchError(table.place, str(error)) from error
    await reading
