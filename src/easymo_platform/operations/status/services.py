"""What the services say about themselves: two readings of /metrics and the figures between them."""

import asyncio
import math
from collections.abc import Callable, Mapping

import httpx
import msgspec
from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT_S = 5.0
_PROBES = ("/health", "/metrics")
_MODEL = "/respond"  # waits for a language model, which has its own time
_ANSWERED = ("near_hit", "redis_hit", "stale")

Labels = Mapping[str, str]
Which = Callable[[Labels], bool]


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process. What was not asked for in the time looked at is None: no requests, no percentile.

    The pool's figures are the lower of the two readings, and Redis is `down` if it was at both: a moment is no problem.
    """

    service: str
    url: str
    unreachable_because: str = ""
    release: str = ""
    requests: int = 0
    requests_rps: float = 0.0
    p95_ms: float | None = None
    p99_ms: float | None = None
    error_ratio: float | None = None
    reads: int = 0
    hit_ratio: float | None = None
    pool_in_use: int = 0
    pool_size: int = 0
    pool_waiting: int = 0
    memory_ratio: float | None = None
    redis: str = "off"
    """ok, down, or off (REDIS_ENABLED=false)."""


class Queues(msgspec.Struct, frozen=True):
    """What waits, as whatsapp-webhook and video-orchestrator saw it in the last seconds; None: nobody could say."""

    messages_to_answer: int | None
    messages_to_send: int | None
    oldest_message_s: float | None
    dead_letters: int | None
    handoffs: int | None
    events: int | None
    renders_waiting: int | None
    oldest_render_s: float | None


class Page:
    """The samples of one /metrics."""

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[tuple[Labels, float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, sample.value))

    def of(self, name: str, which: Which = lambda _: True) -> list[tuple[Labels, float]]:
        """The samples of that name whose labels are wanted."""
        return [sample for sample in self._samples.get(name, ()) if which(sample[0])]

    def total(self, name: str, which: Which = lambda _: True) -> float:
        """Their sum; 0 without any."""
        return sum(value for _, value in self.of(name, which))

    def value(self, name: str, which: Which = lambda _: True) -> float | None:
        """The first one, or None."""
        return next((value for _, value in self.of(name, which)), None)


Readings = Mapping[str, Page | str]


async def read_pages(client: httpx.AsyncClient, urls: Mapping[str, str]) -> dict[str, Page | str]:
    """The page of every service, or in its place the reason why there is none."""
    return dict(zip(urls, await asyncio.gather(*(_read(client, url) for url in urls.values())), strict=True))


async def _read(client: httpx.AsyncClient, url: str) -> Page | str:
    try:
        response = await client.get(f"{url}/metrics", timeout=_TIMEOUT_S)
        response.raise_for_status()
        return Page(response.text)
    except httpx.TimeoutException:
        return f"no answer within {_TIMEOUT_S:g} s"
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    except ValueError as error:
        return f"its /metrics cannot be read: {error}"


def service_status(service: str, url: str, before: Page | str, after: Page | str, seconds: float) -> ServiceStatus:
    """The figures between two pages of one process."""
    if isinstance(after, str):
        return ServiceStatus(service=service, url=url, unreachable_because=after)
    # A process that was replaced meanwhile, or could not be read at first, has counted from 0: nothing is subtracted.
    started = "process_start_time_seconds"
    if isinstance(before, str) or before.value(started) != after.value(started):
        before = Page("")
    requests = _grown(before, after, "http_requests_total", _is_traffic)
    failed = _grown(before, after, "http_requests_total", lambda labels: _is_traffic(labels) and _has_failed(labels))
    reads = _grown(before, after, "easymo_cache_reads_total", _is_read)
    hits = _grown(before, after, "easymo_cache_reads_total", lambda labels: _is_read(labels) and _is_hit(labels))
    buckets = _buckets(before, after)
    (info,) = after.of("service_info") or [({}, 0.0)]
    return ServiceStatus(
        service=service,
        url=url,
        release=info[0].get("release", ""),
        requests=round(requests),
        requests_rps=round(requests / seconds, 2),
        p95_ms=quantile_ms(buckets, 0.95),
        p99_ms=quantile_ms(buckets, 0.99),
        error_ratio=failed / requests if requests else None,
        reads=round(reads),
        hit_ratio=hits / reads if reads else None,
        pool_in_use=_at_both(before, after, "db_pool_in_use"),
        pool_size=round(after.total("db_pool_size")),
        pool_waiting=_at_both(before, after, "db_pool_waiting"),
        memory_ratio=_memory_ratio(after),
        redis=_redis(before, after),
    )


def queues(pages: Readings) -> Queues:
    """The queues' gauges, wherever they are told."""
    found = [page for page in pages.values() if isinstance(page, Page)]

    def highest(name: str, queue: str | None = None) -> float | None:
        values = (page.value(name, lambda labels: labels.get("queue") == queue) for page in found)
        return max((value for value in values if value is not None), default=None)

    def count(name: str, queue: str | None = None) -> int | None:
        value = highest(name, queue)
        return None if value is None else round(value)

    return Queues(
        messages_to_answer=count("webhook_queue_depth", "inbound"),
        messages_to_send=count("webhook_queue_depth", "outbound"),
        oldest_message_s=highest("webhook_queue_age_seconds"),
        dead_letters=count("webhook_queue_depth", "dead_letters"),
        handoffs=count("webhook_queue_depth", "handoffs"),
        events=count("webhook_queue_depth", "events"),
        renders_waiting=count("render_queue_depth"),
        oldest_render_s=highest("render_queue_age_seconds"),
    )


def quantile_ms(buckets: Mapping[float, float], quantile: float) -> float | None:
    """A percentile from cumulative buckets (upper bound in seconds: count), as Prometheus' histogram_quantile has it.

    Linear within a bucket; beyond the last bound that bound.
    """
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    rank = quantile * buckets[bounds[-1]]
    lower, below = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return round(lower * 1000, 1)
            within = (rank - below) / (buckets[bound] - below)
            return round((lower + (bound - lower) * within) * 1000, 1)
        lower, below = bound, buckets[bound]
    raise AssertionError("the last bucket holds every request")


def _buckets(before: Page, after: Page) -> dict[float, float]:
    name = "http_request_duration_seconds_bucket"
    grown: dict[float, float] = {}
    for sign, page in ((1, after), (-1, before)):
        for labels, value in page.of(name, lambda labels: _is_traffic(labels) and labels["route"] != _MODEL):
            bound = float(labels["le"])
            grown[bound] = grown.get(bound, 0.0) + sign * value
    return grown


def _grown(before: Page, after: Page, name: str, which: Which) -> float:
    return max(0.0, after.total(name, which) - before.total(name, which))


def _is_traffic(labels: Labels) -> bool:
    return not labels["route"].startswith(_PROBES)


def _has_failed(labels: Labels) -> bool:
    return labels["status_code"].startswith("5")


def _is_read(labels: Labels) -> bool:
    return labels["outcome"] != "bypass" and labels["strategy"] != "health_check"


def _is_hit(labels: Labels) -> bool:
    return labels["outcome"] in _ANSWERED


def _memory_ratio(page: Page) -> float | None:
    held, limit = page.value("process_resident_memory_bytes"), page.value("process_memory_limit_bytes")
    return held / limit if held and limit else None


def _at_both(before: Page, after: Page, name: str) -> int:
    return round(min(before.total(name), after.total(name)))


def _redis(before: Page, after: Page) -> str:
    if not after.value("easymo_cache_enabled"):
        return "off"
    return "ok" if any(page.value("easymo_cache_connected") for page in (before, after)) else "down"
