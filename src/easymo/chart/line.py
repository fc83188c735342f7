"""What a chart draws."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

Look = Literal["demand", "capacity", "other"]
"""What a line means, which decides its colour and dashes: demand is filled, capacity is drawn over it."""


class Line(Struct, frozen=True):
    """Steps of one quantity: ``values[i]`` holds from ``times_s[i]`` until the next time."""

    name: str
    look: Look
    times_s: Sequence[float]
    values: Sequence[float]


def columns(line: Line, start_s: float, end_s: float, count: int) -> list[tuple[float, float]]:
    """Lowest and highest value in each of ``count`` equal stretches of time, so that no short peak is lost."""
    width = (end_s - start_s) / count
    found: list[tuple[float, float]] = []
    index = 0
    held = line.values[0]
    for column in range(count):
        until = start_s + (column + 1) * width
        low = high = held
        while index < len(line.times_s) and line.times_s[index] < until - 1e-9:
            held = line.values[index]
            if line.times_s[index] <= start_s + column * width:
                low = high = held  # what held before ended with the column before
            low, high = min(low, held), max(high, held)
            index += 1
        found.append((low, high))
    return found


def clock(seconds: float) -> str:
    """Seconds since the start, short: ``90 s``, ``15 min``, ``6 h``."""
    if seconds < 120:
        return f"{seconds:g} s"
    if seconds < 7200:
        return f"{seconds / 60:g} min"
    return f"{seconds / 3600:g} h"


def tidy_step(span: float, steps: int, allowed: Sequence[float] = (1, 2, 5)) -> float:
    """A round step that divides ``span`` into at most ``steps`` parts."""
    size = 1e-6
    while True:
        for factor in allowed:
            if factor * size * steps >= span:
                return factor * size
        size *= 10
