"""What `make soak` calls growth."""

import random

import pytest

from drills.trend import trend


def series(per_hour: float, noise: float, level: float = 100.0) -> list[tuple[float, float]]:
    rng = random.Random(7)
    return [(float(s), level + per_hour * s / 3600 + rng.gauss(0, noise)) for s in range(900)]


def test_noise_around_a_level_is_flat() -> None:
    found = trend(series(0.0, noise=5.0))
    assert not found.grows
    assert found.low < 0 < found.high


def test_a_leak_below_the_noise_is_found_with_its_rate() -> None:
    found = trend(series(40.0, noise=5.0))
    assert found.grows
    assert found.low < 40 < found.high
    assert found.per_hour == pytest.approx(40, rel=0.3)


def test_growth_that_is_certain_but_tiny_is_called_flat() -> None:
    found = trend(series(1.0, noise=0.0))
    assert found.low > 0
    assert not found.grows


def test_a_few_wild_values_do_not_make_a_trend() -> None:
    points = series(0.0, noise=1.0)
    points[-10:] = [(at, value * 50) for at, value in points[-10:]]
    assert not trend(points).grows
