"""A job that cannot be rendered fails with the reason and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from easymo_platform.runtime.settings import SettingsError
from easymo_platform.video_orchestrator import worker_app
from tests.conftest import Database
from tests.video_orchestrator.client import (
    job_of,
    left_in,
    over,
    over_at_once,
    plan,
    queued,
    scene,
    shot,
    video_orchestrator,
    worker,
)

WrittenFfmpeg = Callable[[str], str]


async def fate_of(environ: dict[str, str], root: Path, document: dict[str, Any]) -> Any:
    """What becomes of a plan that is accepted."""
    async with video_orchestrator(environ) as client, worker(environ) as working:
        job = await over_at_once(environ, client, working, await queued(client, document))
    if job["status"] == "failed":
        assert left_in(root) == []
        assert {state["status"] for state in job["scenes"]} <= {"failed", "succeeded"}
    return job


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (plan(scene(0), scene(7, shot("text.mp4"))), "Scene scene-7: ffmpeg failed"),
        (plan(scene(0, shot("tone.wav"))), "Scene scene-0: ffmpeg failed"),
        (plan(scene(0, audio={"src": "green.mkv", "type": "music"})), "Scene scene-0: ffmpeg failed"),
        (plan(scene(0, shot("blue.mp4", 3.5))), "Scene scene-0 has 91 of 105 frames: a clip ends before"),
    ],
    ids=["no video", "only sound", "no sound", "too short"],
)
async def test_source_that_is_not_what_the_plan_says_fails_the_job_at_once(
    environ: dict[str, str], root: Path, document: dict[str, Any], reason: str
) -> None:
    job = await fate_of(environ, root, document)
    assert (job["status"], job["attempts"]) == ("failed", 1)
    assert job["error"].startswith(reason)
    assert str(root) not in job["error"]


async def test_playlist_cannot_bring_in_files_from_elsewhere(environ: dict[str, str], root: Path, clips: Path) -> None:
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{clips / 'blue.ts'}\n#EXT-X-ENDLIST\n"
    (root / "media" / "list.m3u8").write_text(playlist)
    async with video_orchestrator(environ) as client, worker(environ) as working:
        job = await over(client, working, await queued(client, plan(scene(0, shot("list.m3u8")))))
    assert (job["status"], job["attempts"]) == ("failed", 1)
    assert "Format not on whitelist" in job["error"]


async def test_source_that_went_away_after_the_request_is_named(environ: dict[str, str], root: Path) -> None:
    async with video_orchestrator(environ) as client, worker(environ) as working:
        job_id = await queued(client, plan())
        (root / "media" / "blue.mp4").unlink()
        job = await over(client, working, job_id)
    assert (job["status"], job["error"]) == ("failed", "There is no file blue.mp4 in the media folder.")
    assert left_in(root) == []


async def test_source_that_changes_under_way_is_rendered_again_and_the_mixture_not_kept(
    environ: dict[str, str], root: Path, ffmpeg_that: WrittenFfmpeg
) -> None:
    media = root / "media"
    swap = f'"$FFMPEG" "$@"; code=$?; [ -e {media}/new ] && mv {media}/new {media}/blue.mp4; exit $code'
    (media / "new").write_bytes((media / "test.mp4").read_bytes())
    job = await fate_of(environ | {"FFMPEG": ffmpeg_that(swap)}, root, plan())
    assert (job["status"], job["attempts"]) == ("succeeded", 2)


async def test_full_disk_fails_the_job_after_three_attempts(
    environ: dict[str, str], root: Path, ffmpeg_that: WrittenFfmpeg
) -> None:
    to_full = 'for last in "$@"; do :; done; ln -s /dev/full "$last"'
    job = await fate_of(environ | {"FFMPEG": ffmpeg_that(to_full)}, root, plan())
    assert (job["status"], job["attempts"]) == ("failed", 3)
    assert job["error"] == (
        "Scene scene-0: The disk is full: No space left on device. Free some space below RENDER_DIR."
    )


async def test_failed_attempt_is_not_repeated_before_the_lease_has_passed(
    environ: dict[str, str], ffmpeg_that: WrittenFfmpeg
) -> None:
    environ |= {"FFMPEG": ffmpeg_that("kill -9 $$")}
    async with video_orchestrator(environ) as client, worker(environ) as working:
        job_id = await queued(client, plan())
        assert await working.work() is True
        assert await working.work() is False
        job = await job_of(client, job_id)
    assert (job["status"], job["attempts"]) == ("queued", 1)
    assert job["error"] == "Scene scene-0: ffmpeg was killed by SIGKILL."


async def test_ffmpeg_that_is_killed_is_started_again(
    environ: dict[str, str], root: Path, ffmpeg_that: WrittenFfmpeg
) -> None:
    once = f"[ -e {root}/killed ] || {{ touch {root}/killed; kill -9 $$; }}"
    environ |= {"FFMPEG": ffmpeg_that(once)}
    async with video_orchestrator(environ) as client, worker(environ) as working:
        job = await over_at_once(environ, client, working, await queued(client, plan()))
    assert (job["status"], job["attempts"]) == ("succeeded", 2)


async def test_ffmpeg_that_hangs_is_killed_with_all_that_it_started(
    environ: dict[str, str], root: Path, ffmpeg_that: WrittenFfmpeg
) -> None:
    hang = ffmpeg_that("sleep 3456 & wait")
    job = await fate_of(environ | {"RENDER_TIMEOUT_S": "0.3", "FFMPEG": hang}, root, plan())
    assert (job["status"], job["attempts"]) == ("failed", 3)
    assert job["error"] == "Scene scene-0: ffmpeg took longer than 0.3 s and was stopped."
    assert not [found for found in psutil.process_iter(["cwd"]) if str(root) in (found.info["cwd"] or "")]


async def test_ffmpeg_that_is_removed_is_the_reason(
    environ: dict[str, str], root: Path, ffmpeg_that: WrittenFfmpeg
) -> None:
    ffmpeg = ffmpeg_that("")
    environ |= {"FFMPEG": ffmpeg}
    async with video_orchestrator(environ) as client, worker(environ) as working:
        Path(ffmpeg).unlink()
        job = await over_at_once(environ, client, working, await queued(client, plan()))
    assert (job["status"], job["attempts"]) == ("failed", 3)
    assert job["error"] == "Scene scene-0: ffmpeg cannot be started: No such file or directory."
    assert left_in(root) == []


@pytest.mark.parametrize("ffmpeg", ["no-such-ffmpeg", "/dev/null", "false"])
def test_worker_without_an_ffmpeg_does_not_start(environ: dict[str, str], ffmpeg: str) -> None:
    with pytest.raises(SettingsError, match="no job could be rendered"):
        worker_app.create(environ | {"FFMPEG": ffmpeg})


@pytest.mark.parametrize("variable", ["RENDER_LEASE_S", "RENDER_SCENES_AT_ONCE", "RENDER_QUEUE_LIMIT"])
def test_setting_that_would_never_render_is_refused(environ: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable} must be greater than 0"):
        worker_app.create(environ | {variable: "0"})


def test_worker_without_a_work_folder_does_not_start(environ: dict[str, str], root: Path) -> None:
    with pytest.raises(SettingsError, match="RENDER_DIR cannot be used as a work folder"):
        worker_app.create(environ | {"RENDER_DIR": str(root / "media" / "blue.mp4")})


async def test_output_that_cannot_be_stored_is_the_reason(environ: dict[str, str], root: Path) -> None:
    async with video_orchestrator(environ) as client, worker(environ) as working:
        (root / "outputs").rmdir()
        (root / "outputs").write_text("in the way")
        job = await over_at_once(environ, client, working, await queued(client, plan()))
    assert (job["status"], job["attempts"]) == ("failed", 3)
    assert job["error"] == "The output cannot be stored: Not a directory."


async def test_plan_of_an_older_version_fails_and_the_next_job_is_rendered(
    environ: dict[str, str], database: Database
) -> None:
    async with video_orchestrator(environ) as client, worker(environ) as working:
        old = await database.fetchval(
            "insert into render_jobs (plan_id, plan) values ('old', '{\"shots\": 3}') returning id"
        )
        job_id = await queued(client, plan())
        assert (await over(client, working, job_id))["status"] == "succeeded"
        job = (await client.get(f"/render/{old}")).json()
    assert job["status"] == "failed"
    assert job["error"].startswith("The plan cannot be read: ")
