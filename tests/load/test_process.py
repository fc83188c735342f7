"""Runs in processes of their own: an exact sum, and errors that come back as errors."""

import asyncio
import os
import queue
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from easymo.load import Glance, Job, LoadError, LoadResult, ScenarioError, Stage, TargetError, run_process, schedule_of
from easymo.load.distribution import Distribution, distribution
from easymo.load.live import Sight, Watch, telling
from tests.load.http_server import always_ok, serving

SCENARIO = """
from easymo.load import Call, Request, Scenario
print("a scenario may print")
scenario = Scenario([
    Request("read", 3, lambda rng: Call("GET", f"/{rng.randrange(10)}")),
    Request("write", 1, lambda rng: Call("POST", "/", {"Idempotency-Key": rng.token()}, b"{}")),
])
"""


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    path = tmp_path / "scenario.py"
    path.write_text(SCENARIO)
    return str(path)


def job(scenario: str, url: str, rate_rps: float = 100, duration_s: float = 1.0) -> Job:
    return Job(scenario=scenario, urls={"": url}, stages=[Stage(rate_rps, duration_s)], seed=1, salt="a", warm_up_s=0.2)


@pytest.mark.parametrize("processes", [1, 2])
async def test_processes_send_the_schedule_once_between_them(scenario: str, processes: int) -> None:
    async with serving(always_ok) as (target, log):
        work = job(scenario, target.url)
        result = await asyncio.to_thread(run_process, work, processes)
    whole = schedule_of(work)
    assert len(log.paths) == len(whole.due_ms)
    assert sorted(log.paths) == sorted(payload.split(b" ")[1].decode() for payload in whole.payloads)
    assert result.requests == sum(ms >= 200 for ms in whole.due_ms)
    assert result.errors == {}
    assert result.latency_ms is not None
    assert result.latency_ms.count == result.requests


async def test_standard_output_holds_the_result_and_nothing_else(scenario: str) -> None:
    async with serving(always_ok) as (target, _):
        text = msgspec.json.encode(job(scenario, target.url)).decode()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "easymo.load", text, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        output, complaint = await process.communicate()
    assert msgspec.json.decode(output, type=LoadResult).seed == 1
    assert complaint == b"a scenario may print\n"


def test_an_unusable_job_comes_back_as_the_error_that_it_is(scenario: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="There is no scenario file"):
        run_process(job(str(tmp_path / "missing.py"), "http://127.0.0.1:1"))
    with pytest.raises(TargetError, match=r"Nothing answers at http://127\.0\.0\.1:1 "):
        run_process(job(scenario, "http://127.0.0.1:1"))


def test_a_load_process_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    path = tmp_path / "scenario.py"
    path.write_text("import os, sys\nsys.stderr.write('out of luck')\nsys.stderr.flush()\nos._exit(9)\n")
    with pytest.raises(LoadError, match="ended with 9 before its result: out of luck"):
        run_process(job(str(path), "http://127.0.0.1:1"))


@pytest.mark.parametrize("arguments", [[], ["{"], ['{"scenario": "a.py"}'], ["{}", "{}"]])
def test_a_job_that_cannot_be_read_is_a_usage_error(arguments: list[str]) -> None:
    process = subprocess.run([sys.executable, "-m", "easymo.load", *arguments], capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stderr.startswith("usage: python -m easymo.load JOB")
    assert process.stdout == ""


async def test_a_run_in_several_processes_can_be_glanced_at_as_one(scenario: str) -> None:
    glances: list[Glance] = []
    async with serving(always_ok) as (target, _):
        work = Job(scenario=scenario, urls={"": target.url}, stages=[Stage(100, 3)], seed=1, arrivals="constant")
        result = await asyncio.to_thread(run_process, work, 2, None, glances.append)
    assert result.latency_ms is not None
    assert {glance.second for glance in glances} <= {1, 2, 3}
    assert len(glances) >= 2
    for glance in glances:
        assert (glance.requests, glance.errors) == (100, 0), "of both processes together"
        assert glance.p99_ms is not None
        assert glance.p99_ms <= result.latency_ms.max * 1.001 + 0.01


def times(count: int, each_ms: float) -> Distribution | None:
    return distribution([round(each_ms * 1e6)] * count)


def test_a_second_is_told_when_all_processes_have_told_it() -> None:
    glances: queue.Queue[Glance] = queue.Queue()
    watch = Watch(2, glances.put)
    pipes = watch.open(), watch.open()
    first, second = map(telling, pipes)
    first(Sight(1, 10, 1, times(9, 1.0), times(10, 0.05)))
    first(Sight(2, 12, 0, times(12, 1.0), times(12, 0.05)))
    second(Sight(1, 11, 2, times(9, 3.0), times(11, 5.0)))
    told = glances.get(timeout=10)
    assert (told.second, told.requests, told.errors) == (1, 21, 3)
    assert (told.p50_ms, told.p99_ms, told.lateness_p99_ms) == pytest.approx((1.0, 3.0, 5.0), rel=0.001)
    assert glances.empty()
    for descriptor in pipes:
        os.close(descriptor)
