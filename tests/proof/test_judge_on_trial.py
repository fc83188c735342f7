"""The judge on trial, in short: what `make demo-judge` does at length, on the same recorded rounds."""

import random
import statistics
from collections.abc import Callable

import pytest

from drills.proof import recorded_rounds, simulated, trial


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


def lines(part: Callable[[random.Random, int], list[simulated.Finding]], trials: int) -> list[simulated.Finding]:
    """What does not hold of one part of the simulated trial."""
    print(f"seed {trial.SEED}, {trials} trials")
    return [line for line in part(random.Random(f"{trial.SEED}/{part.__name__}"), trials) if not line.holds]


def test_no_kind_of_noise_makes_a_change_of_none() -> None:
    assert lines(simulated.noises, 60) == []


def test_a_side_that_still_warms_is_not_called_slower_than_the_other() -> None:
    assert lines(simulated.warming, 200) == []


def test_a_hiccup_in_a_search_is_no_capacity() -> None:
    assert lines(simulated.searches, 400) == []


def test_errors_near_their_limit_are_undecided_and_far_from_it_decided() -> None:
    assert lines(simulated.errors, 100) == []


def test_twenty_more_promises_do_not_blind_the_judge() -> None:
    assert lines(simulated.families, 100) == []


def test_every_cheat_is_caught_and_named() -> None:
    found = simulated.cheats(random.Random(trial.SEED))
    assert [line for line in found if not line.holds] == []
    assert len(found) == len(simulated.CHEATS) + 2


@pytest.mark.slow
def test_the_gate_is_green_on_no_change_and_red_on_ten_percent() -> None:
    assert lines(simulated.gate, 20) == []


@pytest.mark.slow
def test_tails_are_read_from_all_rounds_together() -> None:
    assert lines(simulated.tails, 60) == []
