"""Distributions are exact to 0.1 % and can be added without loss."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easymo.load.distribution import add, distribution

times_ns = st.lists(st.integers(-1_000, 10_000_000_000), max_size=200)


@given(parts=st.lists(times_ns, max_size=5))
def test_adding_distributions_equals_recording_everything_at_once(parts: list[list[int]]) -> None:
    assert add(distribution(part) for part in parts) == distribution(time for part in parts for time in part)


@given(times=st.lists(st.integers(1_000_000, 10_000_000_000), min_size=1, max_size=500))
def test_percentiles_mean_and_maximum_are_within_a_thousandth(times: list[int]) -> None:
    measured = distribution(times)
    assert measured is not None
    ordered = sorted(time // 1000 / 1000 for time in times)

    def at(share: float) -> float:
        return ordered[max(math.floor(share * len(ordered) + 0.5), 1) - 1]

    assert measured.count == len(times)
    assert (measured.p50, measured.p95, measured.p99) == pytest.approx((at(0.5), at(0.95), at(0.99)), rel=0.001)
    assert measured.max == pytest.approx(ordered[-1], rel=0.001)
    assert measured.mean == pytest.approx(sum(ordered) / len(ordered), rel=0.001)


def test_percentiles_are_not_rounded_to_milliseconds() -> None:
    measured = distribution([250_000] * 99 + [1_750_000])
    assert measured is not None
    assert (measured.p50, measured.max) == pytest.approx((0.25, 1.75), rel=0.001)


def test_there_is_no_distribution_of_nothing() -> None:
    assert distribution([]) is None
    assert add([None, None]) is None
    assert add([]) is None


def test_a_time_beyond_the_range_is_kept_as_the_longest() -> None:
    measured = distribution([10**15])
    assert measured is not None
    assert measured.max == pytest.approx(3_600_000, rel=0.001)
