"""Whether declared indexes are there, what the hot queries make of them, and what they cost."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import asyncpg
import msgspec

from easymo.indexes.declared import Declared
from easymo.indexes.definitions import Definition
from easymo.indexes.errors import DifferentIndexError, IndexesError
from easymo.indexes.explain import Explained, Timing, Values, call, explain, prepare, timing
from easymo.indexes.hotqueries import HotQuery, relations, updated_columns
from easymo.indexes.observed import Connection
from easymo.indexes.parameters import example_values, preparable
from easymo.indexes.plan import Action, Step, plan_index
from easymo.indexes.price import columns_of, ends_hot, write_us_per_row, written
from easymo.indexes.scratch import MAX_COPY_BYTES, Copy, copy_tables, hidden, scratch_databases
from easymo.indexes.session import reader
from easymo.indexes.state import usage
from easymo.indexes.tables import find_tables

_LONGEST = timedelta(seconds=30)


class Served(msgspec.Struct, frozen=True):
    """A hot query with all indexes, and without the one it is listed under; times from the scratch copy."""

    query: str
    with_index: Timing
    without_index: Timing
    index_only: bool
    heap_fetches: int


class VerifiedIndex(msgspec.Struct):
    """A declared index: what became of it, whom it serves, and its price.

    `state` is ok, missing, invalid, different or refused. `hot_ratio` is the share of updates of its table that were
    HOT (None without updates); `ends_hot_for` are hot queries whose updates it keeps from being HOT.
    """

    index: str
    table: str
    state: str
    problem: str = ""
    size_bytes: int = 0
    scans: int = 0
    writes_per_s: float = 0.0
    hot_ratio: float | None = None
    write_us_per_row: float | None = None
    ends_hot_for: list[str] = []
    serves: list[Served] = []


class VerifiedQuery(msgspec.Struct, frozen=True):
    """A hot query on the database itself: plans for real values and for any, and buffers of the real ones.

    `values` are the parameters; the plans are those of the first list, `indexes` those of all. `problem` says why it
    could not be explained.
    """

    query: str
    values: list[Values]
    indexes: tuple[str, ...] = ()
    generic_indexes: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    buffers: int = -1
    cost: float = 0.0
    problem: str = ""


class Verified(msgspec.Struct, frozen=True):
    """All of it; `copied` is None when nothing was measured."""

    indexes: list[VerifiedIndex]
    queries: list[VerifiedQuery]
    copied: Copy | None

    @property
    def failures(self) -> list[str]:
        """What is not as declared: indexes that are not there or wrong, and, with hot queries, that serve none."""
        wrong = [f"{index.index}: {index.problem or index.state}" for index in self.indexes if index.state != "ok"]
        used = {name for query in self.queries for name in query.indexes}
        idle = [index.index for index in self.indexes if index.state == "ok" and index.index not in used]
        return wrong + [f"{name}: no hot query uses it" for name in idle if self.queries]


async def verify(
    database_url: str,
    declared: Sequence[Declared],
    queries: Sequence[HotQuery] = (),
    *,
    scratch_url: str | None = None,
    measure: bool = True,
    max_copy_bytes: int = MAX_COPY_BYTES,
) -> Verified:
    """Look at every declared index, explain and run every SELECT of the hot queries, and measure on a scratch copy.

    Statements run in a read-only transaction of at most 30 s; those that lock rows are only explained. Without
    `scratch_url` an embedded server holds the copy. Raises ConnectError, VersionError and ScratchError.
    """
    async with reader(database_url) as connection:
        indexes = [await _look(connection, index) for index in declared]
        await _count(connection, indexes, declared)
        selects = [query for query in queries if query.is_select]
        explained = [await _explain(connection, query) for query in selects]
        updated = updated_columns(queries)
        for index, wanted in zip(indexes, declared, strict=True):
            index.ends_hot_for = _ended_hot(wanted.definition, updated, connection.get_server_version().major)
        copied = None
        if measure and queries:
            names = {name for query in selects for name in relations(query.statement).values()}
            tables = await find_tables(connection, names | {index.table for index in indexes})
            async with scratch_databases(scratch_url, 1) as (scratch,):
                copied = await copy_tables(connection, scratch, tables, max_copy_bytes)
                await _measure(scratch, indexes, explained, {query.name: query for query in selects})
                for table in tables:
                    statements = {
                        d.statement: i for d, i in zip(declared, indexes, strict=True) if i.table == table.name
                    }
                    for statement, price in (await write_us_per_row(scratch, table, statements)).items():
                        statements[statement].write_us_per_row = price
        return Verified(indexes, explained, copied)


async def _look(connection: Connection, declared: Declared) -> VerifiedIndex:
    index = VerifiedIndex(declared.name, declared.definition.table, "ok")
    try:
        step = await plan_index(connection, declared, replace=False)
    except DifferentIndexError as error:
        index.state, index.problem = "different", str(error)
    except IndexesError as error:
        index.state, index.problem = "refused", str(error)
    else:
        index.state, index.size_bytes = _state(step), step.observed.size_bytes if step.observed else 0
    return index


def _state(step: Step) -> str:
    return {Action.KEEP: "ok", Action.MARK: "ok", Action.BUILD: "missing"}.get(step.action, "invalid")


async def _count(connection: Connection, indexes: Sequence[VerifiedIndex], declared: Sequence[Declared]) -> None:
    counted = await usage(connection, ())
    tables = {table.name: table for table in await find_tables(connection, {index.table for index in indexes})}
    for index in indexes:
        index.scans = sum(n for name, n in counted.scans.items() if name.rpartition(".")[2] == index.index)
        if index.table in tables:
            rows = await written(connection, tables[index.table].oid)
            index.writes_per_s = round((rows.inserts + rows.updates + rows.deletes) / rows.seconds, 3)
            index.hot_ratio = None if rows.hot_ratio is None else round(rows.hot_ratio, 3)


async def _explain(connection: Connection, query: HotQuery) -> VerifiedQuery:
    text, values = preparable(query.text), list[Values]()
    transaction = connection.transaction(readonly=True)
    await transaction.start()
    try:
        await connection.execute(f"set local statement_timeout = {_LONGEST // timedelta(milliseconds=1)}")
        types = await prepare(connection, text)
        values = await example_values(connection, text, types)
        plans = [await explain(connection, call(each), run=not query.locks) for each in values]
        generic = await explain(connection, call(values[0]), generic=True) if types else plans[0]
    except asyncpg.PostgresError as error:
        return VerifiedQuery(query.name, values, problem=str(error))
    finally:
        await transaction.rollback()
        await connection.execute("deallocate all")
    return VerifiedQuery(
        query=query.name,
        values=values,
        indexes=_together(plans),
        generic_indexes=generic.indexes,
        scanned=plans[0].scanned,
        buffers=plans[0].buffers,
        cost=plans[0].cost,
    )


def _ended_hot(
    definition: Definition, updated: Mapping[tuple[str, str], Sequence[HotQuery]], version: int
) -> list[str]:
    if not ends_hot(definition, version):
        return []
    columns = columns_of(definition)
    return sorted({query.name for column in columns for query in updated.get((definition.table, column), ())})


def _together(plans: Sequence[Explained]) -> tuple[str, ...]:
    return tuple(sorted({name for plan in plans for name in plan.indexes}))


async def _measure(
    scratch: Connection,
    indexes: Sequence[VerifiedIndex],
    explained: Sequence[VerifiedQuery],
    queries: dict[str, HotQuery],
) -> None:
    by_name = {index.index: index for index in indexes}
    for query in explained:
        if query.problem:
            continue
        text = preparable(queries[query.query].text)
        try:
            await prepare(scratch, text)
            plans = [await explain(scratch, call(each), run=True) for each in query.values]
        except asyncpg.PostgresError:
            continue  # it needs something that only the source has, such as a function: not measured, not served
        for name in _together(plans):
            if name not in by_name:
                continue
            await prepare(scratch, text)
            with_index = await timing(scratch, query.values)
            async with hidden(scratch, [name]):
                await prepare(scratch, text)
                without = await timing(scratch, query.values)
            by_name[name].serves.append(
                Served(query.query, with_index, without, plans[0].index_only, plans[0].heap_fetches)
            )
