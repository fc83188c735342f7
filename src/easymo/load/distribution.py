"""Distributions of times: an HdrHistogram with the percentiles that people read."""

from collections.abc import Iterable

import msgspec

from easymo.load.histogram import Histogram


class Distribution(msgspec.Struct, frozen=True):
    """Times of `count` requests in milliseconds, each figure within 0.1 %.

    `histogram` is the HdrHistogram (microseconds, 3 significant digits) in its standard compressed form, so that
    distributions can be added exactly: percentiles cannot be averaged. `p90` is None in results of earlier versions.
    """

    count: int
    p50: float
    p95: float
    p99: float
    p999: float
    max: float
    mean: float
    histogram: str
    p90: float | None = None


def distribution(times_ns: Iterable[int]) -> Distribution | None:
    """The distribution of some times in nanoseconds; None when there are none. Negative times count as 0."""
    histogram = Histogram()
    histogram.record(time_ns // 1000 for time_ns in times_ns)
    return read(histogram)


def add(parts: Iterable[Distribution | None]) -> Distribution | None:
    """The distribution of all the requests of `parts` together, as exact as if it had been recorded at once."""
    histogram = Histogram()
    for part in parts:
        if part is not None:
            histogram.add(part.histogram)
    return read(histogram)


def at_shares(distribution: Distribution, shares: Iterable[float]) -> list[float]:
    """The times (ms) that these shares (0..1) of the requests did not exceed."""
    histogram = Histogram()
    histogram.add(distribution.histogram)
    return [value / 1000 for value in histogram.at(shares)]


def read(histogram: Histogram) -> Distribution | None:
    """The distribution of the times (µs) in a histogram; None when there are none."""
    if not histogram.total:
        return None
    p50, p90, p95, p99, p999, longest = (value / 1000 for value in histogram.at((0.5, 0.9, 0.95, 0.99, 0.999, 1)))
    return Distribution(
        count=histogram.total,
        p50=p50,
        p95=p95,
        p99=p99,
        p999=p999,
        max=longest,
        mean=histogram.mean() / 1000,
        histogram=histogram.encode(),
        p90=p90,
    )
