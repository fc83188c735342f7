"""Statistics of paired rounds: pure, no I/O.

The unit is the round, never the request: requests of one round share its moment, so pooling them would count the
same noise many times. Two arms are compared by the log ratio of a metric within each pair of neighbouring rounds.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from statistics import fmean, stdev, variance

from msgspec import Struct

#: Fewest blocks of two neighbouring values that an interval is made of.
FEWEST_BLOCKS = 4


class Estimate(Struct, frozen=True):
    """A value with its interval; ``lo == -inf`` or ``hi == inf`` where an interval is open."""

    value: float
    lo: float
    hi: float


def t_cdf(t: float, degrees: int) -> float:
    """P(T <= t) of Student's t with a whole number of degrees of freedom (Abramowitz & Stegun 26.7.3, 26.7.4)."""
    theta = math.atan(abs(t) / math.sqrt(degrees))
    cos, sin = math.cos(theta), math.sin(theta)
    term, total = 1.0, 1.0
    first = 2 if degrees % 2 == 0 else 3
    for k in range(first, degrees - 1, 2):
        term *= cos * cos * (k - 1) / k
        total += term
    odd = 2 / math.pi * (theta + (sin * cos * total if degrees > 1 else 0.0))
    inside = sin * total if degrees % 2 == 0 else odd
    return 0.5 + math.copysign(inside / 2, t)


@lru_cache(maxsize=256)
def t_quantile(confidence: float, degrees: int) -> float:
    """The t for which the central ``confidence`` (0..1) of the distribution lies within ±t."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        if 2 * t_cdf(middle, degrees) - 1 < confidence:
            low = middle
        else:
            high = middle
    return high


def log_ratios(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """Log of after/before, pair by pair; both must be positive and of one length."""
    return [math.log(b / a) for a, b in zip(before, after, strict=True)]


def interval_of_mean(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean of ``values`` with its t-interval; needs two values at least.

    Neighbours need not be independent: a slow minute of the machine lasts for several rounds. So where there are
    :data:`FEWEST_BLOCKS` blocks of neighbours (ABBA), an interval over these is made too, and the wider one counts.
    """
    mean = fmean(values)
    half = max(t_quantile(confidence, degrees) * error for error, degrees in _standard_errors(values))
    return Estimate(mean, mean - half, mean + half)


def _standard_errors(values: Sequence[float]) -> list[tuple[float, int]]:
    """Standard error of the mean with its degrees of freedom: over the values, and over blocks of two neighbours."""
    count = len(values)
    found = [(stdev(values) / math.sqrt(count), count - 1)]
    blocks = count // 2
    if blocks >= FEWEST_BLOCKS:
        starts = [*range(0, 2 * blocks, 2), count]  # the last block has three where the count is odd
        means = [fmean(values[first:last]) for first, last in pairwise(starts)]
        found.append((stdev(means) / math.sqrt(blocks), blocks - 1))
    return found


def relative_change(before: Sequence[float], after: Sequence[float], confidence: float = 0.95) -> Estimate:
    """``after / before - 1`` over pairs: exp of the mean log ratio, with the t-interval of the log ratios."""
    log = interval_of_mean(log_ratios(before, after), confidence)
    return Estimate(math.expm1(log.value), math.expm1(log.lo), math.expm1(log.hi))


def geometric_level(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Geometric mean of positive ``values`` with the t-interval of their logs."""
    log = interval_of_mean([math.log(v) for v in values], confidence)
    return Estimate(math.exp(log.value), math.exp(log.lo), math.exp(log.hi))


def p_against(values: Sequence[float], reference: float) -> float:
    """Two-sided p of the t-test that the mean of ``values`` is ``reference``; below 0.05 exactly when the 95 %
    interval excludes it."""
    distance = abs(fmean(values) - reference)
    return max(_p_at(distance, error, degrees) for error, degrees in _standard_errors(values))


def _p_at(distance: float, error: float, degrees: int) -> float:
    if error == 0:
        return 0.0 if distance else 1.0
    return 2 * (1 - t_cdf(distance / error, degrees))


def unpaired_change(before: Sequence[float], after: Sequence[float], confidence: float = 0.95) -> Estimate:
    """``after / before - 1`` of two sets of positive values that nothing pairs: Welch's t-interval of the logs."""
    difference, error, degrees = _welch(before, after)
    half = t_quantile(confidence, degrees) * error
    return Estimate(math.expm1(difference), math.expm1(difference - half), math.expm1(difference + half))


def unpaired_p(before: Sequence[float], after: Sequence[float], change: float) -> float:
    """Two-sided p of Welch's t-test that ``after / before - 1`` is ``change``."""
    difference, error, degrees = _welch(before, after)
    distance = abs(difference - math.log1p(change))
    if error == 0:
        return 0.0 if distance else 1.0
    return 2 * (1 - t_cdf(distance / error, degrees))


def _welch(before: Sequence[float], after: Sequence[float]) -> tuple[float, float, int]:
    """Difference of the mean logs, its standard error, and Satterthwaite's degrees of freedom, rounded down."""
    logs = [[math.log(value) for value in side] for side in (before, after)]
    parts = [variance(side) / len(side) for side in logs]
    weights = sum(part**2 / (len(side) - 1) for part, side in zip(parts, logs, strict=True))
    degrees = int(sum(parts) ** 2 / weights) if weights else min(map(len, logs)) - 1
    return fmean(logs[1]) - fmean(logs[0]), math.sqrt(sum(parts)), degrees


def sign_flip_p(values: Sequence[float]) -> float:
    """Exact two-sided p that ``values`` are symmetric about 0: the share of all sign patterns whose mean is at least
    as far from 0. Its smallest value is 2 / 2**n.

    The patterns of either half are added up once and sorted, so twenty pairs take as long as two times 2**10 sums."""
    middle = len(values) // 2
    first, second = _signed_sums(values[:middle]), sorted(_signed_sums(values[middle:]))
    observed = abs(sum(values)) - 1e-12 * sum(map(abs, values))
    hits = sum(
        len(second) - bisect_left(second, observed - one) + bisect_right(second, -observed - one) for one in first
    )
    return min(hits / float(len(first) * len(second)), 1.0)


def _signed_sums(values: Sequence[float]) -> list[float]:
    sums = [0.0]
    for value in values:
        sums = [total + signed for total in sums for signed in (value, -value)]
    return sums


def holm(p_values: Sequence[float], quantities: Sequence[str] | None = None) -> list[float]:
    """Holm's step-down adjustment (Holm 1979): adjusted p-values in the given order.

    ``quantities`` says what each test is about. Two tests of one quantity against different limits cannot both be
    wrongly rejected where the quantity equals the limit, so each quantity counts once (Shaffer 1986)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    named = [str(index) for index in range(len(p_values))] if quantities is None else quantities
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        left = len({named[other] for other in order[rank:]})
        running = max(running, min(1.0, left * p_values[index]))
        adjusted[index] = running
    return adjusted
