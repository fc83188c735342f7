"""Real values for the parameters of a statement, out of the statistics of the columns that they are compared with."""

import re

import asyncpg

from easymo.indexes.conditions import Condition, Operator
from easymo.indexes.explain import Values
from easymo.indexes.hotqueries import table_conditions
from easymo.indexes.observed import Connection, quote
from easymo.indexes.parser import Node, of_kind, parse

_STATISTICS = """
select most_common_vals::text::text[] as common, histogram_bounds::text::text[] as bounds
from pg_stats where tablename = $1 and attname = $2 limit 1
"""
# Where a parameter is compared with no column: a day, a page of 50 rows, and an optional filter left out.
_BY_TYPE = {
    "interval": "1 day",
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric"), "50"),
    **dict.fromkeys(("date", "timestamp without time zone", "timestamp with time zone"), "now"),
    "boolean": "true",
}
_SETS = (0.0, 0.5, 1.0)  # a frequent value, one in the middle, a rare one
# pg_stat_statements puts a parameter where only a literal may stand.
_TYPED_LITERAL = re.compile(r"\b(interval|date|time|timestamptz|timestamp)\s+(\$\d+)", re.IGNORECASE)


def preparable(text: str) -> str:
    """A statement of pg_stat_statements as PREPARE takes it."""
    return _TYPED_LITERAL.sub(r"\2::\1", text)


async def example_values(connection: Connection, text: str, types: list[str]) -> list[Values]:
    """Up to three lists of values for a statement whose parameters have these types; one empty list without any."""
    if not types:
        return [()]
    statement = parse(text).stmts[0].stmt
    asked = {n: (table, condition) for table, condition in table_conditions(statement) for n in condition.parameters}
    units = {node.number for call in of_kind(statement, "FuncCall") if _is_date_trunc(call) for node in _first(call)}
    sets: list[Values] = []
    for rank in _SETS:
        values: list[str | None] = []
        for number, kind in enumerate(types, start=1):
            if number in units:
                values.append("day")
            elif number in asked and kind != "interval":
                values.append(await _value(connection, *asked[number], kind, rank, first=number == min(asked)))
            else:
                values.append(_BY_TYPE.get(kind))
        if values not in sets:
            sets.append(values)
    return sets


async def _value(
    connection: Connection, table: str, condition: Condition, kind: str, rank: float, *, first: bool
) -> str | None:
    row = await connection.fetchrow(_STATISTICS, table, condition.column)
    common, bounds = (list(row["common"] or ()), list(row["bounds"] or ())) if row else ([], [])
    if condition.operator is Operator.RANGE and bounds:
        # The newest hundredth from below, all of it from above: what is asked for is recent as a rule.
        return str(bounds[int(0.99 * (len(bounds) - 1))] if ">" in condition.text and first else bounds[-1])
    ordered = common + bounds if rank < 1 else bounds or common
    if not ordered:
        ordered = await _any_value(connection, table, condition.column)
    if not ordered:
        return None
    value = str(ordered[0 if rank == 0 else len(ordered) // 2 if rank < 1 else len(ordered) // 3])
    return "{" + '"' + value.replace('"', '\\"') + '"' + "}" if kind.endswith("[]") else value


async def _any_value(connection: Connection, table: str, column: str) -> list[str]:
    try:
        rows = await connection.fetch(
            f"select {quote(column)}::text from {quote(table)} where {quote(column)} is not null limit 1"
        )
    except asyncpg.PostgresError:
        return []  # not a table of the search path, such as a WITH query: the default of the type is taken
    return [row[0] for row in rows]


def _is_date_trunc(call: Node) -> bool:
    return bool(call.funcname[-1].string.sval == "date_trunc")


def _first(call: Node) -> list[Node]:
    return list(of_kind(call.args[0], "ParamRef"))
