"""What a database is asked, how often, and with which values: from a file of named statements or pg_stat_statements."""

import re
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec

from easymo.indexes.advise import judgement
from easymo.indexes.advise.candidates import Catalogue, read_catalogue
from easymo.indexes.advise.pricing import Prices
from easymo.indexes.advise.waits import read_waits
from easymo.indexes.advise.writes import read_writes
from easymo.indexes.binding import Bound, Untried, bind, session_of
from easymo.indexes.errors import CountersError
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.observed import Connection, Observed, indexes_on, quoted
from easymo.indexes.parameters import preparable
from easymo.indexes.price import ends_hot
from easymo.indexes.security import COPY_ROLE, Policy
from easymo.indexes.statements import counters_view
from easymo.indexes.tables import CopiedTable, read_tables

_STATEMENTS = """
select queryid::text as id, min(query) as query, sum(calls) as calls, sum(sum(total_exec_time)) over () as all_ms,
  sum(total_exec_time) as total_ms, count(*) over () as statements,
  extract(epoch from now() - (select stats_reset from {view}_info))::float8 / 60 as minutes
from {view} where dbid = (select oid from pg_database where datname = current_database()) and toplevel
  and query not like '%%easymo%%'
group by queryid order by sum(total_exec_time) desc limit {top}
"""
_NAME_LENGTH = 90
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


class Work(msgspec.Struct, frozen=True):
    """A workload and the database that it asks. `untried` are statements that no index is looked for, with the reason.

    `statements` is all of it; each has no, one or several of the `queries`.
    """

    statements: list[HotQuery]
    queries: list[Bound]
    untried: dict[str, str]
    tables: list[CopiedTable]
    catalogue: Catalogue
    observed: list[Observed]
    prices: Prices
    notes: list[str]
    role: str | None
    policies: dict[str, list[Policy]]
    wait_ms: dict[str, float]

    @property
    def copy_role(self) -> str | None:
        """Who asks on the copies."""
        return COPY_ROLE if self.role else None


async def read_work(source: Connection, statements: Sequence[HotQuery], role: str | None = None) -> Work:
    """Look at the database. Raises AdviceError where its rows are hidden from us."""
    known = await read_tables(source)
    session = await session_of(source, known, role)
    queries, untried = list[Bound](), dict[str, str]()
    for statement in statements:
        try:
            queries += await bind(source, session, statement)
        except Untried as reason:
            untried[statement.name] = str(reason)
    tables = known.with_parents({place for query in queries for place in query.tables})
    observed = await indexes_on(source, [table.oid for table in tables])
    # One that does not end HOT holds no entry for a row, either: writes do not pay for it.
    version = source.get_server_version().major
    paid_for = [index for index in observed if ends_hot(index.placed, version)]
    there = {table.place: [index.placed for index in paid_for if place_of(index) == table.place] for table in tables}
    writes = await read_writes(source, session, statements, queries, tables)
    catalogue = await read_catalogue(source, tables)
    notes = [note for query in queries for note in query.notes] + session.notes(tables)
    waits = await read_waits(source, tables)
    prices = Prices(writes, there, {table.place: _index_pages(table, observed) for table in tables})
    return Work(
        [*statements], queries, untried, tables, catalogue, observed, prices, notes, role, session.policies, waits
    )


def _index_pages(table: CopiedTable, observed: Sequence[Observed]) -> float:
    """Pages of one index of a table: of those that are there, else a quarter of the rows' own."""
    sizes = [index.size_bytes for index in observed if place_of(index) == table.place]
    return max(1.0, (sum(sizes) / len(sizes) if sizes else table.bytes / 4) / 8192)


def place_of(index: Observed) -> str:
    """The table of an index, by which plans and candidates name it; both are in one schema."""
    return f"{quoted(index.schema)}.{quoted(index.table)}"


async def read_workload(connection: Connection) -> tuple[list[HotQuery], list[str]]:
    """The statements of pg_stat_statements that cost most, and what is left out, in words. Raises CountersError."""
    view = await counters_view(connection)
    try:
        rows = await connection.fetch(_STATEMENTS.format(view=view, top=judgement.TOP_STATEMENTS))
    except asyncpg.PostgresError as error:
        raise CountersError(str(error)) from error
    found: dict[str, HotQuery] = {}
    for row in rows:
        text = preparable(row["query"]).rstrip("; \n")
        name = " ".join(_COMMENT.sub(" ", text).split())
        name = name if len(name) <= _NAME_LENGTH else f"{name[:_NAME_LENGTH]}…"
        name = f"{name} ({row['id']})" if name in found else name
        rate = float(row["calls"]) / max(1.0, row["minutes"])
        found[name] = HotQuery(name, text, Path("pg_stat_statements"), 1, (), rate)
    rest = rows[0]["statements"] - len(rows) if rows else 0
    if not rest:
        return list(found.values()), []
    share = 1 - sum(row["total_ms"] for row in rows) / rows[0]["all_ms"]
    return list(found.values()), [
        f"{rest} more statements of pg_stat_statements, {share:.1%} of its time, were not looked at."
    ]
