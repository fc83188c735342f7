"""Counters: plain integers that the hot path adds to, and the frozen form in which they are read."""

from bisect import bisect_left
from typing import Final

import msgspec

LATENCY_BUCKETS_S: Final = (1e-4, 2.5e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


READS: Final = {
    "near_hits": "near_hit",
    "redis_hits": "redis_hit",
    "stale": "stale",
    "misses": "miss",
    "bypasses": "bypass",
}
"""The counters of reads, and what metrics call each outcome."""


class Latency:
    """How long something took: a histogram over `LATENCY_BUCKETS_S` (the last bucket is everything above)."""

    __slots__ = ("buckets", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, elapsed_s: float) -> None:
        self.buckets[bisect_left(LATENCY_BUCKETS_S, elapsed_s)] += 1
        self.sum_s += elapsed_s

    def read(self) -> "LatencyStats":
        return LatencyStats(sum(self.buckets), self.sum_s, tuple(self.buckets))


class Counters(msgspec.Struct, eq=False):
    """What happened to the keys of one strategy in this process. Near hits have no latency: no clock is read twice."""

    near_hits: int = 0
    redis_hits: int = 0
    stale: int = 0
    misses: int = 0
    bypasses: int = 0
    loads: int = 0
    load_errors: int = 0
    unstored: int = 0
    corrupt: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    redis_latency: Latency = msgspec.field(default_factory=Latency)
    load_latency: Latency = msgspec.field(default_factory=Latency)

    def read(self) -> "StrategyStats":
        counted = msgspec.structs.asdict(self)
        latencies = {"redis_latency": self.redis_latency.read(), "load_latency": self.load_latency.read()}
        return StrategyStats(**(counted | latencies))


class LatencyStats(msgspec.Struct, frozen=True):
    """A histogram: `buckets[i]` counts what took at most `LATENCY_BUCKETS_S[i]`, the last one everything above."""

    count: int
    sum_s: float
    buckets: tuple[int, ...]


class StrategyStats(msgspec.Struct, frozen=True):
    """The counters of one strategy (`""`: keys given as text).

    A read ends as exactly one of near hit, Redis hit, stale, miss or bypass (Redis away, or the cache disabled).
    `unstored` counts loaded values that were not stored, because they were invalidated meanwhile or Redis refused.
    """

    near_hits: int
    redis_hits: int
    stale: int
    misses: int
    bypasses: int
    loads: int
    load_errors: int
    unstored: int
    corrupt: int
    bytes_read: int
    bytes_written: int
    redis_latency: LatencyStats
    load_latency: LatencyStats

    @property
    def hit_ratio(self) -> float:
        """Hits (near, Redis and stale) among all reads; 0 before the first read."""
        hits = self.near_hits + self.redis_hits + self.stale
        reads = hits + self.misses + self.bypasses
        return hits / reads if reads else 0.0


class Events(msgspec.Struct, eq=False):
    """What happened to the connection, counted once per service."""

    connects: int = 0
    connect_failures: int = 0
    losses: int = 0
    timeouts: int = 0
    errors: dict[str, int] = {}

    def error(self, message: str) -> None:
        """Count an error reply by its first word (OOM, READONLY, WRONGPASS, NOPERM, …)."""
        code = message.split(" ", 1)[0]
        self.errors[code] = self.errors.get(code, 0) + 1


class CacheStats(msgspec.Struct, frozen=True):
    """What `CacheService.stats` returns.

    `without` names what the server refuses and what follows from that. `timeout_s` is how long a question may take now;
    it grows with the measured round trip `rtt_s`. `server` is what Redis says about itself (all its clients), None
    if it is unavailable.
    """

    enabled: bool
    connected: bool
    near: bool
    near_reason: str
    near_entries: int
    near_bytes: int
    strategies: dict[str, StrategyStats]
    connects: int
    connect_failures: int
    losses: int
    timeouts: int
    deletions_kept: int
    deletions_sent_late: int
    deletions_waiting: int
    errors: dict[str, int]
    last_error: str
    server: dict[str, int | str] | None
    without: dict[str, str] = {}
    timeout_s: float = 0.0
    rtt_s: float = 0.0
