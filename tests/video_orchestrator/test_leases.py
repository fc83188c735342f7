"""Who holds a render job, and whose word on it counts."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from easymo_platform.runtime.identity import uuid7
from easymo_platform.runtime.statements import read_statements
from easymo_platform.video_orchestrator.app import QUERIES
from tests.conftest import Database

STATEMENTS = read_statements(QUERIES)
LEASE = timedelta(seconds=60)


async def run(database: Database, name: str, **arguments: Any) -> Any:
    statement = STATEMENTS[name]
    return await database.fetchrow(statement.text, *statement.bind(arguments))


async def job(database: Database, status: str = "queued", *, attempts: int = 0, **columns: Any) -> UUID:
    """A job of that status; what is held is held by `worker`."""
    row = {"id": uuid7(), "plan_id": "plan", "plan": "{}", "priority": 5, "status": status, "attempts": attempts}
    row |= {"worker_id": "worker" if status == "running" else None, **columns}
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    job_id: UUID = await database.fetchval(
        f"insert into render_jobs ({', '.join(row)}) values ({places}) returning id", *row.values()
    )
    return job_id


WORDS: dict[str, dict[str, Any]] = {
    "renew_lease": {"lease": LEASE, "progress": 10},
    "leave_job": {"status": "succeeded", "attempts": 2, "pause": LEASE, "output_path": "film.mp4", "error": None},
}


@pytest.mark.parametrize("name", WORDS)
async def test_an_earlier_attempt_of_the_same_worker_has_no_say(database: Database, name: str) -> None:
    job_id = await job(database, "running", attempts=2)
    before = await database.fetchrow("select * from render_jobs")
    late = await run(database, name, job_id=job_id, worker_id="worker", attempt=1, **WORDS[name])
    assert late is None
    assert await database.fetchrow("select * from render_jobs") == before
    assert await run(database, name, job_id=job_id, worker_id="worker", attempt=2, **WORDS[name]) is not None


async def test_progress_never_goes_back(database: Database) -> None:
    job_id = await job(database, "running", attempts=1, progress=40)
    await run(database, "renew_lease", job_id=job_id, worker_id="worker", attempt=1, lease=LEASE, progress=10)
    assert await database.fetchval("select progress from render_jobs") == 40


async def test_a_job_that_failed_a_moment_ago_waits(database: Database) -> None:
    await job(database, lease_until=await database.fetchval("select now() + interval '1 minute'"))
    assert await run(database, "claim_job", worker_id="worker", lease=LEASE) is None


async def test_the_more_urgent_job_comes_before_the_older_one(database: Database) -> None:
    await job(database, priority=1)
    urgent = await job(database, priority=9)
    assert (await run(database, "claim_job", worker_id="worker", lease=LEASE))["id"] == urgent


async def test_a_worker_that_falls_silent_in_the_last_attempt_fails_the_job(database: Database) -> None:
    silent = {"lease_until": await database.fetchval("select now() - interval '1 second'")}
    last = await job(database, "running", attempts=3, **silent)
    one_more = await job(database, "running", attempts=2, **silent)
    statement = STATEMENTS["requeue_expired_jobs"]
    await database.fetch(statement.text, *statement.bind({"max_attempts": 3}))
    status = {row["id"]: row["status"] for row in await database.fetch("select * from render_jobs")}
    assert status == {last: "failed", one_more: "queued"}
