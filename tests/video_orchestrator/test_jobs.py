"""Jobs and their workers: leases, order, cancelling, stopping, reuse, what is counted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
import pytest
from litestar import Litestar

from easymo_platform.video_orchestrator import app, worker_app
from easymo_platform.video_orchestrator.worker import Worker
from tests import asgi
from tests.conftest import Database
from tests.video_orchestrator.client import (
    job_of,
    left_in,
    over,
    plan,
    queued,
    scene,
    shot,
    until,
    video_orchestrator,
    worker,
)

WrittenFfmpeg = Callable[[str], str]

LONG = plan(scene(0, *[shot("test.mp4", 4.0)] * 50), width=1280, height=720)
"""Takes far longer than any test."""


def ffmpegs() -> list[psutil.Process]:
    """Every ffmpeg that this process has running."""
    return [child for child in psutil.Process().children(recursive=True) if "ffmpeg" in child.name()]


@asynccontextmanager
async def at_work(working: Worker) -> AsyncIterator["asyncio.Task[bool]"]:
    """The worker has started an ffmpeg for its next job."""
    task = asyncio.create_task(working.work())

    async def started() -> bool:
        await asyncio.sleep(0)
        return bool(ffmpegs())

    try:
        await until(started)
        yield task
    except BaseException:
        task.cancel()  # the block has failed, and the render may be a long one
        raise
    finally:
        await asyncio.wait({task})
    assert not task.cancelled()
    task.result()


async def test_cancelled_render_is_stopped_and_leaves_nothing(environ: dict[str, str], root: Path) -> None:
    async with video_orchestrator(environ) as client, worker(environ) as working:
        job_id = await queued(client, LONG)
        async with at_work(working):
            assert (await job_of(client, job_id))["status"] == "running"
            assert (await client.post(f"/render/{job_id}/cancel")).status_code == 202
        job = await job_of(client, job_id)
    assert (job["status"], job["error"], job["output"]) == ("cancelled", None, None)
    assert ffmpegs() == []
    assert left_in(root) == []


async def test_progress_is_seen_while_the_lease_is_renewed(environ: dict[str, str], database: Database) -> None:
    async with video_orchestrator(environ) as client, worker(environ) as working:
        job_id = await queued(client, LONG)
        async with at_work(working):
            lease = "select lease_until from render_jobs"
            first = await database.fetchval(lease)

            async def moved_on() -> bool:
                return (await job_of(client, job_id))["progress"] > 0 and await database.fetchval(lease) > first

            await until(moved_on)
            assert 0 < (await job_of(client, job_id))["progress"] < 100
            await client.post(f"/render/{job_id}/cancel")


async def test_worker_that_lost_its_job_stops_and_does_not_touch_what_became_of_it(
    environ: dict[str, str], root: Path, database: Database
) -> None:
    async with video_orchestrator(environ) as client, worker(environ) as working:
        job_id = await queued(client, LONG)
        async with at_work(working):
            other = "update render_jobs set worker_id = 'other', attempts = 2, lease_until = now() + interval '1 hour'"
            await database.execute(other)
        job = await job_of(client, job_id)
    assert (job["status"], job["attempts"]) == ("running", 2)
    assert ffmpegs() == []
    assert left_in(root) == []


async def test_stopped_worker_hands_its_job_back_and_the_attempt_does_not_count(
    environ: dict[str, str], root: Path
) -> None:
    document = plan(scene(0), scene(1, *[shot("test.mp4", 4.0)] * 50), width=1280, height=720)
    async with video_orchestrator(environ) as client:
        job_id = await queued(client, document)
        application = worker_app.create(environ)
        async with application.lifespan():

            async def first_scene_is_done() -> bool:
                return (await job_of(client, job_id))["scenes"][0]["status"] == "succeeded"

            await until(first_scene_is_done)
        job = await job_of(client, job_id)
    assert (job["status"], job["attempts"], job["error"]) == ("queued", 0, None)
    assert ffmpegs() == []
    assert left_in(root) == []
    assert len(list((root / "cache").iterdir())) == 1, "the finished scene is not rendered again"


async def test_worker_takes_jobs_by_priority_and_then_by_age(environ: dict[str, str]) -> None:
    async with video_orchestrator(environ) as client, worker(environ) as working:
        names = {await queued(client, plan(), priority=priority): priority for priority in (10, 90, 50, 90)}
        order = []
        for _ in names:
            await working.work()
            jobs = (await client.get("/render?status=succeeded")).json()["jobs"]
            order += [job["id"] for job in jobs if job["id"] not in order]
        assert await working.work() is False
    low, high, middle, high_later = names
    assert order == [high, high_later, middle, low]


async def test_job_that_another_worker_is_about_to_claim_is_passed_over(
    environ: dict[str, str], database: Database
) -> None:
    async with video_orchestrator(environ) as client, worker(environ) as working:
        first, second = await queued(client, plan()), await queued(client, plan())
        async with database.transaction():
            await database.execute("select from render_jobs where id = $1 for update", UUID(first))
            async with asyncio.timeout(60):
                assert await working.work()
        statuses = [(await job_of(client, job_id))["status"] for job_id in (first, second)]
    assert statuses == ["queued", "succeeded"]


async def test_several_workers_render_every_job_once(environ: dict[str, str], database: Database) -> None:
    await database.execute("create table starts (id uuid); create table ends (id uuid)")
    await database.execute(
        """
        create function note() returns trigger language plpgsql as $$ begin
          if new.status = 'running' and old.status <> 'running' then insert into starts values (new.id); end if;
          if new.status = 'succeeded' then insert into ends values (new.id); end if;
          return new;
        end $$;
        create trigger note after update on render_jobs for each row execute function note()
        """
    )
    async with video_orchestrator(environ) as client, worker(environ) as one, worker(environ) as two:
        made = {await queued(client, plan(scene(0, shot(duration=0.1 * n)))) for n in range(1, 9)}

        async def drain(working: Worker) -> int:
            count = 0
            while await working.work():
                count += 1
            return count

        counts = await asyncio.gather(drain(one), drain(two))
    assert sum(counts) == 8
    assert min(counts) > 0
    for table in ("starts", "ends"):
        ids = [str(row["id"]) for row in await database.fetch(f"select id from {table}")]
        assert (len(ids), set(ids)) == (8, made)


async def _dead_workers_job(database: Database, root: Path, attempts: int, status: str = "running") -> str:
    """A job whose worker was killed after it had published, with the lease run out."""
    job_id = await database.fetchval(
        """
        insert into render_jobs (plan_id, plan, status, attempts, worker_id, lease_until)
        values ('plan', '{}', $1, $2, 'dead', now() - interval '1 second') returning id
        """,
        status,
        attempts,
    )
    for directory in (f"tmp/{job_id}-{attempts}", f"outputs/{job_id}"):
        (root / directory).mkdir(parents=True)
        (root / directory / "film.mp4").write_bytes(b"film")
    return str(job_id)


async def test_job_of_a_worker_that_died_is_rendered_by_another(
    environ: dict[str, str], root: Path, database: Database
) -> None:
    async with video_orchestrator(environ) as client, worker(environ) as working:
        job_id = await queued(client, plan())
        claim = "update render_jobs set status = 'running', attempts = 1, worker_id = 'dead', lease_until = now()"
        await database.execute(claim)
        (root / "tmp" / f"{job_id}-1").mkdir()
        assert await working.work()
        job = await job_of(client, job_id)
    assert (job["status"], job["attempts"]) == ("succeeded", 2)
    assert left_in(root) == [job["output"]]


async def test_job_that_has_cost_three_workers_fails_and_its_traces_go(
    environ: dict[str, str], root: Path, database: Database
) -> None:
    job_id = await _dead_workers_job(database, root, attempts=3)
    async with video_orchestrator(environ) as client, worker(environ) as working:
        assert await working.work() is False
        await working.tidy()
        job = await job_of(client, job_id)
    assert (job["status"], job["error"]) == ("failed", "The worker fell silent during the last of 3 attempts.")
    assert left_in(root) == []


@pytest.mark.parametrize(("status", "kept"), [("succeeded", True), ("cancelled", False), ("failed", False)])
async def test_traces_of_a_dead_worker_go_but_the_output_of_a_job_that_succeeded_stays(
    environ: dict[str, str], root: Path, database: Database, status: str, kept: bool
) -> None:
    job_id = await _dead_workers_job(database, root, 1, status)
    (root / "tmp" / "not-one-of-ours").mkdir()
    async with worker(environ) as working:
        await working.tidy()
    expected = [f"outputs/{job_id}/film.mp4"] if kept else []
    assert left_in(root) == [*expected, "tmp/not-one-of-ours"]


async def test_directory_of_a_render_under_way_is_left_alone_by_others(environ: dict[str, str], root: Path) -> None:
    async with video_orchestrator(environ) as client, worker(environ) as working, worker(environ) as other:
        job_id = await queued(client, LONG)
        async with at_work(working):
            await other.tidy()
            assert len(list((root / "tmp").iterdir())) == 1
            await client.post(f"/render/{job_id}/cancel")


# -- reuse


@pytest.fixture
def counting(environ: dict[str, str], root: Path, ffmpeg_that: WrittenFfmpeg) -> dict[str, str]:
    """An environment whose ffmpeg notes each of its runs; see :func:`runs`."""
    return environ | {"FFMPEG": ffmpeg_that(f"echo run >> {root / 'runs'}")}


def runs(root: Path) -> int:
    """How often ffmpeg was run since the last question."""
    path = root / "runs"
    count = len(path.read_text().split()) if path.exists() else 0
    path.unlink(missing_ok=True)
    return count


async def test_nothing_is_rendered_twice_until_what_it_is_made_of_changes(counting: dict[str, str], root: Path) -> None:
    media = root / "media"
    async with video_orchestrator(counting) as client, worker(counting) as working:

        async def runs_for(document: dict[str, Any]) -> int:
            job = await over(client, working, await queued(client, document))
            assert job["status"] == "succeeded"
            return runs(root)

        two = (scene(1), scene(2, shot("green.mkv")))
        assert await runs_for(plan(*two)) == 3
        assert await runs_for(plan(*two)) == 0
        assert await runs_for(plan(*two, id="other", outputPath="other.mp4", metadata={"a": 1})) == 0
        assert await runs_for(plan(two[0] | {"order": 3}, two[1])) == 1, "the same scenes, joined in another order"
        assert await runs_for(plan(two[0], scene(2, shot("green.mkv", 0.5)))) == 2
        assert await runs_for(plan(*two, width=322)) == 3
        (media / "copy.mp4").write_bytes((media / "blue.mp4").read_bytes())
        assert await runs_for(plan(scene(1, shot("copy.mp4")), two[1])) == 0, "the same content under another name"
        (media / "blue.mp4").unlink()
        (media / "blue.mp4").write_bytes((media / "test.mp4").read_bytes())
        assert await runs_for(plan(*two)) == 2, "other content under the same name"


async def test_same_scene_twice_in_a_film_is_there_twice(environ: dict[str, str]) -> None:
    async with video_orchestrator(environ) as client, worker(environ) as working:
        job = await over(client, working, await queued(client, plan(scene(1), scene(2), scene(3))))
        assert job["status"] == "succeeded"
        output = await client.get(f"/render/{job['id']}/output")
    assert output.content.count(b"mvhd") == 1
    assert [state["duration"] for state in job["scenes"]] == [1.0, 1.0, 1.0]


async def test_cache_drops_the_longest_unused_and_outputs_stay(environ: dict[str, str], root: Path) -> None:
    async with video_orchestrator(environ) as client, worker(environ | {"RENDER_CACHE_BYTES": "1"}) as working:
        job = await over(client, working, await queued(client, plan()))
        assert list((root / "cache").iterdir()) == []
        assert (await client.get(f"/render/{job['id']}/output")).status_code == 200


async def test_scenes_are_rendered_as_many_at_once_as_the_setting_says(
    environ: dict[str, str], root: Path, ffmpeg_that: WrittenFfmpeg
) -> None:
    log = root / "log"
    scenes = [scene(n, shot("test.mp4", 0.5 + n / 10)) for n in range(5)]
    for at_once in (1, 3):
        log.unlink(missing_ok=True)
        # Nobody ends before as many as allowed have begun (or a while has passed), so that fast ones overlap too.
        wait = f"n=0; while [ $(grep -c + {log}) -lt {at_once} ] && [ $n -lt 1200 ]; do n=$((n+1)); sleep 0.05; done"
        noting = ffmpeg_that(f'echo + >> {log}; {wait}; "$FFMPEG" "$@"; code=$?; echo - >> {log}; exit $code')
        setting = {"RENDER_SCENES_AT_ONCE": str(at_once), "FFMPEG": noting}
        async with video_orchestrator(environ) as client, worker(environ | setting) as working:
            await over(client, working, await queued(client, plan(*scenes, width=320 + 2 * at_once)))
        running, most = 0, 0
        for sign in log.read_text().split():
            running += 1 if sign == "+" else -1
            most = max(most, running)
        assert most == at_once


# -- metrics


async def test_queue_is_measured_by_the_service_even_without_a_worker(
    environ: dict[str, str], database: Database
) -> None:
    insert = "insert into render_jobs (plan_id, plan, status, created_at, lease_until) values ('p', '{}', $1, $2, $3)"
    now = await database.fetchval("select now()")
    jobs: tuple[tuple[str, float, float | None], ...] = (
        ("queued", 90, None),
        ("queued", 30, None),
        ("running", 10, 60),
        ("running", 10, -1),
        ("succeeded", 999, None),
    )
    for status, job_age_s, lease_s in jobs:
        lease = None if lease_s is None else now + timedelta(seconds=lease_s)
        await database.execute(insert, status, now - timedelta(seconds=job_age_s), lease)
    service = app.create(environ)

    def value(name: str) -> float | None:
        registry = service.state.runtime.metrics.registry
        return registry.get_sample_value(name, {"service": "video-orchestrator"})

    async def depth_is_three() -> bool:  # the job of the silent worker waits again
        await database.fetchval("select 1")
        return value("render_queue_depth") == 3

    async with service.lifespan():
        await until(depth_is_three)
    age_s = value("render_queue_age_seconds")
    assert age_s is not None
    assert 90 <= age_s < 600
    assert value("render_jobs_running") == 1


async def test_jobs_are_counted_by_state_and_stages_are_timed(environ: dict[str, str]) -> None:
    service, rendering = app.create(environ), worker_app.create(environ)

    def value(application: Litestar, name: str, **labels: str) -> float | None:
        runtime = application.state.runtime
        return runtime.metrics.registry.get_sample_value(name, {"service": runtime.service, **labels})

    transport = asgi.transport(service)
    async with (
        service.lifespan(),
        rendering.state.runtime.connected(),
        httpx.AsyncClient(transport=transport, base_url="http://v") as client,
    ):
        await queued(client, plan(scene(1), scene(2, shot("green.mkv"))))
        await queued(client, plan(scene(1, shot("text.mp4"))))
        await client.post(f"/render/{await queued(client, plan())}/cancel")
        while await rendering.state.service.work():
            pass
    counted = {status: value(service, "render_jobs_total", status=status) for status in ("queued", "cancelled")}
    assert counted == {"queued": 3, "cancelled": 1}
    rendered = {status: value(rendering, "render_jobs_total", status=status) for status in ("succeeded", "failed")}
    assert rendered == {"succeeded": 1, "failed": 1}
    timed = {stage: value(rendering, "render_seconds_count", stage=stage) for stage in ("wait", "scene", "film")}
    assert timed == {"wait": 2, "scene": 2, "film": 1}
