"""What is asked of the service: good plans become jobs, bad ones a stated refusal."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from easymo_platform.runtime.auth import Tokens
from tests.conftest import Database
from tests.video_orchestrator.client import job_of, left_in, plan, queued, scene, shot, submit, video_orchestrator

OVERLAY = {"id": "o", "type": "logo", "src": "logo.png"}
AUDIO = {"src": "tone.wav", "type": "music"}


async def test_accepted_plan_is_a_queued_job_at_its_location(environ: dict[str, str]) -> None:
    async with video_orchestrator(environ) as client:
        response = await submit(client, plan(scene(3), scene(1)), priority=70)
        job_id = response.json()["data"]["job_id"]
        assert response.status_code == 202
        assert response.json() == {"ok": True, "data": {"job_id": job_id, "status": "queued"}}
        job = (await client.get(response.headers["location"])).json()
    assert (job["id"], job["status"], job["progress"], job["priority"]) == (job_id, "queued", 0, 70)
    assert (job["output"], job["error"], job["started_at"]) == (None, None, None)
    assert job["scenes"] == [
        {"scene_id": "scene-1", "status": "queued", "duration": 1.0},
        {"scene_id": "scene-3", "status": "queued", "duration": 1.0},
    ]


BAD_PLANS = {
    "no scenes": (plan(scenes=[]), "length >= 1"),
    "no shots": (plan(scene(shots=[])), "length >= 1"),
    "unknown preset": (plan(safeZonePresetId="safe-left"), "safe-left"),
    "unknown preset of an overlay": (plan(scene(overlays=[OVERLAY | {"safeZonePresetId": "x"}])), "'x'"),
    "zero-length trim": (plan(scene(0, shot(startOffset=0.5, trimTo=0.5))), "nothing is left"),
    "start behind the end": (plan(scene(0, shot(duration=1.0, startOffset=1.0))), "nothing is left"),
    "no duration": (plan(scene(0, shot(duration=0))), "nothing is left"),
    "overlapping trims": (plan(scene(0, shot(startOffset=0.8, trimTo=0.2))), "trims overlap"),
    "negative time": (plan(scene(0, shot(startOffset=-1))), ">= 0"),
    "source outside": (plan(scene(0, shot("../outputs/film.mp4"))), "scenes[0].shots[0].src"),
    "absolute source": (plan(scene(0, shot("/etc/passwd"))), "does not leave"),
    "overlay outside": (plan(scene(overlays=[OVERLAY | {"src": "a/../../b.png"}])), "scenes[0].overlays[0].src"),
    "audio outside": (plan(scene(audio=AUDIO | {"src": ".."})), "scenes[0].audio.src"),
    "NUL in a path": (plan(scene(0, shot("a\0b.mp4"))), "does not leave"),
    "output outside": (plan(outputPath="../film.mp4"), "outputPath"),
    "output of another kind": (plan(outputPath="film.sh"), ".mp4"),
    "two scenes with one id": (plan(scene(1), scene(2) | {"id": "scene-1"}), "same id"),
    "two scenes with one order": (plan(scene(1), scene(1) | {"id": "other"}), "same order"),
    "overlay behind the end": (plan(scene(overlays=[OVERLAY | {"startTime": 1.0}])), "after the scene has ended"),
    "odd size": (plan(width=321), "multiple"),
    "absurd size": (plan(width=100_000), "3840"),
    "absurd length": (plan(scene(0, *[shot(duration=3000)] * 2)), "longer than 3600"),
    "rate that sound does not fit": (plan(frameRate=23), "23"),
    "gain that would deafen": (plan(scene(audio=AUDIO | {"gain": 60})), "<= 20"),
    "a field that we would ignore": (plan(captionHints=["hello"]), "captionHints"),
    "no plan at all": ("film", "object"),
}


async def test_bad_plan_is_refused_with_what_is_wrong_and_leaves_nothing(
    environ: dict[str, str], database: Database, root: Path
) -> None:
    async with video_orchestrator(environ) as client:
        for name, (document, problem) in BAD_PLANS.items():
            response = await submit(client, document)
            assert (response.status_code, response.json()["error"]) == (400, "invalid_payload"), name
            assert problem in response.json()["details"][0]["problem"], name
    assert await database.fetchval("select count(*) from render_jobs") == 0
    assert left_in(root) == []


async def test_request_without_a_plan_is_told_so(environ: dict[str, str]) -> None:
    async with video_orchestrator(environ) as client:
        response = await client.post("/render", json={})
    assert (response.status_code, response.json()["error"]) == (400, "missing_plan")


async def test_every_missing_source_is_named(environ: dict[str, str], database: Database) -> None:
    document = plan(scene(0, shot(), shot("none.mp4"), audio=AUDIO | {"src": "mute.wav"}))
    async with video_orchestrator(environ) as client:
        response = await submit(client, document)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_plan")
    assert response.json()["details"] == [
        {"field": "plan.scenes[0].shots[1].src", "problem": "There is no file none.mp4 in the media folder."},
        {"field": "plan.scenes[0].audio.src", "problem": "There is no file mute.wav in the media folder."},
    ]
    assert await database.fetchval("select count(*) from render_jobs") == 0


async def test_link_that_leads_out_of_the_media_folder_is_not_followed(environ: dict[str, str], root: Path) -> None:
    (root / "media" / "out.mp4").symlink_to("/etc/passwd")
    (root / "media" / "within.mp4").symlink_to("blue.mp4")
    async with video_orchestrator(environ) as client:
        response = await submit(client, plan(scene(0, shot("within.mp4"), shot("out.mp4"))))
    (problem,) = response.json()["details"]
    assert problem["problem"] == "out.mp4 is outside of the media folder."


async def _gigabyte() -> AsyncIterator[bytes]:
    for sent in range(1024):
        assert sent < 16, "the service went on reading"
        yield b" " * 2**20


@pytest.mark.parametrize("announced", [True, False])
async def test_body_of_a_gigabyte_is_refused_without_reading_it(environ: dict[str, str], announced: bool) -> None:
    headers = {"content-type": "application/json"} | ({"content-length": str(2**30)} if announced else {})
    async with video_orchestrator(environ) as client:
        response = await client.post("/render", content=_gigabyte(), headers=headers)
    assert (response.status_code, response.json()["error"]) == (413, "payload_too_large")


async def test_same_key_is_the_same_job_and_for_another_plan_a_conflict(
    environ: dict[str, str], database: Database
) -> None:
    async with video_orchestrator(environ) as client:
        answers = await asyncio.gather(*(submit(client, plan(metadata={"n": 1.0}), "key") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["data"]["job_id"] for answer in answers}) == 1
        for other in (submit(client, plan(), "key"), submit(client, plan(metadata={"n": 1.0}), "key", priority=1)):
            response = await other
            assert (response.status_code, response.json()["error"]) == (409, "idempotency_key_reused")
    assert await database.fetchval("select count(*) from render_jobs") == 1
    assert await database.fetchval("select count(*) from render_scenes") == 1


async def test_full_queue_refuses_with_a_time_to_come_back_but_knows_its_keys(environ: dict[str, str]) -> None:
    async with video_orchestrator(environ | {"RENDER_QUEUE_LIMIT": "2"}) as client:
        first = await submit(client, plan(), "first")
        second = await queued(client, plan())
        response = await submit(client, plan(), "third")
        assert (response.status_code, response.json()["error"]) == (503, "queue_full")
        assert int(response.headers["retry-after"]) > 0
        assert (await submit(client, plan(), "first")).json() == first.json()
        await client.post(f"/render/{second}/cancel")
        assert (await submit(client, plan(), "third")).status_code == 202


async def test_jobs_are_listed_newest_first_page_by_page_and_by_status(environ: dict[str, str]) -> None:
    async with video_orchestrator(environ) as client:
        made = [await queued(client, plan()) for _ in range(5)]
        await client.post(f"/render/{made[1]}/cancel")
        listed: list[str] = []
        query: dict[str, Any] = {"limit": 2}
        while True:
            page = (await client.get("/render", params=query)).json()
            listed += [job["id"] for job in page["jobs"]]
            if page["next"] is None:
                break
            query["before"] = page["next"]
        cancelled = (await client.get("/render?status=cancelled")).json()
    assert listed == made[::-1]
    assert [job["id"] for job in cancelled["jobs"]] == [made[1]]


async def test_malformed_query_is_refused(environ: dict[str, str]) -> None:
    async with video_orchestrator(environ) as client:
        for query in ("limit=0", "limit=101", "status=asleep", "before=yesterday"):
            response = await client.get(f"/render?{query}")
            assert (response.status_code, response.json()["error"]) == (400, "invalid_query"), query


async def test_waiting_job_can_be_cancelled_once(environ: dict[str, str]) -> None:
    async with video_orchestrator(environ) as client:
        job_id = await queued(client, plan())
        response = await client.post(f"/render/{job_id}/cancel")
        assert (response.status_code, response.json()["data"]["status"]) == (202, "cancelled")
        again = await client.post(f"/render/{job_id}/cancel")
        assert (again.status_code, again.json()["error"]) == (409, "job_is_over")
        job = await job_of(client, job_id)
    assert (job["status"], job["scenes"][0]["status"]) == ("cancelled", "cancelled")
    assert job["finished_at"] is not None


@pytest.mark.parametrize("path", ["", "/cancel", "/output"])
async def test_unknown_job_is_not_found(environ: dict[str, str], path: str) -> None:
    url = f"/render/01234567-89ab-7cde-8f01-23456789abcd{path}"
    async with video_orchestrator(environ) as client:
        response = await (client.post(url) if path == "/cancel" else client.get(url))
    assert (response.status_code, response.json()["error"]) == (404, "job_not_found")


async def test_reading_and_writing_ask_for_their_scopes(environ: dict[str, str]) -> None:
    key = "k" * 32
    job = "/render/01234567-89ab-7cde-8f01-23456789abcd"
    routes = {
        ("POST", "/render"): "write",
        ("POST", f"{job}/cancel"): "write",
        ("GET", "/render"): "read",
        ("GET", job): "read",
        ("GET", f"{job}/output"): "read",
        ("HEAD", f"{job}/output"): "read",
    }
    async with video_orchestrator(environ | {"AUTH_DISABLED": "false", "SERVICE_JWT_KEYS": key}) as client:
        for (method, url), needed in routes.items():
            assert (await client.request(method, url)).status_code == 401, (method, url)
            for scope in ("read", "write"):
                token = Tokens([key], "tester").sign("video-orchestrator", [f"render:{scope}"])
                response = await client.request(method, url, headers={"authorization": f"Bearer {token}"})
                assert (response.status_code == 403) is (scope != needed), (method, url, scope)


async def test_examples_of_the_documentation_are_accepted(environ: dict[str, str], root: Path) -> None:
    (root / "media" / "clip.mp4").write_bytes(b"a clip")
    async with video_orchestrator(environ) as client:
        document = (await client.get("/schema/openapi.json")).json()
        body = document["paths"]["/render"]["post"]["requestBody"]["content"]["application/json"]
        assert (await client.post("/render", json=body["example"])).status_code == 202
