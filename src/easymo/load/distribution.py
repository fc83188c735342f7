"""Distributions of times: an HdrHistogram with the percentiles that people read."""

from collections import Counter
from collections.abc import Iterable

import msgspec
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

_HIGHEST_US = 3_600_000_000
_SIGNIFICANT_DIGITS = 3


class Distribution(msgspec.Struct, frozen=True):
    """Times of `count` requests in milliseconds, each figure within 0.1 %.

    `histogram` is the HdrHistogram (microseconds, 3 significant digits) in its standard compressed form, so that
    distributions can be added exactly: percentiles cannot be averaged.
    """

    count: int
    p50: float
    p95: float
    p99: float
    p999: float
    max: float
    mean: float
    histogram: str


def distribution(times_ns: Iterable[int]) -> Distribution | None:
    """The distribution of some times in nanoseconds; None when there are none. Negative times count as 0."""
    histogram = _empty()
    for time_us, count in Counter([time_ns // 1000 for time_ns in times_ns]).items():
        histogram.record_value(min(max(time_us, 0), _HIGHEST_US), count)
    return _read(histogram)


def add(parts: Iterable[Distribution | None]) -> Distribution | None:
    """The distribution of all the requests of `parts` together, as exact as if it had been recorded at once."""
    histogram = _empty()
    for part in parts:
        if part is not None:
            histogram.decode_and_add(part.histogram)
    return _read(histogram)


def at_shares(distribution: Distribution, shares: Iterable[float]) -> list[float]:
    """The times (ms) that these shares (0..1) of the requests did not exceed."""
    histogram = HdrHistogram.decode(distribution.histogram)
    return [histogram.get_value_at_percentile(100 * share) / 1000 for share in shares]


def _empty() -> HdrHistogram:
    return HdrHistogram(1, _HIGHEST_US, _SIGNIFICANT_DIGITS)


def _read(histogram: HdrHistogram) -> Distribution | None:
    if not histogram.total_count:
        return None
    at = histogram.get_percentile_to_value_dict([50, 95, 99, 99.9, 100])
    counts = enumerate(histogram.counts[: histogram.counts_len])
    total_us = sum(count * _middle_us(histogram, index) for index, count in counts if count)
    return Distribution(
        count=histogram.total_count,
        p50=at[50] / 1000,
        p95=at[95] / 1000,
        p99=at[99] / 1000,
        p999=at[99.9] / 1000,
        max=at[100] / 1000,
        mean=total_us / histogram.total_count / 1000,
        histogram=histogram.encode().decode(),
    )


def _middle_us(histogram: HdrHistogram, index: int) -> float:
    lowest: int = histogram.get_value_from_index(index)
    highest: int = histogram.get_highest_equivalent_value(lowest)
    return (lowest + highest) / 2
