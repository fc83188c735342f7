"""The load generator that is started once: its rounds are as separate as those of two processes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from easymo.load import Job, Stage
from easymo.proof.errors import AcceptanceError, RunVoid
from easymo.proof.session.generator import WarmGenerator
from tests.load.http_server import always_ok, serving

SCENARIO = """
import os
from easymo.load import Call, Request, Scenario
print("a scenario may print")
seen = []

def build(rng):
    seen.append(1)
    if os.path.exists("die"):
        os.write(2, b"out of luck"), os._exit(9)
    return Call("POST", f"/{len(seen)}/{os.environ['PLACE']}", {"Idempotency-Key": rng.token()})

scenario = Scenario([Request("write", 1, build)])
"""


@pytest.fixture
async def generator(tmp_path: Path) -> AsyncIterator[WarmGenerator]:
    (tmp_path / "scenario.py").write_text(SCENARIO)
    generator = WarmGenerator("scenario.py", tmp_path, {"PLACE": "kigali"}, tmp_path / "logs" / "generator.log")
    try:
        yield generator
    finally:
        await generator.close()


def job(url: str, salt: str = "a", seconds: float = 0.4) -> Job:
    return Job(scenario="scenario.py", urls={"": url}, stages=[Stage(100, seconds)], seed=1, salt=salt)


async def test_every_job_starts_from_a_fresh_scenario(generator: WarmGenerator) -> None:
    async with serving(always_ok) as (target, log):
        results = [await generator.play(job(target.url, salt)) for salt in ("a", "b")]
    assert [result.salt for result in results] == ["a", "b"]
    assert results[0].requests == results[1].requests > 20
    once = [f"/{place}/kigali" for place in range(1, results[0].sent + 1)]
    assert sorted(log.paths) == sorted(once * 2), "what the first job counted, the second one does not know"


async def test_a_job_that_ends_its_process_does_not_end_the_next_one(generator: WarmGenerator, tmp_path: Path) -> None:
    async with serving(always_ok) as (target, _):
        (tmp_path / "die").touch()
        with pytest.raises(RunVoid, match="ended with exit code 9") as caught:
            await generator.play(job(target.url))
        assert "out of luck" in str(caught.value)
        (tmp_path / "die").unlink()
        assert (await generator.play(job(target.url))).errors == {}


async def test_a_scenario_that_cannot_be_used_is_the_users_to_mend(generator: WarmGenerator, tmp_path: Path) -> None:
    (tmp_path / "scenario.py").write_text("scenario = 5")
    with pytest.raises(AcceptanceError, match="scenario"):
        await generator.play(job("http://127.0.0.1:1"))


async def test_a_cancelled_job_leaves_no_process(generator: WarmGenerator) -> None:
    before = set(psutil.Process().children(recursive=True))
    under_way = asyncio.Event()

    async def answer(path: str, writer: asyncio.StreamWriter) -> None:
        under_way.set()
        await always_ok(path, writer)

    async with serving(answer) as (target, _):
        playing = asyncio.create_task(generator.play(job(target.url, seconds=600)))
        await under_way.wait()
        started = set(psutil.Process().children(recursive=True)) - before
        assert len(started) == 2, "the warm process and its fork"
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []


async def test_a_generator_that_is_killed_voids_the_run(generator: WarmGenerator) -> None:
    before = set(psutil.Process().children())
    async with serving(always_ok) as (target, _):
        await generator.play(job(target.url))
        (warm,) = set(psutil.Process().children()) - before
        warm.kill()
        with pytest.raises(RunVoid, match="load generator ended in the middle"):
            await generator.play(job(target.url))
