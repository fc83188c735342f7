"""Renders of the service beside the same commands in a shell: ``python -m benchmarks.render [--quick] [--out DIR]``.

Both sides render the same plans one after the other, their scenes as many at once as there are cores, in rounds that
change places. Then plans are asked for twice: the second time everything is reused.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec

from easymo.embedded import Postgres
from easymo_platform.operations.serve import LISTENING
from easymo_platform.video_orchestrator.commands import film_command, parts_list, scene_command
from easymo_platform.video_orchestrator.model import Plan
from easymo_platform.video_orchestrator.renderer import version_of
from easymo_platform.video_orchestrator.settings import VideoSettings

CLIP_S = 30
CORES = len(os.sched_getaffinity(0))
LOOK_EVERY_S = 0.02
_SERVICE = (sys.executable, "-m", "easymo_platform")


def make_sources(ffmpeg: str, media: Path) -> None:
    """A moving picture with grain, a tone and a logo."""
    media.mkdir(parents=True)
    run = (ffmpeg, "-v", "error", "-nostdin", "-y")
    picture = f"testsrc2=s=1280x720:r=30:d={CLIP_S},noise=alls=8:allf=t"
    clip = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p", str(media / "clip.mp4"))
    subprocess.run([*run, "-f", "lavfi", "-i", picture, *clip], check=True)
    subprocess.run([*run, "-f", "lavfi", "-i", f"sine=frequency=330:d={CLIP_S}", str(media / "tone.wav")], check=True)
    subprocess.run(
        [*run, "-f", "lavfi", "-i", "color=red:s=240x90", "-frames:v", "1", str(media / "logo.png")], check=True
    )


def plans(count: int, length_s: float, start: int) -> list[dict[str, Any]]:
    """``count`` plans of ``length_s`` at 720p that share no scene with each other; numbered from ``start``."""
    shares = (0.4, 0.3, 0.3)
    made = []
    for number in range(start, start + count):
        scenes: list[dict[str, Any]] = []
        for order, share in enumerate(shares):
            at = (number * 7 + order * 3) % 18 + number / 1000
            shot = {
                "id": "a",
                "src": "clip.mp4",
                "duration": CLIP_S,
                "startOffset": at,
                "trimTo": at + share * length_s,
            }
            scenes.append({"id": f"s{order}", "order": order, "shots": [shot]})
        scenes[0]["audio"] = {"src": "tone.wav", "type": "music", "gain": -12}
        scenes[-1]["overlays"] = [{"id": "logo", "type": "logo", "src": "logo.png", "startTime": 0.1}]
        made.append({"id": f"p{number}", "safeZonePresetId": "safe-top", "outputPath": "film.mp4", "scenes": scenes})
    return made


def in_a_shell_s(ffmpeg: str, media: Path, folder: Path, documents: list[dict[str, Any]]) -> float:
    """Seconds for the plans when somebody types the commands."""
    script = ["set -e"]
    for document in documents:
        plan = msgspec.convert(document, Plan)
        work = folder / plan.id
        work.mkdir()
        names = [f"{scene.order}.mov" for scene in plan.in_order()]
        (work / "parts.txt").write_text(parts_list(names))
        commands = [
            scene_command(plan, scene, lambda name: str(media / name), str(work / name), ffmpeg)
            for scene, name in zip(plan.in_order(), names, strict=True)
        ]
        (work / "scenes").write_text("".join(f"{shlex.join(command)} > /dev/null\0" for command in commands))
        script.append(f"xargs -0 -P {CORES} -I COMMAND sh -c COMMAND < {work / 'scenes'}")
        film = film_command(work / "parts.txt", str(work / "film.mp4"), ffmpeg)
        script.append(f"{shlex.join(film)} > /dev/null")
    started = time.perf_counter()
    subprocess.run(["sh", "-c", "\n".join(script)], check=True)
    return time.perf_counter() - started


def by_the_service_s(client: httpx.Client, documents: list[dict[str, Any]]) -> float:
    """Seconds from the first request until the last film is there."""
    started = time.perf_counter()
    waiting = [client.post("/render", json={"plan": document}).json()["data"]["job_id"] for document in documents]
    for job_id in waiting:
        job = _until_over(client, job_id)
        if job["status"] != "succeeded":
            raise SystemExit(f"{job['plan_id']} {job['status']}: {job['error']}")
    return time.perf_counter() - started


def _until_over(client: httpx.Client, job_id: str) -> dict[str, Any]:
    while True:
        job: dict[str, Any] = client.get(f"/render/{job_id}").json()
        if job["status"] not in ("queued", "running"):
            return job
        time.sleep(LOOK_EVERY_S)


def from_request_to_film_s(client: httpx.Client, document: dict[str, Any]) -> float:
    """Seconds of one job by the database's clock, waiting included."""
    job = _until_over(client, client.post("/render", json={"plan": document}).json()["data"]["job_id"])
    finished, created = (datetime.fromisoformat(job[name]) for name in ("finished_at", "created_at"))
    return (finished - created).total_seconds()


@contextmanager
def serving(name: str, environ: dict[str, str]) -> Iterator[str]:
    """A service of the platform as a process. Yields its address."""
    command = [*_SERVICE, "serve", name, "--port", "0"]
    process = subprocess.Popen(command, env=os.environ | environ, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = next((line for line in process.stderr if LISTENING in line), None)
        if line is None:
            raise SystemExit(f"{name} did not start")
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        process.communicate()


def measure(count: int, length_s: float, rounds: int) -> dict[str, Any]:
    """Renders a minute of both sides, and seconds of a plan the first and the second time."""
    with tempfile.TemporaryDirectory() as folder, Postgres() as server:
        root = Path(folder, "render")
        environ = {
            "DATABASE_URL": server.url,
            "REDIS_ENABLED": "false",
            "AUTH_DISABLED": "true",
            "RENDER_DIR": str(root),
            "DATABASE_POOL_SIZE": "3",
        }
        ffmpeg = VideoSettings(database_url=server.url, auth_disabled=True).find_ffmpeg()
        make_sources(ffmpeg, root / "media")
        subprocess.run([*_SERVICE, "migrate"], env=os.environ | environ, check=True, stdout=subprocess.DEVNULL)
        seconds: dict[str, list[float]] = {"shell": [], "service": []}
        with (
            serving("video-orchestrator", environ) as url,
            serving("video-worker", environ),
            httpx.Client(base_url=url, timeout=60) as client,
        ):
            for number in range(rounds):
                documents = plans(count, length_s, number * count)
                typed = Path(folder, f"typed{number}")
                typed.mkdir()
                sides = [
                    ("shell", partial(in_a_shell_s, ffmpeg, root / "media", typed, documents)),
                    ("service", partial(by_the_service_s, client, documents)),
                ]
                for side, work in sides if number % 2 == 0 else sides[::-1]:
                    seconds[side].append(work())
            fresh = plans(min(count, 5), length_s, rounds * count)
            first = [from_request_to_film_s(client, document) for document in fresh]
            second = [from_request_to_film_s(client, document) for document in fresh]
    per_minute = {side: [count * 60 / value for value in values] for side, values in seconds.items()}
    ratios = [service / shell for service, shell in zip(per_minute["service"], per_minute["shell"], strict=True)]
    return {
        "plans": count,
        "plan_s": length_s,
        "renders_per_minute": per_minute,
        "service_to_shell_ratio": statistics.median(ratios),
        "first_s": first,
        "second_s": second,
        "reuse_ratio": statistics.median(first) / statistics.median(second),
        "machine": {"python": platform.python_version(), "cores": CORES, "ffmpeg": version_of(ffmpeg)},
    }


def as_markdown(results: dict[str, Any], quick: bool) -> str:
    """The table, with a note when it was only a smoke run."""
    rates = {side: statistics.median(values) for side, values in results["renders_per_minute"].items()}
    first, second = (statistics.median(results[name]) for name in ("first_s", "second_s"))
    ratio, reuse = results["service_to_shell_ratio"], results["reuse_ratio"]
    lines = [
        "| what | must reach | reached | measured |",
        "|---|---|---|---|",
        f"| {results['plans']} plans of {results['plan_s']:g} s at 720p, service / shell, renders a minute | ≥ 0.9 | "
        f"{'yes' if ratio >= 0.9 else '**no**'} | {rates['service']:.1f} / {rates['shell']:.1f} = {ratio:.2f} |",
        f"| the same plan twice, first / second, s | ≥ 10 | {'yes' if reuse >= 10 else '**no**'} | "
        f"{first:.2f} / {second:.3f} = {reuse:.0f} |",
    ]
    if quick:
        lines.append("\nA smoke run (`--quick`): these numbers mean nothing.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.render", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of both sides (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write render.json and render.md into this directory")
    options = parser.parse_args()
    results = measure(2, 2.0, 1) if options.quick else measure(10, 10.0, options.rounds)
    table = as_markdown(results, options.quick)
    print(table)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "render.json").write_text(json.dumps(results | {"quick": options.quick}, indent=2) + "\n")
        (options.out / "render.md").write_text(table)


if __name__ == "__main__":
    main()
