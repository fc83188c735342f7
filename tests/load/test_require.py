"""Requirements decide the exit code, so they are read strictly."""

import pytest

from easymo.load import (
    Call,
    LoadResult,
    Request,
    Scenario,
    ScenarioError,
    Stage,
    Target,
    build_schedule,
    parse_requirement,
)
from easymo.load.recorder import Recorder, error_of


def result(took_ms: int = 100, outcome: int = 200) -> LoadResult:
    """200 requests in 2 s, one in ten of which failed."""
    scenario = Scenario([Request("any", 1, lambda _: Call("GET", "/"))])
    plan = build_schedule(scenario, {"": Target("a", 80)}, [Stage(100, 2)], seed=1, arrivals="constant")
    recorder = Recorder(plan)
    for place, arrival in enumerate(plan):
        arrival.fired_ns = arrival.due_ms * 1_000_000
        status = 500 if place % 10 == 9 else outcome
        error = error_of(plan.requests[0], status)
        recorder.done(arrival, status, arrival.fired_ns + took_ms * 1_000_000, None, error, 0)
    return recorder.result(cpu_s=0.0, priority="normal", stopped_at_s=None)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("p95<101ms", True),
        ("p95 < 100 ms", False),
        ("p99<=0.11s", True),
        ("p999>99ms", True),
        ("p90<101ms", True),
        ("p99.99<99ms", False),
        ("mean<99.9ms", False),
        ("max>=0.2s", False),
        ("error_ratio<=10%", True),
        ("error_ratio<0.1", False),
        ("rate>=100", True),
        ("rate>100/s", False),
        ("goodput>=90/s", True),
        ("goodput>91", False),
    ],
)
def test_a_requirement_is_met_or_not(text: str, met: bool) -> None:
    assert parse_requirement(text).met_by(result()) is met


def test_a_latency_that_could_not_be_measured_meets_no_bound() -> None:
    nothing_answered = result(outcome=500)
    assert not parse_requirement("p95<150ms").met_by(nothing_answered)
    assert not parse_requirement("p95>150ms").met_by(nothing_answered)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("p95", "cannot be read"),
        ("p95=150ms", "cannot be read"),
        ("p95<-1ms", "cannot be read"),
        ("p95<fast", "cannot be read"),
        ("p100<150ms", "names no metric of a run: there are p50, p99.9"),
        ("median<150ms", "names no metric of a run"),
        ("p95<150", "takes 'ms' or 's'"),
        ("p95<1%", "takes 'ms' or 's'"),
        ("error_ratio<1ms", "takes '%' or no unit"),
        ("rate>300ms", "takes no unit or '/s'"),
    ],
)
def test_a_requirement_that_cannot_be_read_is_quoted(text: str, says: str) -> None:
    with pytest.raises(ScenarioError, match="requirement") as caught:
        parse_requirement(text)
    assert repr(text) in str(caught.value)
    assert says in str(caught.value)
