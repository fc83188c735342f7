"""Ours beside the peers, by workload: the same data, the same literal queries, each set of indexes built and timed.

`python -m benchmarks.advise --postgres-mcp PYTHON --index-advisor FILE.sql --out evidence/indexes`

Each file `workloads/NAME.sql` has its data in `NAME.data.sql`. All on Debian's PostgreSQL 15 with hypopg, which the
peers need. `--postgres-mcp` is the Python of an environment that has postgres-mcp, `--index-advisor` the file
index_advisor--0.2.0.sql of its release; a peer that is not given, or not found, is named in the result. dexter is run
when it is on the path.
"""

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from tests.indexes.servers import postgres_15

from easymo.indexes.advise import advise
from easymo.indexes.explain import timing
from easymo.indexes.hotqueries import read_hot_queries

WORKLOADS = Path(__file__).parent / "workloads"
ABOUT = """The weighted time of all queries of a workload (calls a minute times P50), the size of the indexes advised,
the share of the workload's updates that are still HOT, and how long the advice took. Made by `make bench-advise`; the
indexes and each query's P50 are in [advise.json](advise.json). `calls` is the workload that the search was made with.
The others were written before it was asked about them, and what it did on each has changed it: on shop, tracking and
helpdesk the rules on space and HOT, on sensors a loop that gave up too early. bookings came after the last change."""
# One at full size, to see how long advice takes there; the others so that all of them take eight minutes.
SCALES, SCALE = {"calls": 1.0}, 0.3
DEFAULT = ("calls", "shop", "tracking", "bookings")
RUNS, WITHIN_S, UPDATES = 9, 0.5, 1000


class Bench:
    """A server with a database for each workload; every set of indexes is tried on a copy of it."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = url, name
        self.statements = read_hot_queries([WORKLOADS / f"{name}.sql"])
        self.queries = [statement for statement in self.statements if statement.is_select]

    def database(self, name: str) -> str:
        return self.url.replace("/postgres?", f"/{name}?")

    @property
    def work(self) -> str:
        """Address of the database that is asked for advice."""
        return self.database(self.name)

    async def fill(self, scale: float) -> int:
        """Make the data; returns the number of rows."""
        await self.execute("postgres", f"create database {self.name}")
        await self.execute(
            self.name,
            "create function scaled(bigint) returns bigint language sql immutable"
            f" return ($1 * {scale}::float8)::bigint; create extension hypopg",
        )
        for statement in filter(str.strip, (WORKLOADS / f"{self.name}.data.sql").read_text().split(";")):
            await self.execute(self.name, statement)
        connection = await asyncpg.connect(self.work)
        rows = await connection.fetchval("select sum(n_live_tup)::bigint from pg_stat_user_tables")
        await connection.close()
        return int(rows)

    async def execute(self, database: str, sql: str) -> None:
        connection = await asyncpg.connect(self.database(database))
        await connection.execute(sql)
        await connection.close()

    async def measure(self, statements: list[str]) -> dict[str, Any]:
        """Build a set on a copy: time, size, ms of each query, weighted sum, share of HOT updates."""
        await self.execute("postgres", "drop database if exists tried")
        await self.execute("postgres", f"create database tried template {self.name}")
        connection = await asyncpg.connect(self.database("tried"), statement_cache_size=0)
        started = time.perf_counter()
        before = await self._size(connection)
        for statement in statements:
            await connection.execute(statement.replace(" concurrently", "").replace(" CONCURRENTLY", ""))
        build_s = time.perf_counter() - started
        size = await self._size(connection) - before
        await connection.execute("vacuum analyze")
        times = {}
        for query in self.queries:
            await connection.execute(f"deallocate all; prepare easymo_hot_query as {query.text}")
            times[query.name] = (await timing(connection, [()], runs=RUNS, within_s=WITHIN_S)).p50_ms
        hot = await self._hot_ratio(connection)
        await connection.close()
        return {
            "indexes": statements,
            "size_mb": round(size / 1e6, 1),
            "build_s": round(build_s, 1),
            "total_ms_per_minute": round(sum(query.calls_per_minute * times[query.name] for query in self.queries)),
            "hot_ratio": round(hot, 3),
            "p50_ms": times,
        }

    async def _size(self, connection: Any) -> int:
        return int(
            await connection.fetchval("select sum(pg_indexes_size(oid))::bigint from pg_class where relkind = 'r'")
        )

    async def _hot_ratio(self, connection: Any) -> float:
        """The share of HOT updates when each UPDATE of the workload is run on random rows, weighted by its rate."""
        chance, hot, all_updates = random.Random(1), 0.0, 0.0
        for update in (s for s in self.statements if s.statement.WhichOneof("node") == "update_stmt"):
            table = update.statement.update_stmt.relation.relname
            count = await connection.fetchval(f"select count(*) from {table}")
            await connection.execute("select pg_stat_reset()")
            for _ in range(UPDATES):
                await connection.execute(update.text.replace("$1", str(chance.randint(1, count))))
            await connection.execute("select pg_stat_force_next_flush()")
            ratio = await connection.fetchval(
                "select n_tup_hot_upd::float8 / n_tup_upd from pg_stat_user_tables where relname = $1", table
            )
            hot, all_updates = hot + update.calls_per_minute * ratio, all_updates + update.calls_per_minute
        return hot / all_updates


async def ours(bench: Bench, _: dict[str, float], budget_bytes: int | None = None) -> list[str]:
    advice = await advise(bench.work, bench.statements, budget_bytes=budget_bytes, scratch_url=bench.url)
    for index in advice.indexes:
        for ended in index.ends_hot_for:
            print(f"  {index.name} ends HOT for {ended.statement}: {index.gain_ms_per_minute:,.0f} gained", flush=True)
    return [index.statement for index in advice.indexes]


def index_advisor(file: Path) -> Callable[[Bench, dict[str, float]], Any]:
    """Supabase's function, asked for each query; what it says for any of them is built."""

    async def run(bench: Bench, _: dict[str, float]) -> list[str]:
        connection = await asyncpg.connect(bench.work, statement_cache_size=0)
        await connection.execute(file.read_text())
        found: dict[str, None] = {}
        for query in bench.queries:
            for row in await connection.fetch("select index_statements from index_advisor($1)", query.text):
                found |= dict.fromkeys(row[0] or ())
        await connection.close()
        return list(found)

    return run


def postgres_mcp(python: str) -> Callable[[Bench, dict[str, float]], Any]:
    async def run(bench: Bench, before_ms: dict[str, float]) -> list[str]:
        workload = [
            {"query": q.text, "calls": q.calls_per_minute, "avg_exec_time": before_ms[q.name]} for q in bench.queries
        ]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(workload, file)
            file.flush()
            command = [python, str(WORKLOADS.parent / "peer_postgres_mcp.py"), bench.work, file.name]
            return await asyncio.to_thread(_lines, command)

    return run


def dexter(binary: str) -> Callable[[Bench, dict[str, float]], Any]:
    async def run(bench: Bench, _: dict[str, float]) -> list[str]:
        found: dict[str, None] = {}
        for query in bench.queries:
            lines = await asyncio.to_thread(_lines, [binary, bench.work, "-s", query.text])
            found |= dict.fromkeys(line.partition("CREATE INDEX")[2] for line in lines if "CREATE INDEX" in line)
        return [f"CREATE INDEX{statement}" for statement in found]

    return run


def _lines(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-500:])
    return [line for line in done.stdout.splitlines() if line.strip()]


async def tried(bench: Bench, peer: Any, before_ms: dict[str, float]) -> dict[str, Any]:
    """Ask one for advice and measure it; what a peer says when it fails is its result."""
    started = time.perf_counter()
    try:
        statements = await peer(bench, before_ms)
        advice_s = time.perf_counter() - started
        return {"advice_s": round(advice_s, 1)} | await bench.measure(statements)
    except (RuntimeError, asyncpg.PostgresError, OSError) as error:
        return {"failed": str(error)}


async def compare(bench: Bench, scale: float, peers: dict[str, Any]) -> dict[str, Any]:
    rows = await bench.fill(scale)
    print(f"{bench.name}: {rows:,} rows, {len(bench.queries)} queries", flush=True)
    results: dict[str, Any] = {"none": await bench.measure([])}
    for name, peer in peers.items():
        results[name] = await tried(bench, peer, results["none"]["p50_ms"])
    rivals = [row for name, row in results.items() if name not in ("none", "easymo") and "failed" not in row]
    best = min(rivals, key=lambda row: row["total_ms_per_minute"], default=None)
    if best and best["size_mb"] < results["easymo"]["size_mb"]:
        budget = int(best["size_mb"] * 1e6)
        results[f"easymo, {best['size_mb']} MB at most"] = await tried(bench, partial(ours, budget_bytes=budget), {})
    await bench.execute("postgres", f"drop database {bench.name} with (force)")
    return {"rows": rows, "results": results}


def table(name: str, found: dict[str, Any]) -> str:
    """What was found for a workload, in Markdown: a line for each set of indexes."""
    lines = [f"**{name}**, {found['rows']:,} rows:", ""]
    lines += ["| | ms a minute | MB | HOT | indexes | advice, s |", "|---|---:|---:|---:|---:|---:|"]
    for who, row in found["results"].items():
        if "failed" in row:
            lines.append(f"| {who} | failed: {row['failed'][:80]} | | | | |")
        else:
            lines.append(
                f"| {who} | {row['total_ms_per_minute']:,} | {row['size_mb']} | {row['hot_ratio']:.0%} "
                f"| {len(row['indexes'])} | {row.get('advice_s', '')} |"
            )
    return "\n".join(lines) + "\n"


def main() -> int:
    names = sorted(file.stem for file in WORKLOADS.glob("*.sql") if not file.name.endswith(".data.sql"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.advise", description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(names)}, or all; default: {', '.join(DEFAULT)}"
    )
    parser.add_argument("--scale", type=float, help="of the data; default: 1, 4.2 million rows, for calls, else 0.3")
    parser.add_argument("--postgres-mcp", metavar="PYTHON")
    parser.add_argument("--index-advisor", metavar="FILE", type=Path)
    parser.add_argument("--out", type=Path, help="folder for advise.json, such as evidence/indexes")
    options = parser.parse_args()
    peers: dict[str, Any] = {"easymo": ours}
    if options.index_advisor:
        peers["supabase index_advisor"] = index_advisor(options.index_advisor)
    if options.postgres_mcp:
        peers["postgres-mcp"] = postgres_mcp(options.postgres_mcp)
    if binary := shutil.which("dexter"):
        peers["dexter"] = dexter(binary)
    found = {}
    with postgres_15() as url:
        for name in names if options.workloads == ["all"] else options.workloads or DEFAULT:
            scale = options.scale or SCALES.get(name, SCALE)
            found[name] = {"scale": scale} | asyncio.run(compare(Bench(url, name), scale, peers))
            print(table(name, found[name]), flush=True)
    missing = {"supabase index_advisor", "postgres-mcp", "dexter"} - peers.keys()
    document = {"not_run": sorted(missing), "workloads": found}
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "advise.json").write_text(json.dumps(document, indent=1) + "\n")
        tables = "\n".join(table(name, one) for name, one in found.items())
        (options.out / "advise.md").write_text(f"# Advise beside its peers\n\n{ABOUT}\n\n{tables}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
