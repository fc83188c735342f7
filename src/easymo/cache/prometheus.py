"""The cache's counters as Prometheus metrics. Needs prometheus-client, which the cache itself does not.

For example:

    prometheus_client.REGISTRY.register(CacheCollector(cache))
"""

from collections.abc import Iterator, Mapping

from easymo.cache.counters import LATENCY_BUCKETS_S, READS, CacheStats, LatencyStats
from easymo.cache.errors import needs

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
    from prometheus_client.registry import Collector
except ModuleNotFoundError as error:
    raise needs(__name__, "prometheus-client") from error

from easymo.cache.service import CacheService

_PER_STRATEGY = {
    "loads": "Loader runs.",
    "load_errors": "Loader runs that raised.",
    "unstored": "Loaded values that were not stored: invalidated meanwhile, or Redis refused.",
    "corrupt": "Entries that could not be read: foreign, damaged, or of another shape.",
    "bytes_read": "Bytes of values read from Redis.",
    "bytes_written": "Bytes of values written to Redis.",
}
_EVENTS = {
    "connects": "Connections made.",
    "connect_failures": "Attempts to connect that failed.",
    "losses": "Connections lost.",
    "timeouts": "Calls for which Redis was too slow.",
    "deletions_kept": "Deletions that could not be sent at once.",
    "deletions_sent_late": "Keys, tags and patterns that were deleted late.",
}
_GAUGES = {
    "connected": "1 while Redis answers.",
    "enabled": "1 while the cache is switched on.",
    "near_entries": "Values in the near cache.",
    "near_bytes": "Estimated size of the near cache.",
    "deletions_waiting": "Deletions that Redis has not confirmed yet.",
}


class CacheCollector(Collector):
    """Reads the counters when Prometheus asks; the cache does no extra work for it.

    `labels` are put on every series, such as the name of the service.
    """

    def __init__(self, cache: CacheService, labels: Mapping[str, str] | None = None) -> None:
        self._cache = cache
        self._labels = dict(labels or {})

    def collect(self) -> Iterator[Metric]:
        for family in self._families():
            family.samples = [sample._replace(labels=self._labels | sample.labels) for sample in family.samples]
            yield family

    def _families(self) -> Iterator[Metric]:
        stats = self._cache.local_stats()
        reads = CounterMetricFamily(
            "easymo_cache_reads", "Reads by strategy and outcome.", labels=["strategy", "outcome"]
        )
        for strategy, counted in stats.strategies.items():
            for field, outcome in READS.items():
                reads.add_metric([strategy, outcome], getattr(counted, field))
        yield reads
        for field, text in _PER_STRATEGY.items():
            family = CounterMetricFamily(f"easymo_cache_{field}", text, labels=["strategy"])
            for strategy, counted in stats.strategies.items():
                family.add_metric([strategy], getattr(counted, field))
            yield family
        yield _histogram("redis", "How long a read that Redis answered took.", stats)
        yield _histogram("load", "How long loaders took.", stats)
        for field, text in _EVENTS.items():
            yield CounterMetricFamily(f"easymo_cache_{field}", text, value=getattr(stats, field))
        for field, text in _GAUGES.items():
            yield GaugeMetricFamily(f"easymo_cache_{field}", text, value=float(getattr(stats, field)))
        errors = CounterMetricFamily("easymo_cache_redis_errors", "Error replies by their first word.", labels=["code"])
        for code, count in stats.errors.items():
            errors.add_metric([code], count)
        yield errors


def _histogram(what: str, text: str, stats: CacheStats) -> HistogramMetricFamily:
    family = HistogramMetricFamily(f"easymo_cache_{what}_seconds", text, labels=["strategy"])
    for strategy, counted in stats.strategies.items():
        latency: LatencyStats = getattr(counted, f"{what}_latency")
        total, buckets = 0, []
        for bound, count in zip([*map(str, LATENCY_BUCKETS_S), "+Inf"], latency.buckets, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric([strategy], buckets=buckets, sum_value=latency.sum_s)
    return family
