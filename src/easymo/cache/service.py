"""CacheService: what a program calls."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

import msgspec

from easymo.cache import commit
from easymo.cache.coherence import Coherence, Names
from easymo.cache.counters import CacheStats, Counters, Events
from easymo.cache.errors import (
    CacheError,
    CacheNotOpen,
    LateAnswer,
    StrategyError,
    Unavailable,
)
from easymo.cache.flight import Flights, Loaded, Outcome
from easymo.cache.key import escape_glob
from easymo.cache.lease import Job
from easymo.cache.lookup import Lookup
from easymo.cache.near import Entry, Near
from easymo.cache.null import NullStore
from easymo.cache.store import Store
from easymo.cache.stored_form import pack
from easymo.cache.stores import store_for
from easymo.cache.strategy import Duration, Key, Strategy, Ttl, seconds

T = TypeVar("T")
D = TypeVar("D")
Loader = Callable[[], Awaitable[Any]]

DEFAULT_NAMESPACE: Final = "easymo"
BUDGET: Final = 0.9
"""The part of `timeout` that waiting takes; the rest is for everything else a call does."""
DEFAULT_NEAR_BYTES: Final = 64 * 1024 * 1024


class _Missing:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()
"""Pass as `default` to tell an absent value from a cached None."""


class CachedBytes(bytes):
    """The JSON of a value, as it is, and where it came from: `outcome` is HIT (a stale value too), MISS or BYPASS.

    `max_age_s` is what is left of the ttl in whole seconds, 0 for a stale value or one that could not be stored.
    `version` is different for every load: an ETag.
    """

    outcome: Outcome
    max_age_s: int
    version: str

    @classmethod
    def of(cls, loaded: Loaded) -> "CachedBytes":
        self = cls(loaded.entry.payload)
        self.outcome = loaded.outcome
        self.max_age_s = 0 if loaded.outcome == "BYPASS" else max(0, int(loaded.entry.fresh_until - monotonic()))
        self.version = loaded.entry.prefix[-8:].hex()
        return self


class CacheService:
    """A cache in two levels: this process and Redis.

    `url` is redis:// or unix:// for one server (the fast path); rediss://, redis+sentinel:// and redis+cluster:// go
    through redis-py without the near cache; memory:// is for tests. `default_ttl` (seconds or a timedelta) holds
    where neither the call nor the strategy says. Every key in Redis begins with `namespace`. `near_bytes` bounds the
    near cache, 0 turns it off. `timeout` is the most that Redis may cost one call; a slower Redis counts as away.

    Use it inside `async with cache:`. When Redis is away, every method goes on without it, callers get what their
    loader returns, and the event is counted (see `stats`); no method raises because of Redis. Keys are texts or what a
    `Strategy` returns.
    """

    def __init__(
        self,
        url: str,
        *,
        default_ttl: Duration = 300,
        namespace: str = DEFAULT_NAMESPACE,
        near_bytes: int = DEFAULT_NEAR_BYTES,
        timeout: Duration = 0.05,
    ) -> None:
        self._default_ttl_s = seconds(default_ttl)
        self._names = Names(namespace)
        self._events = Events()
        self._plain = Strategy("", key="{key}")
        self._plain_counters = Counters()
        self._strategies: dict[str, tuple[Strategy, Counters]] = {"": (self._plain, self._plain_counters)}
        self._near = Near(near_bytes)
        self._entries = self._near.entries
        flights = Flights(), Flights()
        self._coherence = Coherence(self._names, self._near, flights, self._plain_counters)
        timeout_s = self._timeout_s = BUDGET * seconds(timeout)
        self._store: Store = store_for(url, self._coherence, self._events, timeout_s)
        self._coherence.store = self._store
        self._lookup = Lookup(self._names, self._near, self._store, flights, self._events, timeout_s)
        self._enabled = True
        self._open = False

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
        await self._store.open()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        await self._lookup.close()
        await self._store.close()
        self._near.clear()

    @overload
    async def get(self, key: str | Key, default: Any = None) -> Any: ...
    @overload
    async def get(self, key: str | Key, default: None = None, *, type: type[T]) -> T | None: ...
    @overload
    async def get(self, key: str | Key, default: D, *, type: type[T]) -> T | D: ...
    async def get(self, key: str | Key, default: Any = None, *, type: Any = Any) -> Any:
        """The cached value, decoded as `type`, or `default`. Never a stale one."""
        entry = self._entries.get(key if key.__class__ is str else key.key)  # type: ignore[union-attr]
        if entry is not None and entry.type is type and monotonic() < entry.fresh_until:
            entry.visited = True
            entry.counters.near_hits += 1
            return entry.value
        if isinstance(key, str):
            text, counters = key, self._plain_counters
        else:
            text, counters = key.key, self._counters(key.strategy)
        if not self._open:
            raise CacheNotOpen
        if not self._enabled:
            counters.bypasses += 1
            return default
        try:
            found, near = await self._lookup.find(text, counters)
        except Unavailable as error:
            self._lookup.away(error)
            counters.bypasses += 1
            return default
        if isinstance(found, Entry) and monotonic() < found.fresh_until:
            try:
                value = self._lookup.decode(text, found, type)
            except msgspec.DecodeError:
                counters.corrupt += 1
            else:
                if near:
                    counters.near_hits += 1
                else:
                    counters.redis_hits += 1
                return value
        counters.misses += 1
        return default

    async def get_many(self, keys: Iterable[str | Key], *, type: Any = Any) -> dict[str, Any]:
        """The values that are there, by the text of their key. The reads leave together."""
        wanted = [self._key(key) for key in keys]
        values = await asyncio.gather(*[self.get(key, MISSING, type=type) for key in wanted])
        return {key.key: value for key, value in zip(wanted, values, strict=True) if value is not MISSING}

    async def set(self, key: str | Key, value: Any, ttl: Ttl | None = None) -> None:
        """Store a value. A load of the key that is under way will not overwrite it. `ttl=0` only removes the old one.

        Raises ValueError for a ttl below zero and UnstorableValue for what JSON cannot carry.
        """
        job = self._job(self._key(key), _no_loader, ttl)
        stored, _ = self._lookup.leases.prepare(job, value, {}, 0.0)
        if stored is None:
            await self._delete((job.name,))
            return
        if not self._enabled:
            return
        self._coherence.changed((job.name,))
        try:
            async with asyncio.timeout(self._timeout_s):
                tags = await self._lookup.tags.before_load(job.key.tags)
                await self._store.put(job.name, pack(msgspec.structs.replace(stored, tags=tags)), stored.stale_until_ms)
        except (Unavailable, TimeoutError, asyncio.CancelledError) as error:
            # Whether Redis has the new value is not known, so the old one must not be served any more.
            self._store.keep((job.name,))
            self._swallow(error)

    async def set_many(self, values: Mapping[str | Key, Any], ttl: Ttl | None = None) -> None:
        """Store several values; the writes leave together."""
        await asyncio.gather(*[self.set(key, value, ttl) for key, value in values.items()])

    @overload
    async def get_or_set(self, key: str | Key, loader: Loader, *, ttl: Ttl | None = None) -> Any: ...
    @overload
    async def get_or_set(self, key: str | Key, loader: Loader, *, ttl: Ttl | None = None, type: type[T]) -> T: ...
    async def get_or_set(self, key: str | Key, loader: Loader, *, ttl: Ttl | None = None, type: Any = Any) -> Any:
        """The cached value, or what `loader` returns, stored for the next caller.

        Of all callers in all processes one loads. Nobody waits for a value that is about to expire or is stale: it is
        served while one caller loads it again. What the loader raises reaches everybody who waits, and is not cached.
        """
        entry = self._entries.get(key if key.__class__ is str else key.key)  # type: ignore[union-attr]
        if entry is not None and entry.type is type and monotonic() < entry.refresh_at:
            entry.visited = True
            entry.counters.near_hits += 1
            return entry.value
        if not self._enabled:
            self._counters(self._key(key).strategy).bypasses += 1
            return await loader()
        job = self._job(self._key(key), loader, ttl)
        return await self._lookup.value(job, type)

    async def get_or_set_bytes(self, key: str | Key, loader: Loader, *, ttl: Ttl | None = None) -> CachedBytes:
        """Like `get_or_set`, but the JSON as it is stored, with its `outcome` and `max_age_s`: for responses.

        A loader that returns bytes returns the JSON itself, for example what the database made.
        """

        async def load() -> Any:
            value = await loader()
            return msgspec.Raw(value) if isinstance(value, bytes) else value

        job = self._job(self._key(key), load, ttl)
        if not self._enabled:
            job.counters.bypasses += 1
            entry = self._lookup.leases.prepare(job, await load(), {}, 0.0)[1]
            return CachedBytes.of(Loaded(entry, "BYPASS"))
        return CachedBytes.of(await self._lookup.fetch(job))

    async def delete(self, *keys: str | Key) -> int:
        """Delete keys in every process; how many Redis had. Loads that began before are not stored.

        When Redis is away the deletion is kept and sent before anything else once it is back.
        """
        return await self._delete([self._names.of_key(key if isinstance(key, str) else key.key) for key in keys])

    async def invalidate_tag(self, *tags: str) -> None:
        """Invalidate every value that carries one of these tags, in one step, however many there are."""
        await self._delete(self._names.of_tags(tags))

    async def invalidate_pattern(self, pattern: str) -> int:
        """Delete the keys of this namespace that match a glob (``voice_call:*``); how many there were.

        It walks through all keys of the server in batches (SCAN, UNLINK), so prefer a tag for what happens often.
        `*`, `?`, `[…]` and `\\` are special; `Strategy.pattern` and `escape_glob` escape them in values.
        """
        full = escape_glob(self._names.data) + pattern
        self._coherence.changed(None)
        deleted = 0
        try:
            async for names in self._store.scan(full):
                deleted += await self._store.delete(names)
        except (Unavailable, TimeoutError, asyncio.CancelledError) as error:
            self._store.keep(patterns=(full,))
            self._swallow(error)
        return deleted

    def after_commit(self, connection: Any) -> AbstractAsyncContextManager[commit.Later]:
        """Open a transaction; what is deleted through `later` goes out only once it has committed.

            async with cache.after_commit(connection) as later:
                await connection.execute("UPDATE …")
                later.delete(CacheStrategies.user(user_id))

        `connection` is an asyncpg connection or a SQLAlchemy 2 AsyncSession. Raises AfterCommitError inside an open
        transaction, whose outcome this block could not know.
        """
        return commit.after_commit(self, connection)

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
            self._lookup.away(error)
        return self.local_stats(server)

    def local_stats(self, server: dict[str, int | str] | None = None) -> CacheStats:
        """The part of `stats` that asks nobody."""
        near = self._enabled and self._store.tracks and self._near.limit_bytes > 0
        events, reason = self._events, self._store.why_not_tracking
        if not near and not reason:
            reason = "near_bytes is 0" if self._enabled else "the cache is disabled"
        return CacheStats(
            enabled=self._enabled,
            connected=self._store.connected,
            near=near,
            near_reason=reason,
            near_entries=len(self._near.entries),
            near_bytes=self._near.bytes,
            strategies={name: counters.read() for name, (_, counters) in self._strategies.items()},
            connects=events.connects,
            connect_failures=events.connect_failures,
            losses=events.losses,
            timeouts=events.timeouts,
            deletions_kept=self._store.kept.times_kept,
            deletions_sent_late=self._store.kept.sent_late,
            deletions_waiting=len(self._store.kept),
            errors=dict(events.errors),
            last_error=self._store.last_error,
            server=server,
        )

    def _key(self, key: str | Key) -> Key:
        if not self._open:
            raise CacheNotOpen
        return Key(key, self._plain) if isinstance(key, str) else key

    def _job(self, key: Key, load: Loader, ttl: Ttl | None) -> Job:
        if ttl is None:
            ttl = key.strategy.ttl if key.strategy.ttl is not None else self._default_ttl_s
        return Job(key, self._names.of_key(key.key), load, self._counters(key.strategy), ttl)

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

    def _swallow(self, error: BaseException) -> None:
        """Count a failure of Redis; raise what is none."""
        if isinstance(error, TimeoutError):
            self._lookup.away(LateAnswer("no answer in time"))
        elif isinstance(error, Unavailable):
            self._lookup.away(error)
        else:
            raise error

    async def _delete(self, names: Iterable[str]) -> int:
        names = tuple(names)
        self._coherence.changed(names)
        if not names:
            return 0
        try:
            return await self._store.delete(names)
        except Unavailable as error:
            self._lookup.away(error)
            return 0


async def _no_loader() -> None:
    """`set` has a value already."""
