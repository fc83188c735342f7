"""Kill an apply at random moments, again and again: `python -m drills.indexes.campaign --kills 50 --seed N`.

After each SIGKILL a second apply must end with every index valid and marked, and a rollback with the catalogue as it
was; in every third round the rollback comes at once, without a second apply. Ends with exit code 1 at the first round
that does not. `--out FOLDER` writes kills.json there.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg

from easymo.indexes import Declared, apply, difference, read_declared, rollback, snapshot
from tests.indexes.servers import server_to_test

TABLES = """
create table orders (id bigint primary key, customer int, status text, total numeric, created_at timestamptz);
insert into orders select i, i % 997, (array['new', 'paid', 'sent'])[1 + i % 3], i, now() - i * interval '1 minute'
  from generate_series(1, 30000) i;
create table visits (at date not null, agent text) partition by range (at);
create table visits_2025 partition of visits for values from ('2025-01-01') to ('2026-01-01');
create table visits_2026 partition of visits for values from ('2026-01-01') to ('2027-01-01') partition by list (agent);
create table visits_2026_ann partition of visits_2026 for values in ('ann');
create table visits_2026_rest partition of visits_2026 default;
insert into visits
  select date '2025-01-01' + i % 700, (array['ann', 'bob'])[1 + i % 2] from generate_series(1, 20000) i;
create index by_total on orders (total);
analyze;
"""
INDEXES = """
create index concurrently by_customer on orders (customer, created_at);
create index concurrently by_status on orders (created_at) where status = 'new';
create unique index concurrently by_id on orders (id) include (total);
create index concurrently by_agent on visits (agent, at);
create index concurrently by_total on orders (total, id);
"""
FOUND = """
select c.relname as name, i.indisvalid as valid, obj_description(c.oid, 'pg_class') is not null as marked
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relname like 'by\\_%' order by 1
"""


class Failed(Exception):
    """A round after which the database was not what it has to be."""


def campaign(kills: int, seed: int, folder: Path) -> dict[str, Any]:
    """All rounds; returns what was left behind by the kills. Raises Failed."""
    chance = random.Random(seed)
    file, journal = folder / "indexes.sql", folder / "journal.jsonl"
    file.write_text(INDEXES)
    declared = read_declared(file)
    rounds = []
    with server_to_test() as server:
        asyncio.run(execute(server.url, TABLES))
        duration = whole_run(server.url, declared, journal)
        for number in range(kills):
            moment = chance.uniform(0, duration)
            finished = killed_apply(server.url, declared, journal, moment)
            left = asyncio.run(left_behind(server.url))
            directly = number % 3 == 2
            asyncio.run(mend(server.url, declared, journal, directly=directly))
            rounds.append(
                {"moment_ms": round(moment * 1000, 1), "left": left, "finished": finished, "direct": directly}
            )
            print(f"{number + 1}/{kills}: {moment * 1000:.0f} ms: {left}", flush=True)
    return {
        "kills": kills,
        "seed": seed,
        "whole_apply_ms": round(duration * 1000, 1),
        "left_behind": Counter(part for entry in rounds for part in str(entry["left"]).split(", ")),
        "rounds": rounds,
    }


async def execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql)
    await connection.close()


BEFORE: dict[str, Any] = {}


def whole_run(url: str, declared: list[Declared], journal: Path) -> float:
    """Seconds of an apply that nobody kills; also remembers the catalogue before it."""

    async def run() -> float:
        connection = await asyncpg.connect(url)
        BEFORE["schema"] = await snapshot(connection)
        await connection.close()
        started = time.perf_counter()
        await apply(url, declared, replace=True, journal=journal)
        seconds = time.perf_counter() - started
        await restored(url, declared, journal)
        return seconds

    return asyncio.run(run())


def killed_apply(url: str, declared: list[Declared], journal: Path, moment: float) -> bool:
    """Start an apply in a process of its own and kill it; True when it had ended before."""
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(apply(url, declared, replace=True, journal=journal))
        finally:
            os._exit(0)
    time.sleep(moment)  # the moment of the kill is what is varied; nothing is waited for
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFEXITED(status)


async def left_behind(url: str) -> str:
    """In words, what the catalogue holds after the kill."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(FOUND)
    await connection.close()
    words = []
    if any(not row["valid"] for row in rows):
        words.append("invalid index")
    if any(row["valid"] and not row["marked"] and row["name"] != "by_total" for row in rows):
        words.append("valid index without mark")
    if "by_total" not in {row["name"] for row in rows}:
        words.append("replaced index gone")
    if any(row["marked"] for row in rows):
        words.append("finished indexes")
    return ", ".join(words) or "nothing"


async def mend(url: str, declared: list[Declared], journal: Path, *, directly: bool) -> None:
    """Finish by a second apply (unless `directly`), check, and roll back."""
    if not directly:
        await apply(url, declared, replace=True, journal=journal)
        connection = await asyncpg.connect(url)
        wrong = [dict(row) for row in await connection.fetch(FOUND) if not (row["valid"] and row["marked"])]
        count = await connection.fetchval("select count(*) from pg_index where not indisvalid")
        await connection.close()
        if wrong or count:
            raise Failed(f"after the second apply: {wrong}, {count} invalid indexes")
    await restored(url, declared, journal)


async def restored(url: str, declared: list[Declared], journal: Path) -> None:
    """Roll back and compare with the catalogue before the first apply."""
    await rollback(url, declared, journal=journal)
    connection = await asyncpg.connect(url)
    lines = difference(BEFORE["schema"], await snapshot(connection))
    await connection.close()
    if lines:
        raise Failed(f"after the rollback: {lines}")


def main() -> int:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(prog="python -m drills.indexes.campaign", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for kills.json, such as evidence/indexes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            outcome = campaign(options.kills, options.seed, Path(folder))
        except Failed as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{options.kills} kills, all mended; left behind: {dict(outcome['left_behind'])}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "kills.json").write_text(json.dumps(outcome, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
