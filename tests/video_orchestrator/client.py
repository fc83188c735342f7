"""The service and a worker in this process, and plans to try them with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from easymo_platform.video_orchestrator import app, worker_app
from easymo_platform.video_orchestrator.worker import Worker
from tests import asgi


@asynccontextmanager
async def video_orchestrator(environ: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """The service, started as the environment says, and a client of it."""
    service = app.create(environ)
    async with (
        service.lifespan(),
        httpx.AsyncClient(transport=asgi.transport(service), base_url="http://video-orchestrator") as client,
    ):
        yield client


@asynccontextmanager
async def worker(environ: Mapping[str, str]) -> AsyncIterator[Worker]:
    """A worker that works only when the test says so."""
    application = worker_app.create(environ)
    async with application.state.runtime.connected():
        yield application.state.service


def shot(src: str = "blue.mp4", duration: float = 1.0, **fields: Any) -> dict[str, Any]:
    return {"id": "shot", "src": src, "duration": duration, **fields}


def scene(order: int = 0, *shots: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": f"scene-{order}", "order": order, "shots": list(shots) or [shot()], **fields}


def plan(*scenes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A plan at 320 × 180 with one scene of a second if none is given."""
    size = {"width": 320, "height": 180}
    start = {
        "id": "plan",
        "safeZonePresetId": "safe-top",
        "outputPath": "film.mp4",
        "scenes": list(scenes) or [scene()],
    }
    return start | size | fields


async def submit(client: httpx.AsyncClient, document: Any, key: str | None = None, **options: Any) -> httpx.Response:
    """Ask for a render."""
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post("/render", json={"plan": document, "options": options}, headers=headers)


async def queued(client: httpx.AsyncClient, document: Any, **options: Any) -> str:
    """Ask for a render that must be accepted. Returns the job's id."""
    response = await submit(client, document, **options)
    assert response.status_code == 202, response.text
    job_id: str = response.json()["data"]["job_id"]
    return job_id


async def job_of(client: httpx.AsyncClient, job_id: str) -> Any:
    """The job as the service shows it."""
    return (await client.get(f"/render/{job_id}")).json()


async def over(client: httpx.AsyncClient, working: Worker, job_id: str) -> Any:
    """Work until the job is over. Returns it."""
    while (job := await job_of(client, job_id))["status"] in ("queued", "running"):
        assert await working.work(), "the job waits, but not to be rendered"
    return job


async def over_at_once(environ: Mapping[str, str], client: httpx.AsyncClient, working: Worker, job_id: str) -> Any:
    """The same for a job that fails again and again: the pause before each attempt has passed."""
    database = await asyncpg.connect(environ["DATABASE_URL"])
    while (job := await job_of(client, job_id))["status"] in ("queued", "running"):
        await database.execute("update render_jobs set lease_until = null where status = 'queued'")
        assert await working.work(), "the job waits, but not to be rendered"
    await database.close()
    return job


async def until(true: Callable[[], Awaitable[object]], within_s: float = 120) -> None:
    """Ask again and again until the answer is true; TimeoutError if it is not within the time."""
    async with asyncio.timeout(within_s):
        while not await true():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0)


def left_in(root: Path) -> list[str]:
    """Everything below the work folder that is neither a source nor cached."""
    kept = ("media", "cache")
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file() or path.parent.name == "tmp")
    return sorted(str(path) for path in paths if path.parts[0] not in kept)
