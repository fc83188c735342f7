"""What a database is asked, how often, and with which values: from a file of named statements or pg_stat_statements."""

from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec

from easymo.indexes.advise.candidates import Catalogue, Column
from easymo.indexes.advise.pricing import Prices, Updates, Writes
from easymo.indexes.errors import AdviceError, CountersError
from easymo.indexes.explain import Values, prepare
from easymo.indexes.hotqueries import HotQuery, relations, table_conditions, updated_columns
from easymo.indexes.observed import Connection, Observed, indexes_on
from easymo.indexes.parameters import example_values, preparable
from easymo.indexes.parser import SyntaxFault, of_kind, parse
from easymo.indexes.price import ends_hot, written
from easymo.indexes.statements import counters_view
from easymo.indexes.tables import CopiedTable, find_tables

_TOP = 100
_LEAST_S = 3600
_STATEMENTS = """
select queryid::text as id, min(query) as query, sum(calls) as calls,
  extract(epoch from now() - (select stats_reset from {view}_info))::float8 / 60 as minutes
from {view} where dbid = (select oid from pg_database where datname = current_database()) and toplevel
group by queryid order by sum(total_exec_time) desc limit {top}
"""
_COLUMNS = """
select a.attname as name, coalesce(s.n_distinct, -1) as distinct_values, coalesce(s.avg_width, 8) as width,
  coalesce(s.null_frac, 0) as null_ratio
from pg_attribute a left join pg_stats s on s.schemaname = $1 and s.tablename = $2 and s.attname = a.attname
where a.attrelid = $3 and a.attnum > 0 and not a.attisdropped
"""


class Query(msgspec.Struct, frozen=True):
    """A statement that reads, with real values for its parameters."""

    hot: HotQuery
    text: str
    values: list[Values]

    @property
    def name(self) -> str:
        return self.hot.name

    @property
    def weight(self) -> float:
        """Calls a minute."""
        return self.hot.calls_per_minute

    @property
    def tables(self) -> set[str]:
        return set(relations(self.hot.statement).values())


class Work(msgspec.Struct, frozen=True):
    """A workload and the database that it asks. `refused` are statements that cannot be prepared, with the reason."""

    queries: list[Query]
    refused: dict[str, str]
    tables: list[CopiedTable]
    catalogue: Catalogue
    observed: list[Observed]
    prices: Prices


async def read_work(source: Connection, statements: Sequence[HotQuery]) -> Work:
    """Look at the database. Raises AdviceError when no statement reads a table of it."""
    queries, refused = await bind(source, statements)
    tables = await find_tables(source, {name for query in queries for name in query.tables})
    if not tables:
        raise AdviceError("no statement of the workload reads a table of this database")
    queries = [query for query in queries if query.tables & {table.name for table in tables}]
    observed = await indexes_on(source, [table.oid for table in tables])
    # One that does not end HOT holds no entry for a row, either: writes do not pay for it.
    version = source.get_server_version().major
    paid_for = [index.placed for index in observed if ends_hot(index.placed, version)]
    there = {table.name: [index for index in paid_for if index.table == table.name] for table in tables}
    prices = Prices(await read_writes(source, statements, tables), there)
    return Work(queries, refused, tables, await read_catalogue(source, tables), observed, prices)


async def read_workload(connection: Connection) -> list[HotQuery]:
    """The statements of pg_stat_statements that cost most. Raises CountersError."""
    view = await counters_view(connection)
    try:
        rows = await connection.fetch(_STATEMENTS.format(view=view, top=_TOP))
    except asyncpg.PostgresError as error:
        raise CountersError(str(error)) from error
    found = []
    for row in rows:
        text = preparable(row["query"]).rstrip("; \n")
        try:
            kinds = [statement.stmt.WhichOneof("node") for statement in parse(text).stmts]
        except SyntaxFault:
            continue
        if kinds in (["select_stmt"], ["insert_stmt"], ["update_stmt"], ["delete_stmt"]):
            rate = float(row["calls"]) / max(1.0, row["minutes"])
            found.append(HotQuery(f"q{row['id']}", text, Path("pg_stat_statements"), 1, (), rate))
    return found


async def bind(connection: Connection, workload: Sequence[HotQuery]) -> tuple[list[Query], dict[str, str]]:
    """The reading statements with values, and those that cannot be prepared with the reason."""
    bound, refused = [], {}
    for hot in workload:
        if not hot.is_select or not relations(hot.statement):
            continue
        text = preparable(hot.text)
        try:
            values = await example_values(connection, text, await prepare(connection, text))
        except asyncpg.PostgresError as error:
            refused[hot.name] = str(error)
        else:
            bound.append(Query(hot, text, values))
    await connection.execute("deallocate all")
    return bound, refused


async def read_catalogue(connection: Connection, tables: Sequence[CopiedTable]) -> Catalogue:
    """Columns of the tables with their statistics."""
    return {
        table.name: {
            row["name"]: Column(row["distinct_values"], row["width"], row["null_ratio"])
            for row in await connection.fetch(_COLUMNS, table.schema, table.name, table.oid)
        }
        for table in tables
    }


async def read_writes(
    connection: Connection, workload: Sequence[HotQuery], tables: Sequence[CopiedTable]
) -> dict[str, Writes]:
    """How each table is written: by the workload's own statements, else by its counters."""
    updated = updated_columns(workload)
    states = _compared_with_constants(workload)
    found = {}
    for table in tables:
        rows = await written(connection, table.oid)
        # Counters of a few minutes tell of a load or a restore, not of a rate.
        per_minute = 60 / rows.seconds if rows.seconds >= _LEAST_S else 0.0
        by_query: dict[str, tuple[HotQuery, set[str]]] = {}
        for (name, column), queries in updated.items():
            for query in queries if name == table.name else ():
                by_query.setdefault(query.name, (query, set()))[1].add(column)
        updates = [Updates(frozenset(columns), q.calls_per_minute, q.name) for q, columns in by_query.values()]
        if not updates and rows.updates * per_minute and states.get(table.name):
            guess = frozenset(states[table.name])
            updates = [Updates(guess, rows.updates * per_minute, "the counters of the table; columns guessed")]
        inserts = sum(query.calls_per_minute for query in workload if table.name in _inserted(query))
        found[table.name] = Writes(inserts or rows.inserts * per_minute, tuple(updates))
    return found


def _inserted(query: HotQuery) -> set[str]:
    return {node.relation.relname for node in of_kind(query.statement, "InsertStmt")}


def _compared_with_constants(workload: Sequence[HotQuery]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for query in workload:
        for table, condition in table_conditions(query.statement):
            if condition.is_constant and condition.literals:
                found.setdefault(table, set()).add(condition.column)
    return found
