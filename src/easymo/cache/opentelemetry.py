"""The cache's counters as OpenTelemetry metrics, and a span for each load. Needs opentelemetry-api.

instrument(cache)
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from easymo.cache.errors import needs

try:
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, Observation
except ModuleNotFoundError as error:
    raise needs(__name__, "opentelemetry-api") from error

from easymo.cache.counters import READS, CacheStats
from easymo.cache.service import CacheService
from easymo.cache.sync import Cache

_COUNTERS: Final = ("loads", "load_errors", "unstored", "corrupt", "bytes_read", "bytes_written")


def instrument(
    cache: CacheService | Cache,
    *,
    meter_provider: metrics.MeterProvider | None = None,
    tracer_provider: trace.TracerProvider | None = None,
) -> None:
    """Report on `cache` from now on. Counters are read when the exporter asks; a span is made per load, not per hit."""
    service = cache if isinstance(cache, CacheService) else cache._service
    meter = metrics.get_meter("easymo.cache", meter_provider=meter_provider)
    tracer = trace.get_tracer("easymo.cache", tracer_provider=tracer_provider)

    def per_strategy(field: str, **attributes: str) -> Iterable[Observation]:
        for name, counted in service.local_stats().strategies.items():
            yield Observation(getattr(counted, field), {"strategy": name, **attributes})

    def reads(_: CallbackOptions) -> Iterable[Observation]:
        for field, outcome in READS.items():
            yield from per_strategy(field, outcome=outcome)

    def gauge(read: Callable[[CacheStats], float]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: [Observation(read(service.local_stats()))]

    meter.create_observable_counter("easymo.cache.reads", [reads])
    for field in _COUNTERS:
        callback = lambda _, field=field: per_strategy(field)  # noqa: E731
        meter.create_observable_counter(f"easymo.cache.{field}", [callback])
    meter.create_observable_gauge("easymo.cache.connected", [gauge(lambda stats: stats.connected)])
    meter.create_observable_gauge("easymo.cache.near.bytes", [gauge(lambda stats: stats.near_bytes)])
    meter.create_observable_gauge("easymo.cache.deletions.waiting", [gauge(lambda stats: stats.deletions_waiting)])

    async def traced(strategy: str, load: Callable[[], Awaitable[Any]]) -> Any:
        with tracer.start_as_current_span("easymo.cache.load", attributes={"easymo.cache.strategy": strategy}):
            return await load()

    service.around_loads = traced
