"""The rule: kept when all of the interval is on the promised side of the limit, broken when all is beyond it."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easymo.proof.verdict import metrics
from easymo.proof.verdict.estimates import change_between
from easymo.proof.verdict.judge import decide, judge
from easymo.proof.verdict.measurement import ArmCapacity, Measurements
from easymo.proof.verdict.promises import Promise
from easymo.proof.verdict.statistics import Estimate
from tests.proof.conftest import MakeRound


def promise(metric: str = "latency_p50", **bounds: Any) -> Promise:
    given_kind = bounds.pop("kind", "change")
    return Promise(id=metric, claim="a claim", source="a heading", metric=metric, kind=given_kind, **bounds)


def pairs(make_round: MakeRound, before: list[float], after: list[float], **more: Any) -> Measurements:
    measured = Measurements()
    for number, (first, second) in enumerate(zip(before, after, strict=True)):
        measured.rounds.append(make_round("none", pair=number, latency_ms=first, **more))
        measured.rounds.append(make_round("both", pair=number, latency_ms=second, **more))
    return measured


def test_the_limit_is_the_claim_and_only_about_loosens_it() -> None:
    assert promise(at_most=-0.5).limit == -0.5
    assert promise(at_most=-0.5, about=0.05).limit == pytest.approx(0.5 * 1.05 - 1)
    assert promise(at_least=0.92, about=0.05).limit == pytest.approx(1.92 * 0.95 - 1)
    assert promise(kind="level", at_most=150, about=0.05).limit == pytest.approx(157.5)
    assert promise(kind="level", at_least=300).limit == 300


def test_no_worse_than_before_has_a_margin() -> None:
    assert promise(at_most=0.0).limit == pytest.approx(0.05)
    assert promise(at_least=0.0, about=0.2).limit == pytest.approx(-0.2)


def test_twenty_percent_faster_is_broken_by_sixteen_to_seventeen(make_round: MakeRound) -> None:
    """The whole interval contradicts the claim, however near it is."""
    rng = Random(1)
    before = [10 * rng.uniform(0.995, 1.005) for _ in range(10)]
    measured = pairs(make_round, before, [value * 0.831 for value in before])
    [verdict] = judge([promise(at_most=-0.20)], measured, "none", "both")
    assert verdict.verdict == "broken"


@given(st.floats(-0.9, 2), st.floats(0, 1), st.floats(-0.9, 0.5))
def test_a_verdict_is_kept_or_broken_only_when_both_ends_agree(low: float, width: float, bound: float) -> None:
    asked = promise(at_most=bound)
    decision = decide(asked, Estimate(low, low, low + width))
    assert (decision == "kept") == (low + width <= asked.limit)
    assert (decision == "broken") == (low > asked.limit)


def test_a_steady_halving_keeps_a_promise_of_forty_percent(make_round: MakeRound) -> None:
    rng = Random(1)
    before = [10 * rng.uniform(0.95, 1.05) for _ in range(10)]
    after = [5 * rng.uniform(0.95, 1.05) for _ in range(10)]
    [verdict] = judge([promise(at_most=-0.4)], pairs(make_round, before, after), "none", "both")
    assert verdict.verdict == "kept"
    assert verdict.change == pytest.approx(-0.5, abs=0.03)
    assert verdict.before is not None
    assert verdict.after is not None
    assert verdict.after / verdict.before - 1 == pytest.approx(verdict.change)
    assert verdict.interval is not None
    assert verdict.interval[0] < verdict.change < verdict.interval[1]  # type: ignore[operator]


def test_no_change_breaks_a_promise_of_a_change(make_round: MakeRound) -> None:
    before = [10, 10.2, 9.9, 10.1, 10.0, 9.8]
    [verdict] = judge([promise(at_most=-0.4)], pairs(make_round, before, before[::-1]), "none", "both")
    assert verdict.verdict == "broken"


def test_noise_as_large_as_the_effect_decides_nothing(make_round: MakeRound) -> None:
    before, after = [10.0, 30, 8, 25, 9, 28], [20.0, 6, 14, 7, 22, 5]
    [verdict] = judge([promise(at_most=-0.4)], pairs(make_round, before, after), "none", "both")
    assert verdict.verdict == "inconclusive"


def test_p99_of_too_few_requests_has_no_interval_and_says_what_would_do(make_round: MakeRound) -> None:
    measured = pairs(make_round, [10, 11, 10], [1, 1.1, 1], requests=300)
    [verdict] = judge([promise("latency_p99", at_most=-0.4)], measured, "none", "both")
    assert (verdict.verdict, verdict.interval) == ("inconclusive", None)
    assert verdict.reason.startswith("900 requests on a side, and a P99 needs 1,000: at least 123 requests/s")


def test_p99_of_rounds_with_few_requests_is_read_from_all_of_them_together(make_round: MakeRound) -> None:
    """The field's case: 402 requests in each of ten rounds, 307 to 7 ms."""
    measured = pairs(make_round, [300.0, 310.0] * 5, [6.5, 6.6] * 5, requests=402)
    [verdict] = judge([promise("latency_p99", at_most=-0.45)], measured, "none", "both")
    assert verdict.verdict == "kept"
    assert verdict.reason == "10 pairs, 4,020 and 4,020 requests together"
    assert verdict.change == pytest.approx(-0.979, abs=0.002)


def test_a_machine_that_differs_from_itself_decides_nothing(make_round: MakeRound) -> None:
    measured = pairs(make_round, [10, 10.1, 10.2, 9.9], [5, 5.1, 4.9, 5])
    for pair in range(4):
        measured.rounds.append(make_round("none", "aa-1", pair, latency_ms=10 + pair / 100))
        measured.rounds.append(make_round("none", "aa-2", pair, latency_ms=13 + pair / 100))
    [verdict] = judge([promise(at_most=-0.4)], measured, "none", "both")
    assert verdict.verdict == "inconclusive"
    assert "not steady" in verdict.reason


def test_void_rounds_do_not_count(make_round: MakeRound) -> None:
    measured = pairs(make_round, [10, 10.1, 9.9], [5, 5.1, 4.9])
    measured.rounds.append(make_round("none", pair=3, latency_ms=10))
    measured.rounds.append(make_round("both", pair=3, latency_ms=500, void="generator was late"))
    [verdict] = judge([promise(at_most=-0.4)], measured, "none", "both")
    assert verdict.reason == "3 pairs"
    assert verdict.after == pytest.approx(5, abs=0.1)


def test_capacity_runs_from_the_last_step_held_to_the_first_failed() -> None:
    measured = Measurements(capacity={"none": [ArmCapacity(100, 120, [])], "both": [ArmCapacity(290, 350, [])]})
    level = promise("capacity_rps", kind="level", at_least=290)
    change = promise("capacity_rps", at_least=0.92)
    first, second = judge([level, change], measured, "none", "both")
    assert (first.interval, first.verdict) == ([290, 350], "kept")
    assert second.interval == pytest.approx([290 / 120 - 1, 350 / 100 - 1])
    assert second.verdict == "kept"
    beyond = judge([promise("capacity_rps", kind="level", at_least=400)], measured, "none", "both")[0]
    assert beyond.verdict == "broken"
    between = judge([promise("capacity_rps", kind="level", at_least=330)], measured, "none", "both")[0]
    assert between.verdict == "inconclusive"


def test_a_capacity_whose_top_step_held_is_open_above() -> None:
    measured = Measurements(capacity={"none": [ArmCapacity(100, 120, [])], "both": [ArmCapacity(5000, None, [])]})
    [verdict] = judge([promise("capacity_rps", kind="level", at_least=300)], measured, "none", "both")
    assert (verdict.interval, verdict.verdict) == ([5000, None], "kept")


def test_searches_that_differ_widen_a_capacity_until_no_change_is_no_gain() -> None:
    """One hiccup in one step of one search of the baseline."""
    hiccup = {"none": [ArmCapacity(134, 160, []), ArmCapacity(380, 452, [])], "both": [ArmCapacity(400, None, [])] * 2}
    [verdict] = judge([promise("capacity_rps", at_least=0.5)], Measurements(capacity=hiccup), "none", "both")
    assert verdict.verdict == "inconclusive"
    assert verdict.reason.startswith("2 and 2 searches")


@pytest.mark.parametrize(("errors", "decision"), [([0, 0], "kept"), ([100, 120], "broken"), ([0, 60], "inconclusive")])
def test_error_levels_have_exact_bounds_that_rounds_which_differ_widen(
    make_round: MakeRound, errors: list[int], decision: str
) -> None:
    measured = Measurements()
    for number, count in enumerate(errors):
        measured.rounds.append(make_round("none", "stress", number, errors=500, rate_rps=300))
        measured.rounds.append(make_round("both", "stress", number, errors=count, rate_rps=300))
    [verdict] = judge([promise("error_ratio@300", kind="level", at_most=0.01)], measured, "none", "both")
    assert verdict.verdict == decision
    assert verdict.before == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("errors", "decision"), [([0, 0, 4], "kept"), ([0, 90, 0], "inconclusive"), ([40] * 3, "broken")]
)
def test_an_error_ratio_without_a_rate_is_that_of_the_comparison(
    make_round: MakeRound, errors: list[int], decision: str
) -> None:
    measured = Measurements()
    for pair, count in enumerate(errors):
        measured.rounds.append(make_round("none", pair=pair))
        measured.rounds.append(make_round("both", pair=pair, errors=count))
    measured.rounds.append(make_round("both", "stress", errors=2000))
    [verdict] = judge([promise("error_ratio", kind="level", at_most=0.01)], measured, "none", "both")
    assert (verdict.verdict, verdict.reason) == (decision, "3 compare rounds of each side, 6,000 requests")


def test_a_server_that_cannot_count_statements_leaves_the_promise_undecided(make_round: MakeRound) -> None:
    measured = pairs(make_round, [10, 11, 10], [5, 5, 6], statements=None)
    [verdict] = judge([promise("db_statements_per_request", at_most=-0.5)], measured, "none", "both")
    assert (verdict.verdict, verdict.interval, verdict.before) == ("inconclusive", None, None)


def test_holm_withholds_a_verdict_that_only_luck_among_many_would_give(make_round: MakeRound) -> None:
    before = [10.0, 10.0, 10.0, 10.0, 10.0, 10.0]
    after = [8.8, 8.1, 9.4, 8.0, 9.3, 8.2]  # about -14 % against a limit of -7 %: p just under 0.05
    asked = promise(at_most=-0.07)
    alone = judge([asked], pairs(make_round, before, after), "none", "both")
    names = [f"latency_{percentile}{of}" for percentile in ("p50", "p95", "p99") for of in ("", ":read")]
    others = [promise(name, at_most=-0.07) for name in names]
    among_six = judge(others, pairs(make_round, before, after), "none", "both")
    assert alone[0].verdict == "kept"
    assert {v.verdict for v in among_six} == {"inconclusive"}
    assert "Holm" in among_six[0].reason


def test_promises_on_one_quantity_count_once_for_holm(make_round: MakeRound) -> None:
    """A second bound on the same change asks nothing new of the measurement."""
    measured = pairs(make_round, [10.0] * 6, [8.8, 8.1, 9.4, 8.0, 9.3, 8.2])
    asked = [promise(at_most=bound) for bound in (-0.07, -0.065, -0.06, -0.055, -0.05)]
    assert {v.verdict for v in judge(asked, measured, "none", "both")} == {"kept"}


def test_a_rare_request_gets_its_p50_from_all_rounds_together(make_round: MakeRound) -> None:
    measured = pairs(make_round, [10.0, 10.4] * 5, [5.0, 5.3] * 5, requests=6)
    [verdict] = judge([promise("latency_p50:read", at_most=-0.4)], measured, "none", "both")
    assert verdict.verdict == "kept"
    assert verdict.change == pytest.approx(-0.5, abs=0.03)
    assert verdict.reason == "10 pairs, 60 and 60 requests together"


def test_a_request_that_is_too_rare_even_in_all_rounds_stays_undecided(make_round: MakeRound) -> None:
    measured = pairs(make_round, [10.0, 10.4] * 5, [5.0, 5.3] * 5, requests=1)
    [verdict] = judge([promise("latency_p50:read", at_most=-0.4)], measured, "none", "both")
    assert verdict.verdict == "inconclusive"
    assert "10 requests on a side, and a P50 needs 20" in verdict.reason


@pytest.mark.parametrize(("seconds", "decision"), [({"take_back_s": 4.0}, "kept"), ({"take_back_s": 400.0}, "broken")])
def test_what_is_measured_once_is_decided_by_its_value(seconds: dict[str, float], decision: str) -> None:
    asked = promise("take_back_s", kind="level", at_most=300)
    [verdict] = judge([asked], Measurements(once=seconds), "none", "both")
    assert (verdict.verdict, verdict.before, verdict.interval) == (decision, None, None)
    assert verdict.unit == "s"


def test_what_was_not_measured_once_stays_undecided_and_has_no_change() -> None:
    [verdict] = judge([promise("cache_hit_ratio", kind="level", at_least=0.7)], Measurements(), "none", "both")
    assert verdict.verdict == "inconclusive"
    assert promise("cache_hit_ratio", at_least=0.7).problem() is not None


def test_the_change_between_any_two_arms_can_be_asked(make_round: MakeRound) -> None:
    measured = pairs(make_round, [10, 10.2, 9.9], [5, 5.2, 4.9])
    p50 = metrics.metric("latency_p50")
    found = change_between(measured, "none", "both", p50)
    assert found is not None
    value, low, high = found
    assert low < value < high
    assert value == pytest.approx(-0.5, abs=0.02)
    assert change_between(measured, "none", "absent", p50) is None


def test_two_looks_need_more_than_one(make_round: MakeRound) -> None:
    """At 97.5 % a bound just outside the 95 % interval is not decided; the interval shown stays the 95 % one."""
    measured = pairs(make_round, [10.0] * 6, [8.8, 8.1, 9.4, 8.0, 9.3, 8.2])
    asked = [promise(at_most=-0.0629)]
    [one], [two] = (judge(asked, measured, "none", "both", confidence) for confidence in (0.95, 0.975))
    assert one.interval == two.interval
    assert (one.verdict, two.verdict) == ("kept", "inconclusive")


def test_a_request_that_the_scenario_does_not_have_is_named(make_round: MakeRound) -> None:
    measured = pairs(make_round, [10, 11, 10], [5, 5, 6])
    [verdict] = judge([promise("latency_p50:refunds", at_most=-0.5)], measured, "none", "both")
    assert verdict.verdict == "inconclusive"
    assert "'refunds'" in verdict.reason


@pytest.mark.parametrize(
    ("bounds", "limit"), [({"at_most": -0.03, "about": 0.05}, 0.0), ({"at_least": 0.04, "about": 0.05}, 0.0)]
)
def test_the_leeway_never_lets_a_gain_be_kept_without_one(bounds: dict[str, Any], limit: float) -> None:
    assert promise(**bounds).limit == limit
    assert promise(at_most=0.10, about=0.05).limit == pytest.approx(1.1 * 1.05 - 1), "an allowed loss is loosened"


@pytest.mark.parametrize("factor", [1.3, 0.7])
def test_an_arm_that_differs_from_itself_in_either_direction_decides_nothing(
    make_round: MakeRound, factor: float
) -> None:
    measured = pairs(make_round, [10.0, 10.1, 9.9, 10.0] * 2, [5.0, 5.1, 4.9, 5.0] * 2)
    for pair in range(8):
        measured.rounds.append(make_round("none", "aa-1", pair, latency_ms=10 + pair / 100))
        measured.rounds.append(make_round("none", "aa-2", pair, latency_ms=10 * factor + pair / 100))
    [verdict] = judge([promise(at_most=-0.4)], measured, "none", "both")
    assert verdict.verdict == "inconclusive"
    assert "the machine was not steady" in verdict.reason


def test_a_void_round_has_no_part_in_a_verdict(make_round: MakeRound) -> None:
    measured = pairs(make_round, [10.0, 10.1, 9.9, 10.0], [5.0, 5.1, 4.9, 5.0])
    measured.rounds.append(make_round("none", pair=4, latency_ms=10.0))
    measured.rounds.append(make_round("both", pair=4, latency_ms=500.0, void="the generator was late"))
    [verdict] = judge([promise(at_most=-0.4)], measured, "none", "both")
    assert (verdict.verdict, verdict.reason) == ("kept", "4 pairs")


def test_a_bound_that_is_met_exactly_is_met() -> None:
    at_most, at_least = promise(kind="level", at_most=100.0), promise(kind="level", at_least=100.0)
    assert at_most.holds(at_most.limit)
    assert at_least.holds(at_least.limit)
