"""A quantity over time, as steps."""

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct


class Span(NamedTuple):
    """A stretch of time with one value; seconds."""

    start_s: float
    end_s: float
    value: float


class Series(Struct, frozen=True):
    """``values[i]`` holds from ``times_s[i]`` until the next time, and the last one until ``until_s``.

    Times are Unix seconds (or seconds from any other start) and ascend strictly. Without ``until_s`` the last value
    holds as long as the one before it did, so there must be two.
    """

    times_s: tuple[float, ...]
    values: tuple[float, ...]
    until_s: float | None = None
    note: str = ""
    """What was made of its times when it was read, where that needs to be said."""

    @property
    def start_s(self) -> float:
        """When the first value begins."""
        return self.times_s[0]

    @property
    def end_s(self) -> float:
        """When the last value ends."""
        return 2 * self.times_s[-1] - self.times_s[-2] if self.until_s is None else self.until_s

    def at(self, time_s: float) -> float:
        """The value that holds at ``time_s``; before the first time, the first value."""
        return self.values[max(bisect_right(self.times_s, time_s) - 1, 0)]

    def cut(self, start_s: float, end_s: float) -> "Series":
        """The part from ``start_s`` to ``end_s``, which lies within the series."""
        inside = [(t, v) for t, v in zip(self.times_s, self.values, strict=True) if start_s < t < end_s]
        times, values = zip((start_s, self.at(start_s)), *inside, strict=True)
        return Series(times, values, end_s)

    def spans(self) -> Iterator[Span]:
        """Every value with the stretch in which it holds."""
        ends = (*self.times_s[1:], self.end_s)
        return map(Span, self.times_s, ends, self.values)
