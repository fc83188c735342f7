"""The statistics behind the verdicts."""

import math
from itertools import product
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from easymo.proof.verdict import statistics

# Two-sided 95 % quantiles of Student's t, as every statistics table prints them.
TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 7: 2.365, 9: 2.262, 10: 2.228, 19: 2.093, 30: 2.042}


@pytest.mark.parametrize(("degrees", "quantile"), TABLE.items())
def test_t_quantiles_agree_with_the_printed_table(degrees: int, quantile: float) -> None:
    assert statistics.t_quantile(0.95, degrees) == pytest.approx(quantile, abs=0.0006)


@given(st.floats(-50, 50), st.integers(1, 40))
def test_t_distribution_is_symmetric(t: float, degrees: int) -> None:
    assert statistics.t_cdf(t, degrees) + statistics.t_cdf(-t, degrees) == pytest.approx(1, abs=1e-12)


def test_a_halving_in_every_pair_is_a_change_of_minus_a_half() -> None:
    estimate = statistics.relative_change([10, 20, 40, 80], [5.1, 9.9, 20.2, 39.8])
    assert estimate.value == pytest.approx(-0.5, abs=0.005)
    assert estimate.lo < -0.5 < estimate.hi


def test_95_percent_intervals_cover_the_truth_at_least_95_times_in_100() -> None:
    rng = Random(7)
    trials, covered = 2000, 0
    for _ in range(trials):
        before = [math.exp(rng.gauss(0, 0.2)) for _ in range(10)]
        after = [value * 0.8 * math.exp(rng.gauss(0, 0.2)) for value in before]
        estimate = statistics.relative_change(before, after)
        covered += estimate.lo <= -0.2 <= estimate.hi
    assert 0.95 <= covered / trials <= 0.99


def test_the_smallest_sign_flip_p_is_two_in_two_to_the_n() -> None:
    assert statistics.sign_flip_p([-0.5] * 10) == 2 / 2**10
    assert statistics.sign_flip_p([1.0, -1.0, 1.0, -1.0]) == 1.0


@given(st.lists(st.floats(-3, 3).filter(lambda v: abs(v) > 1e-6), min_size=2, max_size=8))
def test_sign_flip_p_does_not_care_for_the_direction(values: list[float]) -> None:
    assert statistics.sign_flip_p(values) == statistics.sign_flip_p([-v for v in values])


def test_holm_multiplies_the_smallest_p_by_the_number_of_tests() -> None:
    assert statistics.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_tests_of_one_quantity_count_once() -> None:
    assert statistics.holm([0.01, 0.02, 0.03], ["p50", "p50", "p95"]) == pytest.approx([0.02, 0.04, 0.04])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_makes_a_p_smaller_and_keeps_their_order(p_values: list[float]) -> None:
    adjusted = statistics.holm(p_values)
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    ranked = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[i] for i in ranked] == sorted(adjusted)


@given(st.lists(st.floats(-2, 2), min_size=3, max_size=10).filter(lambda v: max(v) - min(v) > 1e-3), st.floats(-2, 2))
def test_p_below_five_percent_is_the_same_as_an_interval_without_the_reference(values: list[float], ref: float) -> None:
    interval = statistics.of_mean(values).interval()
    outside = not interval.lo <= ref <= interval.hi
    p = statistics.of_mean(values).p(ref)
    assert outside == (p < 0.05) or p == pytest.approx(0.05, abs=1e-6)


@given(st.lists(st.integers(-40, 40), min_size=2, max_size=9))
def test_sign_flip_p_is_the_share_of_patterns_that_reach_what_was_seen(values: list[int]) -> None:
    totals = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in product((1, -1), repeat=len(values))
    ]
    share = sum(total >= abs(sum(values)) for total in totals) / len(totals)
    assert statistics.sign_flip_p([float(v) for v in values]) == pytest.approx(share)


def test_unpaired_intervals_cover_the_truth_about_95_times_in_100_though_one_side_is_noisier_and_longer() -> None:
    rng = Random(7)
    trials, covered = 2000, 0
    for _ in range(trials):
        before = [math.exp(rng.gauss(0, 0.1)) for _ in range(20)]
        after = [0.8 * math.exp(rng.gauss(0, 0.4)) for _ in range(6)]
        estimate = statistics.of_unpaired(before, after).change()
        covered += estimate.lo <= -0.2 <= estimate.hi
    assert 0.93 <= covered / trials <= 0.97


def test_pairs_tell_more_than_unpaired_rounds_when_the_machine_drifts() -> None:
    drift = [1.0, 1.4, 1.9, 2.5, 3.1]
    before, after = [10 * d for d in drift], [8 * d * (1 + 0.01 * n) for n, d in enumerate(drift)]
    paired, unpaired = statistics.relative_change(before, after), statistics.of_unpaired(before, after).change()
    assert paired.value == pytest.approx(unpaired.value)
    assert paired.hi < 0 < unpaired.hi


@given(st.lists(st.floats(1, 100), min_size=2, max_size=8), st.lists(st.floats(1, 100), min_size=2, max_size=8))
def test_an_unpaired_p_below_five_percent_is_the_same_as_an_interval_without_no_change(
    before: list[float], after: list[float]
) -> None:
    assume(max(before) / min(before) > 1.01)
    interval = statistics.of_unpaired(before, after).change()
    p = statistics.of_unpaired(before, after).p(0.0)
    assert (not interval.lo <= 0 <= interval.hi) == (p < 0.05) or p == pytest.approx(0.05, abs=1e-6)


def test_exact_bounds_of_a_share_agree_with_the_printed_table() -> None:
    """Clopper and Pearson's bounds for 5 of 10 and for 0 of 1,560."""
    five = statistics.binomial_bounds(5, 10)
    assert (five.lo, five.hi) == pytest.approx((0.1871, 0.8129), abs=1e-4)
    none = statistics.binomial_bounds(0, 1560)
    assert (none.lo, none.hi) == pytest.approx((0.0, 0.002362), abs=1e-6)
    assert statistics.binomial_bounds(7, 7).hi == 1.0


def test_errors_that_come_in_bursts_are_dispersed_and_those_that_do_not_are_not() -> None:
    assert statistics.dispersion([0, 0, 30, 0], [100] * 4) > 20
    assert statistics.dispersion([5, 4, 6, 5], [100] * 4) == 1.0


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = [1.0, 2.0, 4.0, 3.0]
    without = [math.fsum(values[:n] + values[n + 1 :]) / 3 for n in range(4)]
    assert statistics.of_jackknife(2.5, without).error == pytest.approx(statistics.of_mean(values).error)


def test_a_weighted_holm_gives_the_heavy_test_its_share_first() -> None:
    alone = statistics.holm([0.02, 0.5, 0.5], weights=[2, 1, 1])
    assert alone[0] == pytest.approx(0.04)
    assert statistics.holm([0.02, 0.5, 0.5])[0] == pytest.approx(0.06)


@given(
    st.lists(st.floats(1, 100), min_size=3, max_size=8),
    st.lists(st.floats(1, 100), min_size=3, max_size=8),
    st.floats(-0.5, 0.9),
)
def test_an_unpaired_p_against_any_change_agrees_with_the_interval(
    before: list[float], after: list[float], change: float
) -> None:
    assume(max(before) / min(before) > 1.01)
    assume(abs(change) > 0.05)
    found = statistics.of_unpaired(before, after)
    interval, p = found.change(), found.p(math.log1p(change))
    assert (not interval.lo <= change <= interval.hi) == (p < 0.05) or p == pytest.approx(0.05, abs=1e-4)
