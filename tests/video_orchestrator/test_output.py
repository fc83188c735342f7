"""The output of a job: ranges, validators, and how long a CDN may keep it."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from easymo.embedded import Valkey
from easymo_platform.runtime.identity import uuid7
from tests.conftest import Database
from tests.video_orchestrator.client import plan, queued, video_orchestrator, worker


@dataclass
class Output:
    """The output of a job: a client of the service, its address and its bytes."""

    client: httpx.AsyncClient
    url: str
    content: bytes

    async def get(self, **headers: str) -> httpx.Response:
        return await self.client.get(self.url, headers={name.replace("_", "-"): text for name, text in headers.items()})


Served = Callable[[], AbstractAsyncContextManager[Output]]


@pytest.fixture
async def served(environ: dict[str, str], root: Path, valkey: Valkey, database: Database) -> Served:
    """Enter it for a job that has succeeded, as its worker leaves it."""
    job_id, content = uuid7(), os.urandom(600_000)
    path = root / "outputs" / str(job_id) / "film.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    await database.execute(
        "insert into render_jobs (id, plan_id, plan, status, output_path) values ($1, 'plan', '{}', 'succeeded', $2)",
        job_id,
        str(path.relative_to(root)),
    )

    @asynccontextmanager
    async def serve() -> AsyncIterator[Output]:
        async with video_orchestrator(environ | {"REDIS_ENABLED": "true", "REDIS_URL": valkey.url}) as client:
            yield Output(client, f"/render/{job_id}/output", content)

    return serve


async def test_whole_output_may_be_kept_for_ever(served: Served) -> None:
    async with served() as output:
        response = await output.get()
        assert response.status_code == 200
        assert response.content == output.content
        assert response.headers["content-type"] == "video/mp4"
        assert response.headers["content-length"] == str(len(output.content))
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["accept-ranges"] == "bytes"
        assert response.headers["etag"].startswith('"')


async def test_ranges_of_the_output_are_exactly_these_bytes(served: Served) -> None:
    async with served() as output:
        size = len(output.content)
        for wanted, begin, end in (
            ("0-0", 0, 1),
            ("100-299", 100, 300),
            (f"{size - 1}-", size - 1, size),
            ("500-", 500, size),
            ("-10", size - 10, size),
            (f"-{size + 5}", 0, size),
            (f"0-{size * 2}", 0, size),
        ):
            response = await output.get(range=f"bytes={wanted}")
            assert response.status_code == 206, wanted
            assert response.headers["content-range"] == f"bytes {begin}-{end - 1}/{size}"
            assert response.headers["content-length"] == str(end - begin)
            assert response.content == output.content[begin:end]


async def test_range_behind_the_end_cannot_be_satisfied(served: Served) -> None:
    async with served() as output:
        size = len(output.content)
        for wanted in (f"bytes={size}-", "bytes=-0", f"bytes={size}-{size}"):
            response = await output.get(range=wanted)
            assert (response.status_code, response.json()["error"]) == (416, "range_not_satisfiable"), wanted
            assert response.headers["content-range"] == f"bytes */{size}"


async def test_range_that_is_malformed_or_manifold_gets_the_whole(served: Served) -> None:
    async with served() as output:
        for wanted in ("bytes=5-2", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6"):
            response = await output.get(range=wanted)
            assert (response.status_code, response.content) == (200, output.content), wanted


async def test_client_that_has_the_output_gets_no_body(served: Served) -> None:
    async with served() as output:
        etag = (await output.get()).headers["etag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            response = await output.get(if_none_match=known)
            assert (response.status_code, response.content) == (304, b"")
            assert response.headers["etag"] == etag
        assert (await output.get(if_none_match='"other"')).status_code == 200


async def test_range_of_another_version_gets_the_whole(served: Served) -> None:
    async with served() as output:
        etag = (await output.get()).headers["etag"]
        assert (await output.get(range="bytes=0-9", if_range=etag)).status_code == 206
        assert (await output.get(range="bytes=0-9", if_range='"other"')).content == output.content


async def test_head_says_what_get_would_send(served: Served) -> None:
    async with served() as output:
        for headers in ({}, {"range": "bytes=10-19"}):
            head = await output.client.head(output.url, headers=headers)
            full = await output.client.get(output.url, headers=headers)
            assert (head.status_code, head.content) == (full.status_code, b"")
            ours = ("etag", "content-length", "content-type", "content-range", "cache-control")
            assert [head.headers.get(name) for name in ours] == [full.headers.get(name) for name in ours]


async def test_output_that_was_deleted_is_not_found(served: Served, root: Path) -> None:
    async with served() as output:
        (path,) = (root / "outputs").rglob("*.mp4")
        path.unlink()
        response = await output.get()
        assert (response.status_code, response.json()["error"]) == (404, "output_not_found")


async def test_output_is_removed_after_the_days_it_is_kept_and_the_job_says_so(
    environ: dict[str, str], served: Served, root: Path, database: Database
) -> None:
    age = "update render_jobs set finished_at = now() - $1::interval"
    async with served() as output, worker(environ | {"RENDER_KEEP_DAYS": "2"}) as working:
        await database.execute(age, timedelta(days=1.9))
        await working.remove_old_outputs()
        assert (await output.get()).content == output.content
        await database.execute(age, timedelta(days=2.1))
        await working.remove_old_outputs()
        response = await output.get()
        job = (await output.client.get(output.url.removesuffix("/output"))).json()
    assert (response.status_code, response.json()["error"]) == (410, "output_expired")
    assert (job["status"], job["output"]) == ("succeeded", None)
    assert list((root / "outputs").iterdir()) == []


async def test_removal_that_was_cut_off_half_way_is_completed(
    environ: dict[str, str], served: Served, root: Path, database: Database
) -> None:
    await database.execute("update render_jobs set finished_at = now() - interval '1 year'")
    for path in (root / "outputs").glob("*/*"):
        path.unlink()
    async with served() as output, worker(environ) as working:
        assert (await output.get()).status_code == 404
        await working.remove_old_outputs()
        assert (await output.get()).status_code == 410
    assert list((root / "outputs").iterdir()) == []


async def test_job_that_is_not_done_has_no_output_yet(environ: dict[str, str]) -> None:
    async with video_orchestrator(environ) as client:
        response = await client.get(f"/render/{await queued(client, plan())}/output")
    assert (response.status_code, response.json()["error"]) == (409, "output_not_ready")
