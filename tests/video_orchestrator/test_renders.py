"""What a film looks and sounds like."""

from pathlib import Path
from typing import Any

import pytest

from tests.video_orchestrator.client import job_of, left_in, plan, queued, scene, shot, video_orchestrator, worker
from tests.video_orchestrator.clips import Film, look_at

FRAME_S = 1 / 30


async def film_of(environ: dict[str, str], root: Path, document: dict[str, Any]) -> Film:
    """Render a plan that must succeed."""
    async with video_orchestrator(environ) as client, worker(environ) as working:
        job_id = await queued(client, document)
        assert await working.work()
        job = await job_of(client, job_id)
        assert (job["status"], job["error"], job["progress"]) == ("succeeded", None, 100)
        assert left_in(root) == [job["output"]]
        assert {state["status"] for state in job["scenes"]} == {"succeeded"}
        return look_at(root / job["output"])


async def test_film_has_its_scenes_by_order_and_their_exact_length(environ: dict[str, str], root: Path) -> None:
    green = scene(2, shot("green.mkv", 2.0, startOffset=0.5), shot("green.mkv", 1.5, trimTo=0.333))
    blue = scene(10, shot("blue.mp4", 3.0, startOffset=1.0, trimTo=2.2))
    film = await film_of(environ, root, plan(blue, green))
    expected_s = (1.5 + 0.333) + 1.2
    assert abs(film.duration_s - expected_s) <= FRAME_S
    assert abs(film.sound_s - expected_s) <= FRAME_S
    assert (film.width, film.height) == (320, 180)
    assert film.streams == ["video", "audio"]
    assert film.colour(0.1, 160, 90) == film.colour(1.8, 160, 90) == "green"
    assert film.colour(1.9, 160, 90) == film.colour(3.0, 160, 90) == "blue"


async def test_every_frame_lasts_as_long_as_every_other_across_scenes(environ: dict[str, str], root: Path) -> None:
    film = await film_of(environ, root, plan(scene(1), scene(2, shot("test.mp4", 0.7)), scene(3)))
    assert film.times == pytest.approx([number * FRAME_S for number in range(81)], abs=1e-4)


async def test_clip_of_another_shape_is_padded_not_stretched(environ: dict[str, str], root: Path) -> None:
    film = await film_of(environ, root, plan(scene(0, shot("green.mkv"))))
    assert film.colour(0.5, 160, 2) == film.colour(0.5, 160, 177) == "green"
    assert film.colour(0.5, 90, 90) == film.colour(0.5, 230, 90) == "black"


@pytest.mark.parametrize(
    ("kind", "zone", "inside", "outside"),
    [
        ("logo", "safe-top", (300, 12), (310, 12)),
        ("slug", "safe-bottom", (22, 165), (16, 165)),
        ("cta", "safe-lower-third", (160, 150), (160, 172)),
        ("lowerThird", "safe-lower-third", (28, 150), (28, 100)),
    ],
)
async def test_overlay_lies_in_its_safe_zone_for_as_long_as_it_was_asked_for(
    environ: dict[str, str], root: Path, kind: str, zone: str, inside: tuple[int, int], outside: tuple[int, int]
) -> None:
    overlay = {"id": "o", "type": kind, "src": "logo.png", "safeZonePresetId": zone, "startTime": 0.5, "duration": 1.0}
    film = await film_of(environ, root, plan(scene(0, shot(duration=2.0), overlays=[overlay])))
    assert [film.colour(at, *inside) for at in (0.4, 0.55, 1.4, 1.6)] == ["blue", "red", "red", "blue"]
    assert film.colour(1.0, *outside) == "blue"


async def test_overlay_without_a_duration_stays_to_the_end_in_the_plans_zone(
    environ: dict[str, str], root: Path
) -> None:
    overlay = {"id": "o", "type": "cta", "src": "logo.png", "startTime": 0.2}
    film = await film_of(
        environ, root, plan(scene(0, overlays=[overlay]), scene(1), safeZonePresetId="safe-lower-third")
    )
    assert [film.colour(at, 160, 150) for at in (0.1, 0.3, 0.95, 1.1)] == ["blue", "red", "red", "blue"]


async def test_overlay_larger_than_its_zone_is_shrunk_into_it(environ: dict[str, str], root: Path) -> None:
    overlay = {"id": "o", "type": "logo", "src": "green.mkv"}
    film = await film_of(environ, root, plan(scene(0, overlays=[overlay])))
    assert film.colour(0.5, 295, 50) == "green"
    assert film.colour(0.5, 295, 60) == film.colour(0.5, 270, 30) == "blue"


async def test_sound_is_there_with_its_gain_then_silence_and_none_in_a_scene_without(
    environ: dict[str, str], root: Path
) -> None:
    tone = {"src": "tone.wav", "type": "music"}
    loud = scene(1, shot(duration=1.5), audio=tone)
    quiet = scene(2, shot(duration=1.5), audio=tone | {"gain": -12})
    film = await film_of(environ, root, plan(loud, quiet, scene(3)))
    one, two = film.loudness[5], film.loudness[20]
    assert one > 0.01
    assert two / one == pytest.approx(10 ** (-12 / 20), rel=0.1)
    assert max(film.loudness[12:14] + film.loudness[27:29] + film.loudness[32:39]) < 0.0005


async def test_clip_that_is_a_frame_shorter_than_its_container_says_holds_its_last_frame(
    environ: dict[str, str], root: Path
) -> None:
    film = await film_of(environ, root, plan(scene(0, shot("green.mkv", 2.03)), scene(1)))
    assert len(film.frames) == 61 + 30
    assert film.colour(60 / 30, 160, 90) == "green"


@pytest.mark.parametrize("rate", [24, 25, 50, 60])
async def test_frame_rate_of_the_plan_holds_whatever_the_clips_have(
    environ: dict[str, str], root: Path, rate: int
) -> None:
    film = await film_of(environ, root, plan(scene(0, shot(duration=3.0)), frameRate=rate))
    assert film.times == pytest.approx([number / rate for number in range(3 * rate)], abs=1e-4)


async def test_index_of_the_film_comes_first_so_that_it_plays_while_it_loads(
    environ: dict[str, str], root: Path
) -> None:
    await film_of(environ, root, plan())
    (film,) = (root / "outputs").rglob("*.mp4")
    content = film.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


async def test_an_overlay_that_outlasts_its_scene_ends_with_it(environ: dict[str, str], root: Path) -> None:
    overlays = [{"id": "clip", "type": "logo", "src": "test.mp4"}]
    film = await film_of(environ, root, plan(scene(0, shot("blue.mp4", 1.0), overlays=overlays), scene(1)))
    assert len(film.frames) == 60
    assert abs(film.duration_s - 2.0) <= FRAME_S


async def test_a_jpeg_is_a_shot_for_as_long_as_it_was_asked_for_and_an_overlay(
    environ: dict[str, str], root: Path
) -> None:
    overlays = [{"id": "green", "type": "logo", "src": "still.jpg"}]
    film = await film_of(environ, root, plan(scene(0, shot("still.jpg", 1.5)), scene(1, overlays=overlays)))
    assert film.colour(0.1, 160, 90) == film.colour(1.4, 160, 90) == "green"
    assert film.colour(1.6, 290, 14) == "green"


async def test_pixels_that_are_not_square_keep_the_shape_of_the_picture(environ: dict[str, str], root: Path) -> None:
    film = await film_of(environ, root, plan(scene(0, shot("wide_pixels.mp4", 0.8))))
    assert {film.colour(0.4, x, 90) for x in (3, 160, 316)} == {"green"}


@pytest.mark.parametrize("name", ["a" * 252 + ".mp4", "é" * 130 + ".mp4", "b" * 300 + "/c.mp4"])
async def test_a_name_that_no_file_system_takes_is_refused_before_the_job_is_taken(
    environ: dict[str, str], root: Path, name: str
) -> None:
    async with video_orchestrator(environ) as client:
        response = await client.post("/render", json={"plan": plan(scene(0), outputPath=name)})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_payload")
