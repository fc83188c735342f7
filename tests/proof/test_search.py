"""The search for an arm's capacity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from easymo.load import Tally
from easymo.load.distribution import distribution
from easymo.proof.verdict import search
from easymo.proof.verdict.measurement import CapacityStep
from easymo.proof.verdict.search import Capacity
from tests.proof.conftest import MakeRound

RESOLUTION = 1.2


def searched(true_capacity: float, start: float = 40, limit: float = 5000) -> list[CapacityStep]:
    steps: list[CapacityStep] = []
    while (rate := search.next_rate(steps, start, limit, RESOLUTION)) is not None:
        steps.append(CapacityStep(rate, rate <= true_capacity, "", 1.0, 0.0))
        assert len(steps) < 40
    return steps


@given(st.floats(3, 4000), st.floats(2, 500))
def test_the_search_encloses_the_true_capacity_within_its_resolution(true_capacity: float, start: float) -> None:
    found = search.bounds(searched(true_capacity, start))
    assert found.held_rps <= true_capacity
    assert found.failed_rps is not None
    assert found.failed_rps > true_capacity
    assert found.held_rps == 0 or found.failed_rps <= max(found.held_rps * RESOLUTION, found.held_rps + 2)


def test_the_search_stops_at_its_limit_when_everything_holds() -> None:
    found = search.bounds(searched(1e9, limit=1000))
    assert (found.held_rps, found.failed_rps) == (1000, None)


def test_a_system_that_holds_nothing_ends_the_search_with_zero() -> None:
    found = search.bounds(searched(0.5))
    assert found.held_rps == 0


def test_a_lucky_step_above_a_failed_one_does_not_count() -> None:
    steps = [CapacityStep(100, True, "", 1, 0), CapacityStep(200, False, "", 1, 0), CapacityStep(220, True, "", 1, 0)]
    assert search.bounds(steps).held_rps == 100


def test_a_step_fails_on_errors_and_on_slow_answers(make_round: MakeRound) -> None:
    limits = Capacity()
    assert search.judge_step(make_round("none", "capacity"), limits).held
    assert not search.judge_step(make_round("none", "capacity", errors=20), limits).held
    assert not search.judge_step(make_round("none", "capacity", latency_ms=501), limits).held


@pytest.mark.parametrize(
    ("seconds_ms", "held"),
    [((30, 60, 110), True), ((30, 90, 140), False), ((300, 350, 420), True), ((200, 260, 320), False)],
)
def test_a_step_fails_when_a_queue_builds_up_and_not_by_chance(
    make_round: MakeRound, seconds_ms: tuple[int, ...], held: bool
) -> None:
    times = [distribution([second_ms * 1_000_000] * 80) for second_ms in seconds_ms]
    round_ = make_round("none", "capacity", latency_ms=max(seconds_ms))
    load = structs.replace(round_.load, timeline=[Tally(80, 0, of_a_second) for of_a_second in times])
    step = search.judge_step(structs.replace(round_, load=load), Capacity())
    assert step.held == held
    assert held or f"grew from {seconds_ms[0]} to {seconds_ms[-1]} ms" in step.why


def test_a_step_whose_generator_was_late_does_not_count_as_held(make_round: MakeRound) -> None:
    step = search.judge_step(make_round("none", "capacity", void="the generator was late"), Capacity())
    assert (step.held, step.why) == (False, "the generator was late")


@given(st.floats(10, 4000), st.integers(0, 12))
def test_one_hiccup_in_any_step_costs_a_step_and_no_capacity(true_capacity: float, hiccup: int) -> None:
    steps: list[CapacityStep] = []
    while (rate := search.next_rate(steps, 40, 5000, RESOLUTION)) is not None:
        held = rate <= true_capacity and len(steps) != hiccup
        steps.append(CapacityStep(rate, held, "", 1.0, 0.0))
        assert len(steps) < 50
    found = search.bounds(steps)
    assert found.held_rps <= true_capacity
    assert found.failed_rps is None or found.failed_rps > true_capacity
