"""Does a series grow? The Theil–Sen slope with its interval, which a few wild values do not move."""

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import fmean, median

import msgspec

BLOCKS = 30
TOLERANCE = 0.02
"""Growth over the whole run, as a share of the level, below which nobody would call it growth."""

_Z = 1.959964  # 95 %, two-sided


class Trend(msgspec.Struct, frozen=True):
    """``per_hour`` and its 95 % interval, in the series' unit; ``level`` is its median."""

    level: float
    per_hour: float
    low: float
    high: float
    grows: bool


def trend(points: Sequence[tuple[float, float]]) -> Trend:
    """The trend of (seconds, value) points, at least three; neighbours are averaged into at most thirty first.

    The interval is Sen's (1968), by the normal approximation of Kendall's statistic. A series grows when the whole
    interval lies above nought and even its lower end makes more than :data:`TOLERANCE` over the run.
    """
    blocks = _blocks(points)
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(blocks, 2))
    n = len(blocks)
    half_width = _Z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = slopes[max(0, math.floor((len(slopes) - half_width) / 2))]
    high = slopes[min(len(slopes) - 1, math.ceil((len(slopes) + half_width) / 2))]
    level = median(value for _, value in blocks)
    run_s = blocks[-1][0] - blocks[0][0]
    grows = low > 0 and low * run_s > TOLERANCE * abs(level)
    return Trend(level, median(slopes) * 3600, low * 3600, high * 3600, grows)


def _blocks(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    count = min(BLOCKS, len(points))
    edges = [round(i * len(points) / count) for i in range(count + 1)]
    parts = [points[begin:end] for begin, end in pairwise(edges)]
    return [(fmean(at for at, _ in part), fmean(value for _, value in part)) for part in parts]
