"""Whether declared indexes are there, what the hot queries make of them, and what they cost."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import asyncpg
import msgspec

from easymo.indexes.binding import Bound, Session, Untried, acting, bind, session_of
from easymo.indexes.declared import Declared
from easymo.indexes.definitions import Definition
from easymo.indexes.errors import DifferentIndexError, IndexesError
from easymo.indexes.explain import Explained, Timing, Values, call, explain, prepare, timing
from easymo.indexes.hotqueries import HotQuery, updated_columns
from easymo.indexes.observed import Connection, find_table, quote, quoted
from easymo.indexes.plan import Action, Step, plan_index
from easymo.indexes.price import columns_of, ends_hot, write_us_per_row, written
from easymo.indexes.scratch import MAX_COPY_BYTES, Copy, copy_tables, hidden, scratch_databases
from easymo.indexes.security import COPY_ROLE, copy_policies
from easymo.indexes.session import reader
from easymo.indexes.state import usage
from easymo.indexes.tables import Tables, read_tables

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
    schema: str = ""
    problem: str = ""
    size_bytes: int = 0
    scans: int = 0
    writes_per_s: float = 0.0
    hot_ratio: float | None = None
    write_us_per_row: float | None = None
    ends_hot_for: list[str] = []
    serves: list[Served] = []

    @property
    def place(self) -> str:
        """The name with its schema."""
        return f"{quoted(self.schema)}.{quoted(self.index)}"


class VerifiedQuery(msgspec.Struct, frozen=True):
    """A hot query on the database itself: plans for real values and for any, and buffers of the real ones.

    `values` are the parameters; the plans are those of the first list, `indexes` those of all, `places` the same with
    their schemas. `problem` says why it could not be explained or measured, `notes` what its values are not.
    """

    query: str
    values: list[Values]
    indexes: tuple[str, ...] = ()
    generic_indexes: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    buffers: int = -1
    cost: float = 0.0
    problem: str = ""
    places: tuple[str, ...] = ()
    notes: list[str] = []


class Verified(msgspec.Struct, frozen=True):
    """All of it; `copied` is None when nothing was measured."""

    indexes: list[VerifiedIndex]
    queries: list[VerifiedQuery]
    copied: Copy | None

    @property
    def failures(self) -> list[str]:
        """What is not as declared: indexes that are not there or wrong, and, with hot queries, that serve none."""
        wrong = [f"{index.index}: {index.problem or index.state}" for index in self.indexes if index.state != "ok"]
        used = {place for query in self.queries for place in query.places}
        idle = [index.index for index in self.indexes if index.state == "ok" and index.place not in used]
        unknown = [query.query for query in self.queries if query.problem]
        but = f" (not tried: {', '.join(unknown)})" if unknown else ""
        return wrong + [f"{name}: no hot query uses it{but}" for name in idle if self.queries]


async def verify(
    database_url: str,
    declared: Sequence[Declared],
    queries: Sequence[HotQuery] = (),
    *,
    scratch_url: str | None = None,
    role: str | None = None,
    measure: bool = True,
    max_copy_bytes: int = MAX_COPY_BYTES,
) -> Verified:
    """Look at every declared index, explain and run what every hot query reads, and measure on a scratch copy.

    Statements run in a read-only transaction of at most 30 s, as `role` if one is named; those that lock rows are only
    explained. Without `scratch_url` an embedded server holds the copy. Raises ConnectError, VersionError, AdviceError
    and ScratchError.
    """
    async with reader(database_url) as connection:
        indexes = [await _look(connection, index) for index in declared]
        known = await read_tables(connection)
        await _count(connection, indexes, known)
        session = await session_of(connection, known, role)
        explained, readings = list[VerifiedQuery](), dict[str, Bound]()
        for query in queries:
            for reading in await _readings(connection, session, query, explained):
                readings[reading.name] = reading
                explained.append(await _explain(connection, reading, role))
        updated = updated_columns(queries)
        for index, wanted in zip(indexes, declared, strict=True):
            index.ends_hot_for = _ended_hot(wanted.definition, updated, connection.get_server_version().major)
        copied = None
        if measure and queries:
            places = {place for reading in readings.values() for place in reading.tables}
            tables = known.with_parents(places | {_table_of(index, known) for index in indexes})
            async with scratch_databases(scratch_url, 1, connection) as (scratch,):
                copied = await copy_tables(connection, scratch, tables, max_copy_bytes)
                if role:
                    await copy_policies(scratch, tables, session.policies)
                explained = await _measure(scratch, indexes, explained, readings, COPY_ROLE if role else None)
                for table in tables:
                    statements = {
                        d.statement: i
                        for d, i in zip(declared, indexes, strict=True)
                        if _table_of(i, known) == table.place
                    }
                    for statement, price in (await write_us_per_row(scratch, table, statements)).items():
                        statements[statement].write_us_per_row = price
        return Verified(indexes, explained, copied)


def _table_of(index: VerifiedIndex, known: Tables) -> str:
    place = f"{quoted(index.schema)}.{quoted(index.table)}"
    return known.roots.get(place, place)


async def _readings(
    connection: Connection, session: Session, query: HotQuery, explained: list[VerifiedQuery]
) -> list[Bound]:
    """What a query reads, with values; the reason why there is none is put on the list, but of plain writes."""
    try:
        return await bind(connection, session, query)
    except Untried as reason:
        if query.is_select:
            explained.append(VerifiedQuery(query.name, [], problem=f"not tried: {reason}"))
        return []


async def _look(connection: Connection, declared: Declared) -> VerifiedIndex:
    index = VerifiedIndex(declared.name, declared.definition.table, "ok", declared.definition.schema)
    try:
        index.schema = (await find_table(connection, declared.definition)).schema
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


async def _count(connection: Connection, indexes: Sequence[VerifiedIndex], known: Tables) -> None:
    counted = await usage(connection, ())
    for index in indexes:
        index.scans = counted.scans.get(f"{index.schema}.{index.index}", 0)
        if table := known.by_place.get(_table_of(index, known)):
            rows = await written(connection, table.oid)
            index.writes_per_s = round((rows.inserts + rows.updates + rows.deletes) / rows.seconds, 3)
            index.hot_ratio = None if rows.hot_ratio is None else round(rows.hot_ratio, 3)


async def _explain(connection: Connection, reading: Bound, role: str | None) -> VerifiedQuery:
    transaction = connection.transaction(readonly=True)
    await transaction.start()
    try:
        await connection.execute(f"set local statement_timeout = {_LONGEST // timedelta(milliseconds=1)}")
        if role:
            await connection.execute(f"set local role {quote(role)}")
        await prepare(connection, reading.text, reading.types)
        plans = [await explain(connection, call(each), run=not reading.hot.locks) for each in reading.values]
        generic = await explain(connection, call(reading.values[0]), generic=True) if reading.types else plans[0]
    except asyncpg.PostgresError as error:
        return VerifiedQuery(reading.name, reading.values, problem=f"Postgres says: {error.args[0]}")
    finally:
        await transaction.rollback()
        await connection.execute("deallocate all")
    return VerifiedQuery(
        query=reading.name,
        values=reading.values,
        indexes=tuple(sorted({name for plan in plans for name in plan.indexes})),
        generic_indexes=generic.indexes,
        scanned=plans[0].scanned,
        buffers=plans[0].buffers,
        cost=plans[0].cost,
        places=_together(plans),
        notes=reading.notes,
    )


def _ended_hot(
    definition: Definition, updated: Mapping[tuple[str, str], Sequence[HotQuery]], version: int
) -> list[str]:
    if not ends_hot(definition, version):
        return []
    columns = columns_of(definition)
    return sorted({query.name for column in columns for query in updated.get((definition.table, column), ())})


def _together(plans: Sequence[Explained]) -> tuple[str, ...]:
    return tuple(sorted({place for plan in plans for place in plan.places}))


async def _measure(
    scratch: Connection,
    indexes: Sequence[VerifiedIndex],
    explained: Sequence[VerifiedQuery],
    readings: Mapping[str, Bound],
    role: str | None,
) -> list[VerifiedQuery]:
    """Time each query with and without each index that it uses on the copy; what the copy cannot run says so."""
    by_place = {index.place: index for index in indexes}
    found = []
    for query in explained:
        reading = readings.get(query.query)
        if reading is None or query.problem:
            found.append(query)
            continue
        try:
            async with acting(scratch, role):
                await prepare(scratch, reading.text, reading.types)
                plans = [await explain(scratch, call(each), run=True) for each in query.values]
        except asyncpg.PostgresError as error:
            note = f"not measured: the copy cannot run it ({error.args[0]})"
            found.append(msgspec.structs.replace(query, notes=[*query.notes, note]))
            continue
        found.append(query)
        for place in _together(plans):
            if place not in by_place:
                continue
            with_index = await _timing(scratch, reading, role)
            async with hidden(scratch, [place]):
                without = await _timing(scratch, reading, role)
            by_place[place].serves.append(
                Served(query.query, with_index, without, plans[0].index_only, plans[0].heap_fetches)
            )
    return found


async def _timing(scratch: Connection, reading: Bound, role: str | None) -> Timing:
    async with acting(scratch, role):
        await prepare(scratch, reading.text, reading.types)
        return await timing(scratch, reading.values)
