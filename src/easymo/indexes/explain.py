"""Statements with parameters as Postgres plans and runs them: which indexes, how many buffers, how long."""

import json
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from easymo.indexes.observed import Connection, quoted

_NAME = "easymo_hot_query"
# A bitmap scan took 22 ns for an entry of an index where a plain one took 100 for a row (15,000 of each).
_ENTRIES_A_ROW = 5
Values = Sequence[str | None]


class Explained(msgspec.Struct, frozen=True):
    """One plan. `scanned` are tables read from end to end; `skipping` are indexes read by a skip scan (Postgres 18).

    `places` and `scanned_places` have their schemas, and so have skipped indexes. `buffers`, `heap_fetches` and `rows`
    are -1 unless the statement was run; `rows` are all that any node of the plan has passed on or thrown away, five
    entries of a bitmap counted as one.
    """

    indexes: tuple[str, ...]
    scanned: tuple[str, ...]
    skipping: tuple[str, ...]
    index_only: bool
    cost: float
    places: tuple[str, ...] = ()
    scanned_places: tuple[str, ...] = ()
    buffers: int = -1
    heap_fetches: int = -1
    rows: int = -1


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds of a statement, as its caller sees them, by nearest rank."""

    p50_ms: float
    p95_ms: float
    runs: int


async def prepare(connection: Connection, text: str, types: Sequence[str] = ()) -> list[str]:
    """Prepare a statement in place of the last one; returns the types of its parameters. Raises PostgresError."""
    await connection.execute("deallocate all")
    return await prepare_as(connection, _NAME, text, types)


async def prepare_as(connection: Connection, name: str, text: str, types: Sequence[str] = ()) -> list[str]:
    """Prepare a statement beside others; returns the types of its parameters. Raises PostgresError.

    Postgres infers those types that are not given.
    """
    given = f" ({', '.join(types)})" if types else ""
    await connection.execute(f"prepare {name}{given} as {text}")
    types = await connection.fetchval(
        f"select parameter_types::text[] from pg_prepared_statements where name = '{name}'"
    )
    return list(types)


def call(values: Values, name: str = _NAME) -> str:
    """The EXECUTE of a prepared statement."""
    literals = ["null" if value is None else "'" + value.replace("'", "''") + "'" for value in values]
    return f"execute {name}({', '.join(literals)})" if literals else f"execute {name}"


async def explain(connection: Connection, statement: str, *, generic: bool = False, run: bool = False) -> Explained:
    """Plan a statement, or a `call` for its values or for any (`generic`); `run` executes it. Raises PostgresError."""
    if generic or run:  # what is planned by hand, once, is planned for its values anyway
        await connection.execute(f"set plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
    options = ", analyze, buffers, timing off" if run else ""
    text = await connection.fetchval(f"explain (format json, verbose{options}) {statement}")
    if generic or run:
        await connection.execute("reset plan_cache_mode")
    return read_plan(json.loads(text)[0]["Plan"])


def read_plan(plan: dict[str, Any]) -> Explained:
    """What matters of a plan in JSON."""
    nodes = list(_nodes(plan))
    used = [node for node in nodes if "Index Name" in node]
    scans = [node for node in nodes if node["Node Type"] == "Seq Scan"]
    only = [node for node in nodes if node["Node Type"] == "Index Only Scan"]
    return Explained(
        indexes=tuple(sorted({node["Index Name"] for node in used})),
        scanned=tuple(sorted({node["Relation Name"] for node in scans})),
        skipping=tuple(sorted({_place(node, node["Index Name"]) for node in used if _skips(node)})),
        index_only=bool(only) and len(only) == len(used),
        cost=plan["Total Cost"],
        scanned_places=tuple(sorted({_place(node, node["Relation Name"]) for node in scans})),
        places=tuple(sorted({_place(node, node["Index Name"]) for node in used})),
        buffers=plan.get("Shared Hit Blocks", -1) + plan.get("Shared Read Blocks", 0),
        heap_fetches=sum(node.get("Heap Fetches", 0) for node in only) if only else -1,
        rows=sum(_rows(node) for node in nodes) if "Actual Rows" in plan else -1,
    )


async def timing(connection: Connection, calls: Sequence[Values], *, runs: int = 20, within_s: float = 1.0) -> Timing:
    """Run the prepared statement for each of the values once, then in turn, timed, `runs` times or `within_s` long."""
    statements = [call(values) for values in calls]
    for statement in statements:
        await connection.execute(statement)
    taken: list[float] = []
    ends = time.perf_counter() + within_s
    while len(taken) < runs and (time.perf_counter() < ends or len(taken) < len(statements)):
        started = time.perf_counter()
        await connection.execute(statements[len(taken) % len(statements)])
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return Timing(_rank(taken, 0.5), _rank(taken, 0.95), len(taken))


def _rank(ordered: Sequence[float], ratio: float) -> float:
    return round(ordered[math.ceil(ratio * len(ordered)) - 1], 3)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The node and all below it; a bitmap scan of an index is in the schema of the table scan above it."""
    yield plan
    for child in plan.get("Plans", []):
        if child["Node Type"].startswith("Bitmap") and "Schema" in plan:
            child.setdefault("Schema", plan["Schema"])
        yield from _nodes(child)


def _rows(node: dict[str, Any]) -> int:
    removed = sum(count for what, count in node.items() if what.startswith("Rows Removed by"))
    rows = int((node["Actual Rows"] + removed) * node["Actual Loops"])
    return rows // _ENTRIES_A_ROW if node["Node Type"] == "Bitmap Index Scan" else rows


def _place(node: dict[str, Any], name: str) -> str:
    """An index is in the schema of its table, which plans with VERBOSE name."""
    return f"{quoted(node['Schema'])}.{quoted(name)}" if "Schema" in node else name


def _skips(node: dict[str, Any]) -> bool:
    """Postgres 18, when it runs a plan, counts more than one search a loop for a condition that is no list."""
    return node.get("Index Searches", 0) > node.get("Actual Loops", 0) and "ANY" not in node.get("Index Cond", "")
