"""What the fourteen indexes of the note bring and cost: `python -m drills.indexes.fourteen --out evidence/indexes`.

Writes verify.json (the frozen queries on the ci data), advised.json and advised.sql (what advise would build for the
same queries), and hot.json: updates of a message's status with and without the indexes. Then fills the tables of
docs/explanation/the-fourteen-indexes.md; what the page says around them is for people to check.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from easymo.embedded import Postgres
from easymo.indexes import apply, read_declared, rollback
from easymo.indexes.advise import advise, migration
from easymo.indexes.hotqueries import read_hot_queries
from easymo.indexes.verify import verify
from easymo_platform.operations.migrate import MIGRATIONS, migrate
from easymo_platform.sample_data.load import load
from tests.repo.test_hot_queries_are_frozen import FROZEN

INDEXES = MIGRATIONS / "20251129000000_performance_optimization.sql"
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "the-fourteen-indexes.md"
UPDATES = 5000
# Writes of the platform, beside its sixteen hot queries, each of which is taken to come a hundred times a minute.
WRITES = """
-- name: set_message_status
-- calls_per_minute: 600
update whatsapp_messages set status = 'read', read_at = now() where id = :id;
-- name: set_call_status
-- calls_per_minute: 200
update voice_calls set status = 'active', updated_at = now() where id = :id;
-- name: insert_message
-- calls_per_minute: 300
insert into whatsapp_messages (direction, from_number, to_number, message_type) values ('inbound', :a, :b, 'text');
-- name: insert_call
-- calls_per_minute: 100
insert into voice_calls (provider, direction, from_number, to_number, agent_profile)
values ('x', 'inbound', :a, :b, 'y');
"""


async def baseline(url: str, scale: str, folder: Path) -> None:
    """Schema and data without the fourteen."""
    for file in MIGRATIONS.glob("*.sql"):
        if file != INDEXES:
            shutil.copy(file, folder)
    await migrate(url, folder)
    await load(url, scale, seed=1)


async def status_updates(url: str) -> dict[str, Any]:
    """Updates of random messages' status: rate, share that was HOT, WAL."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        "select id from whatsapp_messages where direction = 'outbound' order by md5(id::text)"
    )
    await connection.execute("vacuum analyze whatsapp_messages")
    before = await connection.fetchval("select pg_current_wal_lsn()")
    await connection.fetchval("select pg_stat_reset()")
    started = time.perf_counter()
    for row in rows[:UPDATES]:
        await connection.execute("update whatsapp_messages set status = 'read' where id = $1", row["id"])
    seconds = time.perf_counter() - started
    await connection.execute("select pg_stat_force_next_flush()")
    found = await connection.fetchrow(
        "select n_tup_upd as updates, n_tup_hot_upd as hot, pg_wal_lsn_diff(pg_current_wal_lsn(), $1) as wal"
        " from pg_stat_user_tables where relname = 'whatsapp_messages'",
        before,
    )
    await connection.close()
    assert found is not None
    return {
        "updates": found["updates"],
        "hot_ratio": round(found["hot"] / found["updates"], 3),
        "updates_per_s": round(UPDATES / seconds),
        "wal_bytes_per_update": round(float(found["wal"]) / found["updates"]),
    }


async def measure(url: str, scale: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await baseline(url, scale, folder)
        queries = folder / "frozen.sql"
        named = (f"-- name: {query}\n-- calls_per_minute: 100\n{text};\n" for query, text in FROZEN.items())
        queries.write_text("".join(named) + WRITES)
        hot = read_hot_queries([queries])
        advice = await advise(url, hot)
        (out / "advised.json").write_bytes(msgspec.json.format(msgspec.json.encode(advice)) + b"\n")
        (out / "advised.sql").write_text(migration(advice))
        declared = read_declared(INDEXES)
        await apply(url, declared)
        verified = await verify(url, declared, hot)
        (out / "verify.json").write_bytes(msgspec.json.format(msgspec.json.encode(verified)) + b"\n")
        updates = {"with the fourteen": await status_updates(url)}
        await rollback(url, declared)
        updates["without"] = await status_updates(url)
        (out / "hot.json").write_text(json.dumps(updates, indent=1) + "\n")


def tables(evidence: Path) -> list[str]:
    """The tables of docs/explanation/the-fourteen-indexes.md, from the files in evidence/indexes."""
    verified = json.loads((evidence / "verify.json").read_text())
    buffers = {query["query"]: query["buffers"] for query in verified["queries"]}
    measured = [
        "| index | MB | µs a row | query | P50 without | P50 with | buffers with |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    for index in verified["indexes"]:
        first = f"`{index['index']}` | {index['size_bytes'] / 1e6:.2f} | {index['write_us_per_row']:.1f}"
        for served in index["serves"]:
            without, with_it = served["without_index"]["p50_ms"], served["with_index"]["p50_ms"]
            name = served["query"]
            measured.append(f"| {first} | {name} | {without:.2f} ms | {with_it:.2f} ms | {buffers[name]} |")
            first = " | | "
    hot = json.loads((evidence / "hot.json").read_text())
    updates = ["| | HOT | updates/s | WAL per update |", "|---|---:|---:|---:|"]
    for name in ("without", "with the fourteen"):
        row = hot[name]
        updates.append(
            f"| {name} | {row['hot_ratio']:.1%} | {row['updates_per_s']} | {row['wal_bytes_per_update']} bytes |"
        )
    advice = json.loads((evidence / "advised.json").read_text())
    advised = ["| index that advise would build | MB | serves | ends HOT for |", "|---|---:|---|---|"]
    for index in advice["indexes"]:
        definition = index["statement"].split(" on ", 1)[1]
        serves = ", ".join(gain["query"] for gain in index["serves"])
        ended = ", ".join(hot["statement"] for hot in index["ends_hot_for"])
        advised.append(f"| `{definition}` | {index['size_bytes'] / 1e6:.2f} | {serves} | {ended} |")
    together = [
        "| all of them, MB | ms a minute before | after | updates that stay HOT |",
        "|---:|---:|---:|---:|",
        f"| {advice['size_bytes'] / 1e6:.0f} | {advice['before_ms_per_minute']:,.0f} | "
        f"{advice['after_ms_per_minute']:,.0f} | {advice['hot_kept_ratio']:.0%} |",
    ]
    return ["\n".join(lines) for lines in (measured, updates, advised, together)]


def fill(page: Path, evidence: Path) -> None:
    """Put the tables of the evidence in the place of those that begin with the same line."""
    text = page.read_text()
    for table in tables(evidence):
        before, header, rest = text.partition(table.partition("\n")[0])
        assert header, f"{page} has no table that begins with {table.partition(chr(10))[0]}"
        text = f"{before}{table}\n\n{rest.partition(chr(10) * 2)[2]}"
    page.write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m drills.indexes.fourteen", description=__doc__)
    parser.add_argument("--scale", default="ci")
    parser.add_argument("--out", type=Path, default=Path("evidence/indexes"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with Postgres() as server:
        asyncio.run(measure(server.url, options.scale, options.out))
    fill(PAGE, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
