"""How accurate the generator is, and how little it costs: what it reports against what the server's own clock says."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from easymo.load import Job, Stage, run_process
from tests.load import freezing_server

SCENARIO = """
from easymo.load import Call, Request, Scenario
scenario = Scenario([Request("page", 1, lambda rng: Call("GET", f"/due/{round(rng.due_s * 1000)}"))])
"""
WARM_UP_MS = 500
RATE_RPS, SECONDS = 1000, 10


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    path = tmp_path / "scenario.py"
    path.write_text(SCENARIO)
    return str(path)


@contextmanager
def freezing(*arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The server in a process of its own, and its address."""
    command = [sys.executable, freezing_server.__file__, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}", server
        finally:
            server.kill()


def account_of(server: "subprocess.Popen[str]") -> dict[str, Any]:
    """What the server did; it ends with that."""
    output, _ = server.communicate()
    account: dict[str, Any] = json.loads(output)
    return account


def latencies_by_the_servers_clock(account: dict[str, Any]) -> list[float]:
    """In ms from the intended time, ascending. The request that was answered soonest tells when the run began."""
    begin_ns = min(answered_ns - due_ms * 1_000_000 for due_ms, answered_ns in account["answered"])
    return sorted(
        (answered_ns - begin_ns) / 1e6 - due_ms for due_ms, answered_ns in account["answered"] if due_ms >= WARM_UP_MS
    )


@pytest.mark.slow
@pytest.mark.alone
def test_p99_of_a_server_that_freezes_is_what_the_servers_own_clock_says(scenario: str) -> None:
    """200 ms in 5 s are 4 % of all arrivals; their waits spread evenly over 0–200 ms, so 1 % waits over 150 ms.

    That is what a server does that nobody else disturbs; this one says itself what it did. What the machine adds on the
    generator's side shows as lateness, and only by so much may the two differ beyond 5 %.
    """
    with freezing() as (url, server):
        result = run_process(
            Job(
                scenario=scenario,
                urls={"": url},
                stages=[Stage(RATE_RPS, SECONDS)],
                seed=1,
                arrivals="constant",
                warm_up_s=WARM_UP_MS / 1000,
            )
        )
        account = account_of(server)
    assert (result.requests, result.errors) == (RATE_RPS * SECONDS, {})
    assert result.latency_ms is not None
    assert result.lateness_ms is not None
    truth = latencies_by_the_servers_clock(account)
    assert len(truth) == result.requests
    assert truth[-len(truth) * 3 // 100] > 30, "the server did freeze: 4 % of the requests met it"
    disturbed_ms = result.lateness_ms.max + 1
    assert result.latency_ms.p99 == pytest.approx(truth[len(truth) * 99 // 100], rel=0.05, abs=disturbed_ms)
    assert result.latency_ms.max == pytest.approx(truth[-1], rel=0.05, abs=disturbed_ms)


@pytest.mark.slow
@pytest.mark.alone
def test_a_request_costs_little_cpu_at_a_high_rate(scenario: str) -> None:
    """At 16,000/s it is below 25 µs on an idle machine (benchmarks/load.py); a spinning scheduler or a task for each
    request costs a multiple of that. A busy machine makes any program's CPU seconds up to twice as many."""
    with freezing("steady") as (url, _):
        result = run_process(Job(scenario=scenario, urls={"": url}, stages=[Stage(16_000, 2)], seed=1))
    assert result.sent == pytest.approx(32_000, rel=0.05)
    assert result.cpu_s / result.sent * 1e6 < 75
