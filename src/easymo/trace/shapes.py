"""Made-up demand, for questions that no recording answers yet."""

from collections.abc import Callable
from math import cos, pi

from easymo.trace.series import Series

MINUTE_S, HOUR_S = 60.0, 3600.0


def _spike(base: float, peak: float) -> Series:
    """Ten quiet minutes, five minutes of peak, and quiet until an hour is over."""
    return Series((0, 10 * MINUTE_S, 15 * MINUTE_S), (base, peak, base), HOUR_S)


def _step(base: float, peak: float) -> Series:
    """Ten quiet minutes, then fifty minutes of peak."""
    return Series((0, 10 * MINUTE_S), (base, peak), HOUR_S)


def _day(base: float, peak: float) -> Series:
    """A day by minutes: lowest at 4 o'clock, highest at 16 o'clock, a cosine between."""
    times = tuple(minute * MINUTE_S for minute in range(24 * 60))
    height = (peak - base) / 2
    return Series(times, tuple(base + height * (1 - cos(2 * pi * (t / HOUR_S - 4) / 24)) for t in times))


def _sawtooth(base: float, peak: float) -> Series:
    """Four hours of 30-minute ramps from base to peak, each followed by a fall in one step."""
    times = tuple(minute * MINUTE_S for minute in range(4 * 60))
    return Series(times, tuple(base + (peak - base) * (t / MINUTE_S % 30) / 29 for t in times))


SHAPES: dict[str, Callable[[float, float], Series]] = {
    "spike": _spike,
    "day": _day,
    "step": _step,
    "sawtooth": _sawtooth,
}


def shape(name: str, base: float, peak: float) -> Series:
    """The shape ``name`` between ``base`` and ``peak`` (requests/s), starting at second 0.

    Raises:
        KeyError: for a name that is not in ``SHAPES``.
    """
    return SHAPES[name](base, peak)
