"""Opening and closing a cache, in whichever event loop, and what belongs to it while it is open."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from ssl import SSLContext
from types import TracebackType
from typing import Any, Final, Self

from easymo.cache.coherence import Coherence, Names
from easymo.cache.connection import Credentials
from easymo.cache.counters import CacheStats, Counters, Events
from easymo.cache.errors import CacheError, CacheNotOpen, StrategyError, Unavailable
from easymo.cache.flight import Flights
from easymo.cache.lease import Job
from easymo.cache.lookup import Lookup
from easymo.cache.near import Near
from easymo.cache.null import NullStore
from easymo.cache.store import Store
from easymo.cache.stores import store_for
from easymo.cache.strategy import Duration, Key, Strategy, Ttl, seconds
from easymo.cache.values import Encode, Values

Loader = Callable[[], Awaitable[Any]]
AroundLoads = Callable[[str, Loader], Awaitable[Any]]
"""Gets the name of a strategy and a loader, and awaits the loader: for tracing."""

DEFAULT_NAMESPACE: Final = "easymo"
DEFAULT_NEAR_BYTES: Final = 64 * 1024 * 1024


class Opening:
    """The part of `CacheService` that is not about values."""

    def __init__(
        self,
        url: str,
        *,
        default_ttl: Duration = 300,
        namespace: str = DEFAULT_NAMESPACE,
        near_bytes: int = DEFAULT_NEAR_BYTES,
        timeout: Duration = 0.05,
        encoders: Mapping[type, Encode | tuple[Encode, Encode]] | None = None,
        compress_from: int | None = None,
        credentials: Credentials | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self._default_ttl_s = seconds(default_ttl)
        self._names = Names(namespace)
        self._events = Events()
        self._plain = Strategy("", key="{key}")
        self._plain_counters = Counters()
        self._strategies: dict[str, tuple[Strategy, Counters]] = {"": (self._plain, self._plain_counters)}
        self._values = Values(encoders or {})
        self._enabled = True
        self._warned: set[str] = set()
        self._url, self._near_bytes, self._compress_from = url, near_bytes, compress_from
        self._store_options = seconds(timeout), credentials, tls
        self._opened_in: tuple[asyncio.AbstractEventLoop, int] | None = None
        self._opens = 0
        self.around_loads: AroundLoads | None = None
        self._build()

    def _build(self) -> None:
        """Everything that belongs to one event loop."""
        self._near = Near(self._near_bytes)
        self._near.accepting = self._enabled
        flights = Flights(), Flights()
        self._coherence = Coherence(self._names, self._near, flights, self._plain_counters)
        self._store: Store = store_for(self._url, self._coherence, self._events, *self._store_options)
        self._coherence.store = self._store
        self._lookup = Lookup(
            self._names, self._near, self._store, flights, self._events, self._values, self._compress_from
        )

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """A service at REDIS_URL (default redis://localhost:6379). With REDIS_ENABLED=false it never connects."""
        enabled = os.environ.get("REDIS_ENABLED", "true").strip().lower()
        if enabled not in ("true", "1", "yes", "on", "false", "0", "no", "off"):
            raise ValueError(f"REDIS_ENABLED is {enabled!r}; write true or false.")
        if enabled in ("false", "0", "no", "off"):
            service = cls("null://", **options)
            service.disable()
            return service
        return cls(os.environ.get("REDIS_URL") or "redis://localhost:6379", **options)

    async def __aenter__(self) -> Self:
        here = asyncio.get_running_loop(), os.getpid()
        if self._opens and self._opened_in is not None and self._opened_in != here:
            loop, process = self._opened_in
            if process == here[1] and loop.is_running():
                raise CacheError(
                    "The cache is open in another event loop, which is running: give each thread a CacheService of its "
                    "own, or share one by easymo.cache.sync."
                )
            self._opens = 0  # that loop has ended without closing it
        self._opens += 1
        if self._opens == 1:
            if self._opened_in is not None:
                kept = self._store.kept
                self._build()
                self._store.kept = kept
            self._opened_in = here
            self._lookup.open = True
            await self._store.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened_in is None or self._opened_in[0] is not asyncio.get_running_loop():
            return
        self._opens -= 1
        if not self._opens:
            await self._lookup.close()
            await self._store.close()
            self._near.clear()

    def disable(self) -> None:
        """From now on read and store nothing: loaders run for every call. Deletions still go out."""
        self._enabled = False
        self._near.accepting = False
        self._near.clear()

    def enable(self) -> None:
        """The opposite of `disable`. Raises CacheError when REDIS_ENABLED=false was set at the start."""
        if isinstance(self._store, NullStore):
            raise CacheError(
                "The cache was started without a server (REDIS_ENABLED=false): set it to true and restart."
            )
        self._enabled = self._near.accepting = True

    async def stats(self) -> CacheStats:
        """Counters of this process, and Redis' own figures apart."""
        server: dict[str, int | str] | None = None
        try:
            server = await self._store.figures()
        except Unavailable as error:
            self._lookup.unavailable(error)
        return self.local_stats(server)

    def local_stats(self, server: dict[str, int | str] | None = None) -> CacheStats:
        """The part of `stats` that asks nobody."""
        near = self._enabled and self._store.tracks and self._near.limit_bytes > 0
        reason = self._store.why_not_tracking
        if not near and not reason:
            reason = "near_bytes is 0" if self._enabled else "the cache is disabled"
        store, events = self._store, self._events
        return CacheStats(
            enabled=self._enabled,
            connected=store.connected,
            near=near,
            near_reason=reason,
            near_entries=len(self._near.entries),
            near_bytes=self._near.bytes,
            strategies={name: counters.read() for name, (_, counters) in self._strategies.items()},
            connects=events.connects,
            connect_failures=events.connect_failures,
            losses=events.losses,
            timeouts=events.timeouts,
            deletions_kept=store.kept.times_kept,
            deletions_sent_late=store.kept.sent_late,
            deletions_waiting=len(store.kept),
            errors=dict(events.errors),
            last_error=store.last_error,
            server=server,
            without=dict(store.without),
            timeout_s=store.timeout_s,
            rtt_s=store.rtt_s,
        )

    def _check_open(self) -> None:
        if not self._opens or self._opened_in is None or self._opened_in[0] is not asyncio.get_running_loop():
            raise CacheNotOpen

    def _key(self, key: object) -> Key:
        self._check_open()
        if isinstance(key, Key):
            return key
        if isinstance(key, str):
            return Key(str(key), self._plain)
        called = " Call the strategy with its fields first." if isinstance(key, Strategy) else ""
        raise StrategyError(f"A cache key is a text or what a Strategy returns, not {key!r}.{called}")

    def _keys(self, keys: Iterable[Any]) -> list[tuple[Key, Any]]:
        if isinstance(keys, str | Key):
            raise StrategyError(f"Pass a list of keys, not the one key {keys!r}.")
        return [(self._key(key), key) for key in keys]

    def _job(self, key: Key, load: Loader, ttl: Ttl | None, background_safe: bool = False) -> Job:
        if ttl is None:
            ttl = key.strategy.ttl if key.strategy.ttl is not None else self._default_ttl_s
        around = self.around_loads
        traced = load if around is None else lambda: around(key.strategy.name, load)
        return Job(key, self._names.data + key.key, traced, self._counters(key.strategy), ttl, background_safe)

    def _off(self, job: Job, value: Any, type_: Any) -> Any:
        """What the cache would give for a loaded value, without it."""
        return self._lookup.loaded(job, self._lookup.leases.prepare(job, value, {}, 0.0)[1], type_)

    def _counters(self, strategy: Strategy) -> Counters:
        known = self._strategies.get(strategy.name)
        if known is None:
            for other, _ in self._strategies.values():
                if other is not self._plain and other.shares_keys_with(strategy):
                    raise StrategyError(
                        f"Strategies {other.name!r} ({other.key}) and {strategy.name!r} ({strategy.key}) make the same "
                        "keys, so one would read the other's values. Give one of them another prefix."
                    )
            known = self._strategies[strategy.name] = (strategy, Counters())
        elif known[0] is not strategy and known[0] != strategy:
            raise StrategyError(f"Two different strategies are named {strategy.name!r}; rename one of them.")
        return known[1]
