"""Ours beside the peers: the same data, the same literal queries, each set of indexes built and timed.

`python -m benchmarks.advise --postgres-mcp PYTHON --index-advisor FILE.sql --out evidence/indexes`

All on Debian's PostgreSQL 15 with hypopg, which the peers need. `--postgres-mcp` is the Python of an environment that
has postgres-mcp, `--index-advisor` the file index_advisor--0.2.0.sql of its release; a peer that is not given, or not
found, is named in the result. dexter is run when it is on the path.
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
from pathlib import Path
from typing import Any

import asyncpg
from tests.indexes.servers import postgres_15

from easymo.indexes.advise import advise
from easymo.indexes.explain import timing
from easymo.indexes.hotqueries import HotQuery, read_hot_queries

HERE = Path(__file__).parent
ROWS = {"people": 200_000, "calls": 1_000_000, "messages": 2_000_000, "payments": 1_000_000}
RUNS, UPDATES = 11, 2000


class Bench:
    """The server with the database `work`; every set of indexes is tried on a copy of it."""

    def __init__(self, url: str, queries: list[HotQuery]) -> None:
        self.url, self.queries = url, [query for query in queries if query.is_select]

    def database(self, name: str) -> str:
        return self.url.replace("/postgres?", f"/{name}?")

    async def fill(self, scale: float) -> None:
        await self.execute("postgres", "create database work")
        sql = (HERE / "workloads/calls.data.sql").read_text()
        for name, rows in ROWS.items():
            sql = sql.replace(f":{name}", str(int(rows * scale)))
        for statement in filter(str.strip, sql.split(";")):
            await self.execute("work", statement)
        await self.execute("work", "create extension hypopg")

    async def execute(self, database: str, sql: str) -> None:
        connection = await asyncpg.connect(self.database(database))
        await connection.execute(sql)
        await connection.close()

    async def measure(self, statements: list[str]) -> dict[str, Any]:
        """Build a set on a copy: time, size, ms of each query, weighted sum, share of HOT updates."""
        await self.execute("postgres", "drop database if exists tried")
        await self.execute("postgres", "create database tried template work")
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
            times[query.name] = (await timing(connection, [()], runs=RUNS, within_s=2)).p50_ms
        hot = await self._hot_ratio(connection)
        await connection.close()
        total = sum(query.calls_per_minute * times[query.name] for query in self.queries)
        return {
            "indexes": statements,
            "size_mb": round(size / 1e6, 1),
            "build_s": round(build_s, 1),
            "total_ms_per_minute": round(total),
            "without_tx_day90": round(total - 2 * times["tx_day90"]),
            "hot_ratio": hot,
            "p50_ms": times,
        }

    async def _size(self, connection: Any) -> int:
        return int(
            await connection.fetchval("select sum(pg_indexes_size(oid))::bigint from pg_class where relkind = 'r'")
        )

    async def _hot_ratio(self, connection: Any) -> float:
        chance = random.Random(1)
        count = await connection.fetchval("select count(*) from messages")
        await connection.execute("alter table messages set (fillfactor = 90)")
        await connection.execute("vacuum full messages")
        await connection.execute("select pg_stat_reset()")
        for _ in range(UPDATES):
            await connection.execute(f"update messages set status = 'sent' where id = {chance.randint(1, count)}")
        await connection.execute("select pg_stat_force_next_flush()")
        return float(
            await connection.fetchval(
                "select n_tup_hot_upd::float8 / n_tup_upd from pg_stat_user_tables where relname = 'messages'"
            )
        )


async def ours(bench: Bench, _: dict[str, float]) -> list[str]:
    workload = read_hot_queries([HERE / "workloads/calls.sql"])
    advice = await advise(bench.database("work"), workload, scratch_url=bench.url)
    return [index.statement for index in advice.indexes]


def index_advisor(file: Path) -> Callable[[Bench, dict[str, float]], Any]:
    """Supabase's function, asked for each query; what it says for any of them is built."""

    async def run(bench: Bench, _: dict[str, float]) -> list[str]:
        connection = await asyncpg.connect(bench.database("work"), statement_cache_size=0)
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
            command = [python, str(HERE / "peer_postgres_mcp.py"), bench.database("work"), file.name]
            return await asyncio.to_thread(_lines, command)

    return run


def dexter(binary: str) -> Callable[[Bench, dict[str, float]], Any]:
    async def run(bench: Bench, _: dict[str, float]) -> list[str]:
        found: dict[str, None] = {}
        for query in bench.queries:
            lines = await asyncio.to_thread(_lines, [binary, bench.database("work"), "-s", query.text])
            found |= dict.fromkeys(line.partition("CREATE INDEX")[2] for line in lines if "CREATE INDEX" in line)
        return [f"CREATE INDEX{statement}" for statement in found]

    return run


def _lines(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-500:])
    return [line for line in done.stdout.splitlines() if line.strip()]


async def compare(bench: Bench, scale: float, peers: dict[str, Any]) -> dict[str, Any]:
    await bench.fill(scale)
    results: dict[str, Any] = {"none": await bench.measure([])}
    before_ms = results["none"]["p50_ms"]
    for name, peer in peers.items():
        started = time.perf_counter()
        try:
            statements = await peer(bench, before_ms)
            advice_s = time.perf_counter() - started
            results[name] = {"advice_s": round(advice_s, 1)} | await bench.measure(statements)
        except (RuntimeError, asyncpg.PostgresError, OSError) as error:
            results[name] = {"failed": str(error)}
        print(name, {k: v for k, v in results[name].items() if k not in ("indexes", "p50_ms")}, flush=True)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.advise", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 4.2 million rows")
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
    with postgres_15() as url:
        bench = Bench(url, read_hot_queries([HERE / "workloads/calls.sql"]))
        results = asyncio.run(compare(bench, options.scale, peers))
    missing = {"supabase index_advisor", "postgres-mcp", "dexter"} - peers.keys()
    document = {"scale": options.scale, "not_run": sorted(missing), "results": results}
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "advise.json").write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
