"""Writers go on while indexes are built and dropped."""

import asyncio
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from drills.indexes.writers import CONNECTIONS, INDEXES, TABLES, measure, writing
from easymo.indexes import Declared, Progress, apply, read_declared
from easymo.indexes.session import LOCK_TIMEOUT

ROWS = 20_000
NOISE_MS = 1500  # of a busy machine; a write that queued for the whole of what it should not would wait longer still


@pytest.fixture
def declared(tmp_path: Path) -> list[Declared]:
    file = tmp_path / "indexes.sql"
    file.write_text(INDEXES)
    return read_declared(file)


@pytest.mark.alone
async def test_no_write_waits_longer_than_the_lock_timeout(database_url: str, declared: list[Declared]) -> None:
    result = await measure(database_url, declared, rate=500, rows=100_000, quiet_s=0.5)
    longest_ms = LOCK_TIMEOUT.total_seconds() * 1000
    assert result["apply"]["writes"] > 100, "too short a build to say anything"
    assert result["apply"]["max_ms"] < longest_ms + NOISE_MS
    assert result["rollback"]["max_ms"] < longest_ms + NOISE_MS


@pytest.mark.alone
async def test_writes_do_not_queue_behind_a_build_that_waits_for_a_transaction(
    database_url: str, declared: list[Declared]
) -> None:
    lock_timeout, waits = timedelta(milliseconds=300), asyncio.Semaphore(0)

    def report(progress: Progress) -> None:
        if progress.event == "wait" and progress.index == "by_agent":
            waits.release()

    async with asyncpg.create_pool(database_url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        await pool.execute(TABLES.format(rows=ROWS))
        await pool.execute(f"create sequence ids start {ROWS + 1}")
        async with writing(pool, 200, ROWS) as times_ms, pool.acquire() as holder, holder.transaction():
            await holder.execute("lock table visits in row exclusive mode")
            building = asyncio.create_task(apply(database_url, declared[-1:], lock_timeout=lock_timeout, report=report))
            for _ in range(4):  # the shared lock that the parent's index needs, asked for four times
                await waits.acquire()
        await building
    assert max(times_ms) < lock_timeout.total_seconds() * 1000 + NOISE_MS
