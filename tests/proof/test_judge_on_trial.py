"""The judge on trial, in short: what `make demo-judge` does at length, on the same recorded rounds."""

import random
import statistics

import pytest

from drills.proof import recorded_rounds, trial


@pytest.fixture(scope="module")
def recorded() -> list[recorded_rounds.Recorded]:
    return recorded_rounds.read()


@pytest.fixture
def trials(recorded: list[recorded_rounds.Recorded]) -> trial.Trials:
    return trial.Trials(recorded, trial.SEED)


def test_the_same_system_twice_is_hardly_ever_called_changed_or_better(trials: trial.Trials) -> None:
    findings = trial.false_alarms(trials, trial.TRIALS, looks=1)
    assert [f for f in findings if not f.holds] == []
    assert len(findings) == len(trial.PERCENTILES) + len(trial.GAINS)


def test_slow_downs_and_stops_are_found(recorded: list[recorded_rounds.Recorded], trials: trial.Trials) -> None:
    if (found := trial.noise(recorded)) > trial.QUIET:
        pytest.skip(
            f"the rounds of evidence/judge were recorded on a busy machine: neighbours differ by {found:.0%}, which"
            " hides 20 %. Record them again on a quiet one: make judge-rounds"
        )
    assert [f for f in trial.planted(trials, trial.TRIALS) if not f.holds] == []


def test_a_halved_system_is_called_changed_and_its_gain_is_kept(trials: trial.Trials) -> None:
    """On any recording: the trial is not blind, whatever the machine did while it was recorded."""
    outcomes = [trial.at_looks(trials.measure(trial.PAIRS, factor=0.1), 1) for _ in range(50)]
    assert sum(outcome.changed["p50"] for outcome in outcomes) >= 40
    assert sum("p50 -48%" in outcome.kept for outcome in outcomes) >= 40


def test_a_drawn_round_has_the_percentiles_of_its_round_on_average(recorded: list[recorded_rounds.Recorded]) -> None:
    latencies = recorded[0].latencies_us()
    drawer = trial.Drawer(recorded[0])
    rng = random.Random(1)
    drawn = statistics.median(drawer.draw(rng, 1.0).p50 for _ in range(400))
    assert drawn == pytest.approx(statistics.median(latencies) / 1000, rel=0.05)
