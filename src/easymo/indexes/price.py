"""What an index costs those who write: time for each row, and updates that are no longer HOT."""

import re
import time
from collections.abc import Iterable

import asyncpg
import msgspec

from easymo.indexes.conditions import columns_in, predicate_conditions
from easymo.indexes.definitions import Definition, statement_on
from easymo.indexes.observed import Connection, quote
from easymo.indexes.parser import SyntaxFault, parse
from easymo.indexes.state import COUNTED_SINCE
from easymo.indexes.tables import CopiedTable

_WRITTEN = f"""
select n_tup_ins as inserts, n_tup_upd as updates, n_tup_del as deletes, n_tup_hot_upd as hot_updates,
  extract(epoch from now() - ({COUNTED_SINCE}))::float8 as seconds
from pg_stat_all_tables where relid = $1
"""
_BRIN_KEEPS_HOT_SINCE = 16
_NAME = re.compile(r"\w+")
_ROWS, _ROUNDS = 20_000, 3
_PRICED, _COPY = "easymo_priced", "easymo_priced_rows"


class Written(msgspec.Struct, frozen=True):
    """Rows of a table written in the `seconds` since the counters of its database began."""

    inserts: int
    updates: int
    deletes: int
    hot_updates: int
    seconds: float

    @property
    def hot_ratio(self) -> float | None:
        """The share of updates that were HOT; None without updates."""
        return self.hot_updates / self.updates if self.updates else None


async def written(connection: Connection, oid: int) -> Written:
    """The counters of a table."""
    row = await connection.fetchrow(_WRITTEN, oid)
    assert row is not None
    return Written(**row)


def columns_of(definition: Definition) -> set[str]:
    """Columns whose change writes to the index: its keys, what it includes, and what its predicate names."""
    named = {column for key in definition.keys for column in _columns_of_key(key.text)}
    included = {name.strip('"') for name in definition.include}
    return named | included | {condition.column for condition in predicate_conditions(definition.predicate)}


def ends_hot(definition: Definition, major_version: int) -> bool:
    """Whether an update of a column of the index is not HOT in this version of Postgres."""
    return definition.method != "brin" or major_version < _BRIN_KEEPS_HOT_SINCE


def _columns_of_key(text: str) -> set[str]:
    if _NAME.fullmatch(text):
        return {text}
    try:
        return {column for _, column in columns_in(parse(f"select {text}").stmts[0].stmt)}
    except SyntaxFault:
        return {text}  # a column whose name has to be quoted


async def write_us_per_row(scratch: Connection, table: CopiedTable, statements: Iterable[str]) -> dict[str, float]:
    """Microseconds that each index adds to the insert of a row, alone, best of three; by statement.

    Measured with rows of the table itself: a partial index is asked to take as few of them as it does there.
    """
    await scratch.execute(
        f"create table {_COPY} as select * from {table.qualified} limit {_ROWS};"
        f"create table {_PRICED} (like {table.qualified})"
    )
    try:
        bare = await _insert_s(scratch)
        prices = {}
        for statement in statements:
            try:
                await scratch.execute(statement_on(statement, "", _PRICED, f"{_PRICED}_index"))
            except asyncpg.PostgresError:
                continue  # an expression of a function that only the source has
            prices[statement] = round(max(0.0, (await _insert_s(scratch) - bare) / _ROWS * 1e6), 2)
            await scratch.execute(f"drop index {quote(f'{_PRICED}_index')}")
        return prices
    finally:
        await scratch.execute(f"drop table {_COPY}, {_PRICED}")


async def _insert_s(scratch: Connection) -> float:
    taken = []
    for _ in range(_ROUNDS):
        await scratch.execute(f"truncate {_PRICED}")
        started = time.perf_counter()
        await scratch.execute(f"insert into {_PRICED} select * from {_COPY}")
        taken.append(time.perf_counter() - started)
    return min(taken)
