"""Statistics of paired rounds: pure, no I/O.

The theory, in the order in which the functions below use it:

1. The unit is the round, never the request: requests of one round share its moment, so pooling them would count the
   same noise many times. Two sides are compared by the log ratio of a metric within each pair of neighbouring rounds.
2. Which side of a pair plays first is drawn by lot. Without a difference between the sides every log ratio is then as
   likely to have either sign, whatever the machine does in the meantime (Fisher 1935), and log ratios of different
   pairs are uncorrelated. So Student's t over pairs needs no correction for drift or for a period of the machine.
3. A percentile with fewer than ten requests beyond it in a round is read from the histograms of all rounds together.
   Its spread comes from leaving out one pair after the other: the delete-a-group jackknife (Shao & Wu 1989), again with
   Student's t, degrees of freedom one less than the pairs.
4. Counts of errors have exact binomial bounds (Clopper & Pearson 1934). Errors come in bursts, so the counts are
   divided by their dispersion over the seconds of the rounds where that is above 1 (McCullagh & Nelder 1989, §4.5).
5. Several promises are tested together by Holm's step-down procedure (1979), with weights where one of them matters
   more.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean, stdev, variance

from msgspec import Struct

#: Logs beyond this have no exponential in floating point.
_LARGEST = 700.0


class Estimate(Struct, frozen=True):
    """A value with its interval; `lo == -inf` or `hi == inf` where an interval is open."""

    value: float
    lo: float
    hi: float


class Student(Struct, frozen=True):
    """A mean of logs with its standard error and degrees of freedom."""

    mean: float
    error: float
    degrees: int

    def interval(self, confidence: float = 0.95) -> Estimate:
        """Mean and interval, as logs."""
        half = t_quantile(confidence, self.degrees) * self.error
        return Estimate(self.mean, self.mean - half, self.mean + half)

    def change(self, confidence: float = 0.95) -> Estimate:
        """Of log ratios: `after / before - 1`."""
        log = self.interval(confidence)
        return Estimate(*(math.expm1(min(end, _LARGEST)) for end in (log.value, log.lo, log.hi)))

    def level(self, confidence: float = 0.95) -> Estimate:
        """Of logs of a level: the level."""
        log = self.interval(confidence)
        return Estimate(*(math.exp(min(end, _LARGEST)) for end in (log.value, log.lo, log.hi)))

    def p(self, reference: float) -> float:
        """Two-sided p of the mean being `reference`; below 0.05 exactly when the 95 % interval excludes it."""
        distance = abs(self.mean - reference)
        if self.error == 0:
            return 0.0 if distance else 1.0
        return 2 * (1 - t_cdf(distance / self.error, self.degrees))


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


@lru_cache(maxsize=1024)
def t_quantile(confidence: float, degrees: int) -> float:
    """The t for which the central `confidence` (0..1) of the distribution lies within ±t."""
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        if 2 * t_cdf(middle, degrees) - 1 < confidence:
            low = middle
        else:
            high = middle
    return high


def log_ratios(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """Log of after/before, pair by pair; both must be positive and of one length."""
    return [math.log(b / a) for a, b in zip(before, after, strict=True)]


def of_mean(values: Sequence[float]) -> Student:
    """Mean of two `values` at least."""
    return Student(fmean(values), stdev(values) / math.sqrt(len(values)), len(values) - 1)


def of_jackknife(whole: float, without: Sequence[float]) -> Student:
    """An estimate on everything, its spread from the same estimate `without` one group after the other."""
    groups, middle = len(without), fmean(without)
    spread = (groups - 1) / groups * sum((one - middle) ** 2 for one in without)
    return Student(whole, math.sqrt(spread), groups - 1)


def of_unpaired(before: Sequence[float], after: Sequence[float]) -> Student:
    """Log ratio of two sets of positive values that nothing pairs: Welch, Satterthwaite's degrees rounded down."""
    logs = [[math.log(value) for value in side] for side in (before, after)]
    parts = [variance(side) / len(side) for side in logs]
    weights = sum(part**2 / (len(side) - 1) for part, side in zip(parts, logs, strict=True))
    degrees = int(sum(parts) ** 2 / weights) if weights else min(map(len, logs)) - 1
    return Student(fmean(logs[1]) - fmean(logs[0]), math.sqrt(sum(parts)), degrees)


def relative_change(before: Sequence[float], after: Sequence[float], confidence: float = 0.95) -> Estimate:
    """`after / before - 1` over pairs: exp of the mean log ratio, with the t-interval of the log ratios."""
    return of_mean(log_ratios(before, after)).change(confidence)


class Line(Struct, frozen=True):
    """A straight line through values in their order: where it begins, its slope, two-sided p of that being 0."""

    first: float
    slope: float
    p: float

    def at(self, place: float) -> float:
        """The line's value at the place of a value."""
        return self.first + self.slope * place


def trend(values: Sequence[float]) -> Line:
    """Least squares through at least four values."""
    count = len(values)
    places = range(count)
    middle, mean = (count - 1) / 2, fmean(values)
    square = sum((x - middle) ** 2 for x in places)
    slope = sum((x - middle) * y for x, y in zip(places, values, strict=True)) / square
    rest = sum((y - mean - slope * (x - middle)) ** 2 for x, y in zip(places, values, strict=True)) / (count - 2)
    tilt = Student(slope, math.sqrt(rest / square), count - 2)
    return Line(mean - slope * middle, slope, tilt.p(0.0))


def sign_flip_p(values: Sequence[float]) -> float:
    """Exact two-sided p that `values` are symmetric about 0: the share of all sign patterns whose mean is at least
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


def holm(
    p_values: Sequence[float], quantities: Sequence[str] | None = None, weights: Sequence[float] | None = None
) -> list[float]:
    """Holm's step-down adjustment (Holm 1979), weighted where `weights` are given: adjusted p-values in the given
    order.

    `quantities` says what each test is about. Two tests of one quantity against different limits cannot both be
    wrongly rejected where the quantity equals the limit, so each quantity counts once (Shaffer 1986)."""
    named = [str(index) for index in range(len(p_values))] if quantities is None else quantities
    weight = [1.0] * len(p_values) if weights is None else weights
    order = sorted(range(len(p_values)), key=lambda index: p_values[index] / weight[index])
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        left = sum({named[other]: weight[other] for other in order[rank:]}.values())
        running = max(running, min(1.0, left * p_values[index] / weight[index]))
        adjusted[index] = running
    return adjusted


def dispersion(events: Sequence[int], trials: Sequence[int]) -> float:
    """By how much counts vary more between stretches of time than chance alone lets them; 1 at least."""
    known = [(k, n) for k, n in zip(events, trials, strict=True) if n]
    ratio = sum(k for k, _ in known) / max(sum(n for _, n in known), 1)
    if len(known) < 2 or not 0 < ratio < 1:
        return 1.0
    squares = sum((k - n * ratio) ** 2 / (n * ratio * (1 - ratio)) for k, n in known)
    return max(1.0, squares / (len(known) - 1))


def binomial_bounds(events: float, trials: float, confidence: float = 0.95) -> Estimate:
    """Ratio of `events` with exact bounds; both may be fractions (counts divided by their dispersion)."""
    tail = (1 - confidence) / 2
    low = 0.0 if events <= 0 else _beta_quantile(tail, events, trials - events + 1)
    high = 1.0 if events >= trials else _beta_quantile(1 - tail, events + 1, trials - events)
    return Estimate(events / trials, low, high)


def difference(before: Estimate, after: Estimate) -> Estimate:
    """Interval of `after - before` from the interval of each (Newcombe 1998, method 10)."""
    value = after.value - before.value
    down = math.hypot(after.value - after.lo, before.hi - before.value)
    up = math.hypot(after.hi - after.value, before.value - before.lo)
    return Estimate(value, value - down, value + up)


@lru_cache(maxsize=4096)
def _beta_quantile(p: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _beta_cdf(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function by its continued fraction (Abramowitz & Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_cdf(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    fraction, c, d = 1.0, 1.0, 0.0
    for step in range(400):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + term * d or 1e-30)
        c = 1 + term / c or 1e-30
        fraction *= c * d
        if step and abs(c * d - 1) < 1e-12:
            break
    return front * (fraction - 1) / a
