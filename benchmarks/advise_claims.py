"""Whether advise keeps what it claims: its indexes applied to the database that it was asked about, and measured there.

`python -m benchmarks.advise_claims saas feed --scale 0.1 --out evidence/indexes`

A workload whose statements have parameters is run on the database first, with values that rows have, and advise reads
it from pg_stat_statements. The claim is the time of all readings a minute, before and with the advised indexes; the
same readings are then timed on clones of the database without and with these indexes. Exit code 1: the share of the
time that is left is more than 15 % off (a machine that is busier for a while changes both times, not the share), or a
statement is in no list.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.advise import WORKLOADS, Bench
from easymo.indexes.advise import Advice, Kind, advise
from easymo.indexes.advise.workload import read_workload
from easymo.indexes.binding import bind, session_of
from easymo.indexes.explain import call, prepare
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.tables import read_tables
from tests.indexes.servers import postgres_15

TOLERANCE = 0.15
RUNS = 9


async def feed(url: str, statements: Sequence[HotQuery]) -> None:
    """Run the statements as often as they say, so that pg_stat_statements has counted a minute of them."""
    connection = await asyncpg.connect(url, statement_cache_size=0)
    session = await session_of(connection, await read_tables(connection), None)
    values = {}
    for statement in statements:
        types = await prepare(connection, statement.text)
        if statement.statement.WhichOneof("node") == "insert_stmt":
            continue
        values[statement.name] = types, (await bind(connection, session, statement))[0].values
    await connection.execute("create extension if not exists pg_stat_statements; select pg_stat_statements_reset()")
    for statement in statements:
        if statement.name not in values:
            continue
        types, sets = values[statement.name]
        for number in range(round(statement.calls_per_minute)):
            # Over the protocol, as an application does: PREPARE would be counted as a statement of its own.
            async with connection.transaction():
                arguments = [
                    f"'{str(value).replace(chr(39), chr(39) * 2)}'::{kind}"
                    for value, kind in zip(sets[number % len(sets)], types, strict=True)
                ]
                text = statement.text
                for place in range(len(arguments), 0, -1):
                    text = text.replace(f"${place}", arguments[place - 1])
                await connection.execute(text)
    await connection.close()


async def measured_ms(url: str, statements: Sequence[HotQuery], advice: Advice) -> float:
    """The time of all readings a minute on a database, the best of some runs each, as the claim counts it."""
    connection = await asyncpg.connect(url, statement_cache_size=0)
    session = await session_of(connection, await read_tables(connection), None)
    claimed = {gain.query for gain in advice.queries}
    tried = {outcome.statement for outcome in advice.statements if outcome.before_ms is not None}
    total = 0.0
    for statement in statements:
        for reading in await bind(connection, session, statement) if statement.name in tried else ():
            if reading.name in claimed:
                await prepare(connection, reading.text, reading.types)
                taken = [await best_ms(connection, call(values)) for values in reading.values]
                total += reading.weight * sum(taken) / len(taken)
    await connection.close()
    return total


async def best_ms(connection: Any, statement: str) -> float:
    best = float("inf")
    for _ in range(RUNS):
        started = time.perf_counter()
        await connection.execute(statement)
        best = min(best, time.perf_counter() - started)
    return best * 1000


async def check(bench: Bench, scale: float) -> dict[str, Any]:
    """Ask for advice, apply it to a clone, and compare."""
    rows = await bench.fill(scale)
    await bench.execute(bench.name, "vacuum analyze")
    statements: Sequence[HotQuery] | None = bench.statements
    counted = any("$" in statement.text for statement in bench.statements)
    if counted:
        await feed(bench.work, bench.statements)
        statements = None
    advice = await advise(bench.work, statements, scratch_url=bench.url)
    if statements is None:
        connection = await asyncpg.connect(bench.work, statement_cache_size=0)
        statements, _ = await read_workload(connection)
        await connection.close()
        known = {outcome.statement for outcome in advice.statements}
        statements = [statement for statement in statements if statement.name in known]
        rates = {outcome.statement: outcome.calls_per_minute for outcome in advice.statements}
        statements = [HotQuery(s.name, s.text, s.path, s.line, (), rates[s.name]) for s in statements]
    before = await bench.build("none", [])
    applied = await bench.build("easymo", [index.statement for index in advice.indexes])
    measured = {
        tried.who: await measured_ms(bench.database(tried.database), statements, advice) for tried in (before, applied)
    }
    await bench.drop()
    off = {
        "before": advice.before_ms_per_minute / measured["none"] - 1,
        "after": advice.after_ms_per_minute / measured["easymo"] - 1,
    }
    off["share left"] = (1 + off["after"]) / (1 + off["before"]) - 1
    return {
        "rows": rows,
        "from": "pg_stat_statements" if counted else "file",
        "statements": len(advice.statements),
        **{str(kind): advice.of(kind) for kind in Kind},
        "indexes": [index.statement for index in advice.indexes],
        "claimed_ms": {"before": advice.before_ms_per_minute, "after": advice.after_ms_per_minute},
        "measured_ms": {"before": measured["none"], "after": measured["easymo"]},
        "off_ratio": off,
        "size_mb": [round(advice.size_bytes / 1e6, 1), applied.size_mb],
        "advice_s": advice.seconds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.advise_claims", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", default=["saas", "feed"])
    parser.add_argument("--scale", type=float, default=0.3, help="of the data")
    parser.add_argument("--out", type=Path, help="folder for advise-claims.json, such as evidence/indexes")
    options = parser.parse_args()
    found, kept = {}, True
    with postgres_15() as url:
        for name in options.workloads:
            assert (WORKLOADS / f"{name}.sql").exists(), f"no workload {name}"
            one = asyncio.run(check(Bench(url, name), options.scale))
            found[name] = {"measured": datetime.now(UTC).date().isoformat(), "scale": options.scale} | one
            kinds = {str(kind): len(one[str(kind)]) for kind in Kind}
            kept &= abs(one["off_ratio"]["share left"]) <= TOLERANCE and sum(kinds.values()) == one["statements"]
            print(f"{name}: {one['rows']:,} rows, {one['statements']} statements: {kinds}; {one['advice_s']} s")
            for when in ("before", "after"):
                claimed, real = one["claimed_ms"][when], one["measured_ms"][when]
                off = one["off_ratio"][when]
                print(f"  {when}: claimed {claimed:,.0f} ms a minute, measured {real:,.0f} ({off:+.1%})")
            print(f"  the share that is left: claim {one['off_ratio']['share left']:+.1%} off")
            for kind in ("no index helps", "not tried"):
                for statement, why in one[kind].items():
                    print(f"  {kind}: {statement[:80]}: {why[:200]}", flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "advise-claims.json").write_text(json.dumps(found, indent=1) + "\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
