"""Recordings played again: the rates of an access log or a trace become the rates of the run."""

from collections import Counter
from pathlib import Path

import pytest

from easymo.load import Call, Request, Scenario, ScenarioError, Stage, Target, build_schedule, recorded, stages_of
from easymo.trace import Series

LINE = '10.0.0.7 - - [24/Nov/2026:08:00:{second:02} +0000] "GET /calls HTTP/1.1" 200 512 "-" "curl"\n'
# requests in each of eight seconds: a burst in the third, none in the fifth and sixth
LOGGED = [20, 30, 400, 25, 0, 0, 10, 5]


@pytest.fixture
def access_log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text("".join(LINE.format(second=second) * count for second, count in enumerate(LOGGED)))
    return path


def test_an_access_log_is_played_second_by_second(access_log: Path) -> None:
    stages = stages_of(recorded(access_log))
    assert stages == [Stage(float(count), 1.0) for count in LOGGED]
    scenario = Scenario([Request("page", 1, lambda _: Call("GET", "/"))])
    schedule = build_schedule(scenario, {"": Target("127.0.0.1", 80)}, stages, seed=3)
    sent = Counter(ms // 1000 for ms in schedule.due_ms)
    for second, count in enumerate(LOGGED):
        assert sent[second] == pytest.approx(count, abs=4 * count**0.5), "Poisson, around what was logged"
    assert schedule.duration_s == 8


def test_speed_passes_the_time_faster_and_sends_every_request() -> None:
    series = Series((0.0, 60.0), (10.0, 40.0), 120.0)
    assert stages_of(series, speed=60) == [Stage(600.0, 1.0), Stage(2400.0, 1.0)]
    assert sum(s.arrivals for s in stages_of(series, speed=7)) == pytest.approx(60 * 10 + 60 * 40)


def test_scale_changes_the_rates_and_leaves_the_time() -> None:
    assert stages_of(Series((0.0, 60.0), (10.0, 40.0), 120.0), scale=0.5) == [Stage(5.0, 60.0), Stage(20.0, 60.0)]


def test_a_duration_ends_the_replay_in_its_own_time() -> None:
    series = Series((100.0, 160.0), (10.0, 40.0), 220.0)
    assert stages_of(series, duration_s=90) == [Stage(10.0, 60.0), Stage(40.0, 30.0)]
    assert stages_of(series, duration_s=1.5, speed=60) == [Stage(600.0, 1.0), Stage(2400.0, 0.5)]
    assert stages_of(series, duration_s=500) == stages_of(series)


def test_a_series_is_chosen_by_name(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("time,value,series\n0,5,web\n0,7,api\n60,6,web\n60,8,api\n")
    assert recorded(path, "api").values == (7.0, 8.0)
    with pytest.raises(ScenarioError, match=r"trace\.csv: no series is chosen, and it has 'web', 'api'"):
        recorded(path)
    with pytest.raises(ScenarioError, match="there is no series 'db'"):
        recorded(path, "db")


def test_a_recording_that_cannot_be_read_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("time,value\n0,5\n60,many\n")
    with pytest.raises(ScenarioError, match=r"trace\.csv:3: 'many' is no number"):
        recorded(path)


@pytest.mark.parametrize("number", [0.0, -1.0, float("inf"), float("nan")])
def test_numbers_that_are_not_above_0_are_refused(number: float) -> None:
    series = Series((0.0, 60.0), (10.0, 40.0))
    with pytest.raises(ScenarioError, match="A speed of"):
        stages_of(series, speed=number)
    with pytest.raises(ScenarioError, match="A scale of"):
        stages_of(series, scale=number)
    with pytest.raises(ScenarioError, match="A duration of"):
        stages_of(series, duration_s=number)
