"""The service and its worker as processes, over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import psutil

from tests.operations.processes import address_of, command, end
from tests.video_orchestrator.client import job_of, left_in, plan, queued, scene, shot, until, video_orchestrator


async def test_render_survives_the_service_and_the_service_comes_back_to_it(
    environ: dict[str, str], root: Path
) -> None:
    document = plan(scene(0, *[shot("test.mp4", 4.0)] * 5), width=640, height=360)
    with command("serve", "video-worker", "--port", "0", **environ) as worker:
        worker_url = await asyncio.to_thread(address_of, worker)
        with command("serve", "video-orchestrator", "--port", "0", **environ) as first:
            url = await asyncio.to_thread(address_of, first)
            async with httpx.AsyncClient(base_url=url) as client:
                job_id = await queued(client, document)

                async def running() -> bool:
                    return (await job_of(client, job_id))["status"] == "running"

                await until(running)
            first.kill()
            first.wait()
        with command("serve", "video-orchestrator", "--port", "0", **environ) as second:
            url = await asyncio.to_thread(address_of, second)
            async with httpx.AsyncClient(base_url=url) as client:

                async def over() -> bool:
                    return (await job_of(client, job_id))["status"] != "running"

                await until(over)
                job = await job_of(client, job_id)
                assert (job["status"], job["attempts"]) == ("succeeded", 1)
                film = (root / job["output"]).read_bytes()
                address = f"/render/{job_id}/output"
                assert (await client.get(address)).content == film
                assert (await client.get(address, headers={"range": "bytes=-9"})).content == film[-9:]
                assert (await client.head(address)).headers["content-length"] == str(len(film))
            assert (await asyncio.to_thread(end, second))[0] == 0
        async with httpx.AsyncClient(base_url=worker_url) as client:
            assert (await client.get("/health/ready")).status_code == 200
            assert (
                'render_seconds_count{service="video-worker",stage="film"} 1.0' in (await client.get("/metrics")).text
            )
        code, errors = await asyncio.to_thread(end, worker)
    assert code == 0
    assert "Traceback" not in errors
    assert left_in(root) == [job["output"]]


async def test_ffmpeg_does_not_outlive_a_killed_worker(
    environ: dict[str, str], root: Path, ffmpeg_that: Callable[[str], str]
) -> None:
    silent = {
        "RENDER_LEASE_S": "3",
        "FFMPEG": ffmpeg_that("exec sleep 3457"),
    }  # it would notice a closed pipe only when it writes
    async with video_orchestrator(environ) as client:
        job_id = await queued(client, plan())
        with command("serve", "video-worker", "--port", "0", **environ | silent) as worker:
            await asyncio.to_thread(address_of, worker)

            async def rendering() -> bool:
                return any("3457" in child.cmdline() for child in psutil.Process(worker.pid).children())

            await until(rendering)
            started = psutil.Process(worker.pid).children()
            worker.kill()
            assert (await asyncio.to_thread(psutil.wait_procs, started, timeout=60))[1] == []
        with command("serve", "video-worker", "--port", "0", **environ) as worker:
            await asyncio.to_thread(address_of, worker)

            async def succeeded() -> bool:
                return (await job_of(client, job_id))["status"] == "succeeded"

            await until(succeeded)
            await asyncio.to_thread(end, worker)
        job = await job_of(client, job_id)
    assert job["attempts"] == 2
    assert left_in(root) == [job["output"]]


async def test_gigabyte_is_refused_at_the_door(environ: dict[str, str]) -> None:
    async def gigabyte() -> AsyncIterator[bytes]:
        for _ in range(1024):
            yield b" " * 2**20

    with command("serve", "video-orchestrator", "--port", "0", **environ) as service:
        url = await asyncio.to_thread(address_of, service)
        async with httpx.AsyncClient(base_url=url) as client:
            headers = {"content-type": "application/json", "content-length": str(2**30)}
            # The service may close the connection while we are still sending.
            with contextlib.suppress(httpx.WriteError):
                response = await client.post("/render", content=gigabyte(), headers=headers)
                assert response.status_code == 413
            assert (await client.get("/health/live")).status_code == 200


def test_worker_without_an_ffmpeg_ends_with_one_sentence(environ: dict[str, str]) -> None:
    with command("serve", "video-worker", "--port", "0", **environ, FFMPEG="/nowhere/ffmpeg") as worker:
        _, errors = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert errors.startswith("video-worker cannot start: FFMPEG names no program that can be run")
    assert len(errors.splitlines()) == 1
