"""From rounds to estimates: what a metric came to on two sides, and how far chance reaches. Pure."""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean

from msgspec import Struct

from easymo.load.distribution import Distribution
from easymo.load.histogram import Histogram
from easymo.proof.verdict import statistics
from easymo.proof.verdict.measurement import Measurements, Phase, Round
from easymo.proof.verdict.metrics import Metric
from easymo.proof.verdict.statistics import Line, Student

#: A trend needs so many pairs, and a slope as unlikely as this by chance.
TREND_PAIRS, TREND_P = 6, 0.08
#: A difference that shrinks must hold when its line goes on until so many times the comparison's length.
GOING_ON = 3
#: Exact sign-flip p-values are enumerated for at most so many pairs.
MOST_FLIPPED = 24
_Pairs = Sequence[tuple[Round, Round]]


class Paired(Struct, frozen=True):
    """A metric on two sides: levels, log ratio and log level after with their spread, and what the units were.

    `logs` are the log ratios pair by pair where every round has its own value, else empty.
    """

    before: float
    after: float
    change: Student
    level: Student
    said: str
    logs: list[float] = []


def paired(pairs: _Pairs, metric: Metric) -> Paired | None:
    """The metric over pairs of rounds; None where it cannot be had of them."""
    if len(pairs) < 2:
        return None
    sides = [[pair[side].value(metric) for pair in pairs] for side in (0, 1)]
    known = [[value for value in side if value is not None] for side in sides]
    if all(len(side) == len(pairs) for side in known):
        return _by_round(known[0], known[1])
    return _together(pairs, metric) if metric.share is not None else None


def _by_round(first: list[float], second: list[float]) -> Paired:
    logs = statistics.log_ratios(first, second)
    of_before, of_after = (statistics.of_mean([math.log(v) for v in side]) for side in (first, second))
    said = f"{len(logs)} pairs"
    return Paired(math.exp(of_before.mean), math.exp(of_after.mean), statistics.of_mean(logs), of_after, said, logs)


def _together(pairs: _Pairs, metric: Metric) -> Paired | None:
    """A percentile of all rounds together, its spread from leaving out one pair after the other."""
    assert metric.share is not None
    counts = [[_counts(pair[side].latency_of(metric.request)) for pair in pairs] for side in (0, 1)]
    totals = [_sum(side) for side in counts]
    numbers = [sum(total.values()) for total in totals]
    if min(numbers) < metric.least_requests:
        return None
    whole = [_percentile(total, metric.share) for total in totals]
    without = [
        [_percentile(total, metric.share, left) for left in side] for total, side in zip(totals, counts, strict=True)
    ]
    if min(*whole, *without[0], *without[1]) <= 0:
        return None
    logs = [[math.log(value) for value in side] for side in without]
    change = statistics.of_jackknife(math.log(whole[1] / whole[0]), [b - a for a, b in zip(*logs, strict=True)])
    level = statistics.of_jackknife(math.log(whole[1]), logs[1])
    said = f"{len(pairs)} pairs, {numbers[0]:,} and {numbers[1]:,} requests together"
    return Paired(whole[0], whole[1], change, level, said)


def why_not(metric: Metric, pairs: _Pairs) -> str:
    """Why :func:`paired` found nothing, and what would help."""
    if len(pairs) < 2:
        return "fewer than two complete pairs of rounds"
    if metric.share is None:
        return f"{metric.name} could not be measured on this server"
    totals = [sum(pair[side].timed(metric) for pair in pairs) for side in (0, 1)]
    if metric.request and not any(pair[side].requests(metric.request) for pair in pairs for side in (0, 1)):
        return f"the scenario has no request named {metric.request!r}"
    fewest, least = min(totals), metric.least_requests
    if not fewest:
        return "a side answered none of these requests without an error"
    rate = math.ceil(1.1 * pairs[0][0].rate_rps * least / fewest)
    return (
        f"{fewest:,} requests on a side, and a {metric.says.split(' ')[0]} needs {least:,}: "
        f"at least {rate:,} requests/s for as long, or {least / fewest:.1f} × the pairs"
    )


def in_groups(rounds: Sequence[Round], metric: Metric) -> list[float]:
    """A percentile of each group of neighbouring rounds that holds enough requests for it; empty for other metrics."""
    values: list[float] = []
    group: list[dict[int, int]] = []
    for round_ in rounds if metric.share is not None else ():
        group.append(_counts(round_.latency_of(metric.request)))
        total = _sum(group)
        if sum(total.values()) >= metric.least_requests:
            values.append(_percentile(total, metric.share or 0.0))
            group = []
    return values


def change_between(
    measured: Measurements, before: str, after: str, metric: Metric, phase: Phase = "compare"
) -> list[float] | None:
    """`[change, lo, hi]` of a metric over the common pairs of two sides, promised or not; None without them."""
    found = paired(measured.pairs(before, after, phase), metric)
    if found is None:
        return None
    estimate = found.change.change()
    return [estimate.value, estimate.lo, estimate.hi]


def percentile_at(latency: Sequence[Distribution | None], share: float) -> float | None:
    """The time in ms that this share of all the requests together did not exceed."""
    total = _sum([_counts(one) for one in latency])
    return _percentile(total, share) if total else None


def shrinking(logs: Sequence[float]) -> Line | None:
    """The line through a difference that becomes smaller during the comparison, as while one side warms up."""
    if len(logs) < TREND_PAIRS:
        return None
    line = statistics.trend(logs)
    return line if line.p < TREND_P and line.slope * fmean(logs) < 0 else None


@lru_cache(maxsize=4096)
def _decoded(histogram: str) -> dict[int, int]:
    found = Histogram()
    found.add(histogram)
    return dict(found.values())


def _counts(latency: Distribution | None) -> dict[int, int]:
    """How many requests took how many µs."""
    return {} if latency is None else _decoded(latency.histogram)


def _sum(parts: Sequence[dict[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for part in parts:
        for value, count in part.items():
            total[value] = total.get(value, 0) + count
    return dict(sorted(total.items()))


def _percentile(total: dict[int, int], share: float, left_out: dict[int, int] | None = None) -> float:
    """In ms; 0 when nothing is left."""
    without = left_out or {}
    wanted = math.ceil((sum(total.values()) - sum(without.values())) * share)
    passed = 0
    for value, count in total.items():
        passed += count - without.get(value, 0)
        if passed >= wanted > 0:
            return value / 1000
    return 0.0
