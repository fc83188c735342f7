"""Writes at a fixed rate while indexes are built and dropped: `python -m drills.indexes.writers --rate 500`.

A write's time counts from the moment at which it was due, so that waiting in a queue is not lost. `--out FOLDER` writes
writes.json there.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from easymo.indexes import Declared, apply, read_declared, rollback
from tests.indexes.servers import server_to_test

CONNECTIONS = 16
TABLES = """
create table orders (id bigint primary key, customer int, status text, total numeric, created_at timestamptz);
insert into orders select i, i % 9973, (array['new', 'paid', 'sent'])[1 + i % 3], i, now() - i * interval '1 minute'
  from generate_series(1, {rows}) i;
create table visits (id bigint, at date not null, agent text) partition by range (at);
create table visits_2025 partition of visits for values from ('2025-01-01') to ('2026-01-01');
create table visits_2026 partition of visits for values from ('2026-01-01') to ('2027-01-01');
insert into visits select i, date '2025-01-01' + i % 700, 'agent ' || i % 50 from generate_series(1, {rows}) i;
analyze;
"""
INDEXES = """
create index concurrently by_customer on orders (customer, created_at);
create index concurrently by_status on orders (created_at) where status = 'new';
create index concurrently by_total on orders (total);
create index concurrently by_agent on visits (agent, at);
"""
WRITES = (
    "insert into orders values (nextval('ids'), 5, 'new', 1, now())",
    "update orders set status = 'paid' where id = {row}",
    "insert into visits values (1, '2026-03-04', 'agent 7')",
    "update visits set agent = 'agent 8' where id = {row} and at = date '2025-01-01' + {row} % 700",
)


def percentile(times_ms: list[float], ratio: float) -> float:
    """Nearest rank."""
    return sorted(times_ms)[min(len(times_ms) - 1, int(ratio * len(times_ms)))]


@asynccontextmanager
async def writing(pool: "asyncpg.Pool[asyncpg.Record]", rate: float, rows: int) -> AsyncIterator[list[float]]:
    """Send writes at `rate` a second until the block ends; gives their times in ms."""
    times_ms: list[float] = []
    chance, started, tasks = random.Random(1), time.perf_counter(), set[asyncio.Task[None]]()
    stop = asyncio.Event()

    async def write(due: float, sql: str) -> None:
        await pool.execute(sql)
        times_ms.append((time.perf_counter() - due) * 1000)

    async def send() -> None:
        for number in itertools.count():
            due = started + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            if stop.is_set():
                return
            sql = WRITES[number % len(WRITES)].format(row=chance.randrange(1, rows))
            task = asyncio.create_task(write(due, sql))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    sender = asyncio.create_task(send())
    try:
        yield times_ms
    finally:
        stop.set()
        await sender
        await asyncio.gather(*tasks)


async def measure(url: str, declared: list[Declared], rate: float, rows: int, quiet_s: float) -> dict[str, Any]:
    """Times of writes while nothing else happens, during apply and during rollback."""
    async with asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        await pool.execute(TABLES.format(rows=rows))
        await pool.execute(f"create sequence ids start {rows + 1}; create index visits_id on visits (id)")
        phases: dict[str, Callable[[], Awaitable[object]]] = {
            "alone": lambda: asyncio.sleep(quiet_s),  # the length of the comparison, nothing is waited for
            "apply": lambda: apply(url, declared),
            "rollback": lambda: rollback(url, declared),
        }
        result: dict[str, Any] = {"rate_rps": rate, "rows": rows}
        for name, work in phases.items():
            async with writing(pool, rate, rows) as times_ms:
                started = time.perf_counter()
                await work()
                seconds = time.perf_counter() - started
            figures = {"p50": percentile(times_ms, 0.5), "p99": percentile(times_ms, 0.99), "max": max(times_ms)}
            result[name] = {
                "seconds": round(seconds, 2),
                "writes": len(times_ms),
                **{f"{key}_ms": round(value, 2) for key, value in figures.items()},
            }
        return result


def main() -> int:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(prog="python -m drills.indexes.writers", description=__doc__)
    parser.add_argument("--rate", type=float, default=500, help="writes a second")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each table")
    parser.add_argument("--out", type=Path, help="folder for writes.json, such as evidence/indexes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server_to_test() as server:
        file = Path(folder) / "indexes.sql"
        file.write_text(INDEXES)
        result = asyncio.run(measure(server.url, read_declared(file), options.rate, options.rows, quiet_s=5))
    print(json.dumps(result, indent=1))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "writes.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
