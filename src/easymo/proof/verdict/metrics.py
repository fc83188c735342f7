"""What can be promised: every metric once, with its unit, how it is judged and how a round tells it."""

import re
from typing import Literal

from msgspec import Struct

#: What a verdict on the metric is made of: pairs of rounds, searches for a capacity, counted errors, one measurement.
How = Literal["pairs", "capacity", "errors", "once"]
#: A percentile needs this many requests beyond it, or it is the time of a handful of requests.
BEYOND = 10


class Metric(Struct, frozen=True):
    """`name` as promises write it, `says` as tables do. `share`: of requests that a percentile leaves below itself.

    `request`: the one kind of request that it is about. `rate_rps`: the offered rate it is about.
    """

    name: str
    unit: str
    how: How
    says: str
    share: float | None = None
    request: str | None = None
    rate_rps: float | None = None

    @property
    def least_requests(self) -> int:
        """Requests below which a percentile means nothing."""
        return 0 if self.share is None else round(BEYOND / (1 - self.share))


METRICS = {
    metric.name: metric
    for metric in (
        Metric("latency_p50", "ms", "pairs", "P50", 0.50),
        Metric("latency_p95", "ms", "pairs", "P95", 0.95),
        Metric("latency_p99", "ms", "pairs", "P99", 0.99),
        Metric("capacity_rps", "requests/s", "capacity", "capacity"),
        Metric("error_ratio", "ratio", "errors", "errors"),
        Metric("db_statements_per_request", "statements/request", "pairs", "statements per request"),
        Metric("cpu_ratio", "cores", "pairs", "CPU"),
        Metric("rss_bytes", "bytes", "pairs", "memory"),
        Metric("db_connections", "connections", "pairs", "database connections"),
        Metric("apply_s", "s", "once", "seconds to apply"),
        Metric("take_back_s", "s", "once", "seconds to take back"),
        Metric("cache_hit_ratio", "ratio", "once", "cache hits"),
    )
}
_NAMED = re.compile(r"(latency_p\d\d):(.+)|(error_ratio)@(\d+)")
WRITTEN = ", ".join(METRICS) + "; latency_pNN:NAME of one request, error_ratio@RATE at one rate"


def find(name: str) -> Metric | None:
    """The metric that a promise names, with its request or rate; None when there is none."""
    parts = _NAMED.fullmatch(name)
    if parts is None:
        return METRICS.get(name)
    plain = METRICS.get(parts[1] or parts[3])
    if plain is None:
        return None
    rate = float(parts[4]) if parts[4] else None
    says = f"{plain.says} of {parts[2]}" if parts[2] else f"{plain.says} at {parts[4]}/s"
    return Metric(name, plain.unit, plain.how, says, plain.share, parts[2], rate)


def metric(name: str) -> Metric:
    """The metric of that name, which exists."""
    found = find(name)
    assert found is not None, name
    return found
