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
from easymo.cache.connection import Connection
from easymo.cache.counters import CacheStats, Counters, Events
from easymo.cache.envelope import Foreign, pack
from easymo.cache.errors import (
    CacheError,
    CacheNotOpen,
    LateAnswer,
    LoaderTimeout,
    Refused,
    StrategyError,
    Unavailable,
    UnstorableValue,
)
from easymo.cache.flight import Flight, Flights, Loaded, Outcome
from easymo.cache.immutable import is_immutable
from easymo.cache.key import escape_glob
from easymo.cache.lease import Job, Leases
from easymo.cache.memory import MemoryStore
from easymo.cache.near import Entry, Near
from easymo.cache.null import NullStore
from easymo.cache.refresh import Refreshes
from easymo.cache.store import Found, Listener, Outdated, Store
from easymo.cache.strategy import Duration, Key, Strategy, Ttl, seconds
from easymo.cache.tags import Tags

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
        self._timeout_s = BUDGET * seconds(timeout)
        self._default_ttl_s = seconds(default_ttl)
        self._names = Names(namespace)
        self._events = Events()
        self._plain = Strategy("", key="{key}")
        plain_counters = Counters()
        self._strategies: dict[str, tuple[Strategy, Counters]] = {"": (self._plain, plain_counters)}
        self._near = Near(near_bytes)
        self._entries = self._near.entries
        self._flights = Flights()
        refreshing = Flights()
        self._coherence = Coherence(self._names, self._near, (self._flights, refreshing), plain_counters)
        self._store: Store = store_for(url, self._coherence, self._events, self._timeout_s)
        self._coherence.store = self._store
        tags = self._tags = Tags(self._names, self._near, self._store)
        self._leases = Leases(self._store, tags, self._timeout_s, self._away)
        self._refreshes = Refreshes(self._leases, refreshing)
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
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
        await self._flights.close()
        await self._refreshes.close()
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
        return await self._get(self._key(key), default, type, None)

    async def get_many(self, keys: Iterable[str | Key], *, type: Any = Any) -> dict[str, Any]:
        """The values that are there, by the text of their key. The reads leave together."""
        wanted = [self._key(key) for key in keys]
        asked = [None if key.key in self._entries else self._ask(key) for key in wanted]
        values = [await self._get(key, MISSING, type, read) for key, read in zip(wanted, asked, strict=True)]
        return {key.key: value for key, value in zip(wanted, values, strict=True) if value is not MISSING}

    async def set(self, key: str | Key, value: Any, ttl: Ttl | None = None) -> None:
        """Store a value. A load of the key that is under way will not overwrite it. `ttl=0` only removes the old one.

        Raises ValueError for a ttl below zero and UnstorableValue for what JSON cannot carry.
        """
        job = self._job(self._key(key), _no_loader, ttl)
        stored, _ = self._leases.prepare(job, value, {}, 0.0)
        if stored is None:
            await self._delete((job.name,))
            return
        if not self._enabled:
            return
        self._coherence.changed((job.name,))
        try:
            stored = stored._replace(tags=await self._tags.before_load(job.key.tags))
            await self._store.put(job.name, pack(stored), stored.stale_until_ms)
        except Unavailable as error:
            self._away(error)
            self._store.kept.keep((job.name,))

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
        return await self._fetch_decoded(job, type)

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
            entry = self._leases.prepare(job, await load(), {}, 0.0)[1]
            return CachedBytes.of(Loaded(entry, "BYPASS"))
        return CachedBytes.of(await self._fetch(job))

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
        except Unavailable as error:
            self._away(error)
            self._events.deletions_kept += 1
            self._store.kept.patterns.add(full)
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
            self._away(error)
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
            deletions_kept=events.deletions_kept,
            deletions_sent_late=events.deletions_sent_late,
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

    def _away(self, error: Unavailable) -> None:
        if isinstance(error, Refused):
            self._events.error(error.code)
        elif isinstance(error, LateAnswer):
            self._events.timeouts += 1

    def _ask(self, key: Key) -> Awaitable[Found] | None:
        try:
            return self._store.get(self._names.of_key(key.key)) if self._enabled else None
        except Unavailable:
            return None

    async def _get(self, key: Key, default: Any, type_: Any, asked: Awaitable[Found] | None) -> Any:
        counters = self._counters(key.strategy)
        if not self._enabled:
            counters.bypasses += 1
            return default
        try:
            found, near = await self._find(key, counters, asked)
        except Unavailable as error:
            self._away(error)
            counters.bypasses += 1
            return default
        if isinstance(found, Entry) and monotonic() < found.fresh_until:
            try:
                value = self._decode(key, found, type_)
            except msgspec.DecodeError:
                counters.corrupt += 1
            else:
                self._count_hit(found, near, counters)
                return value
        counters.misses += 1
        return default

    async def _find(self, key: Key, counters: Counters, asked: Awaitable[Found] | None = None) -> tuple[Found, bool]:
        """What there is for a key, and whether it was here. An entry may be stale."""
        entry = self._entries.get(key.key)
        if entry is not None and monotonic() < entry.stale_until:
            return entry, True
        started = monotonic()
        found = await self._read(self._names.of_key(key.key), asked)
        counters.redis_latency.add(monotonic() - started)
        if isinstance(found, Entry):
            found.counters = counters
            counters.bytes_read += len(found.payload)
            if monotonic() >= found.stale_until:
                return None, False
        elif isinstance(found, Foreign):
            counters.corrupt += 1
        return found, False

    async def _read(self, name: str, asked: Awaitable[Found] | None = None) -> Found:
        try:
            found = await (asked if asked is not None else self._store.get(name))
            if isinstance(found, Foreign) and not found.prefix:
                await self._store.delete((name,))  # it has no bytes by which to replace it
            if not isinstance(found, Entry) or found.proven:
                return found
            if not await self._tags.prove(found):
                return Outdated(found.prefix)
            if not self._store.tracks:
                found.proven = True
                return found
            # Its tags are tracked from here on, so that this answer, or the next one, may be kept in the process.
            again = await self._store.get(name)
            if isinstance(again, Entry) and not again.proven:
                return again if await self._tags.prove(again) else Outdated(again.prefix)
            return again
        except Refused as error:
            if error.code != "WRONGTYPE":
                raise
            await self._store.delete((name,))
            return Foreign(b"")

    def _count_hit(self, entry: Entry, near: bool, counters: Counters) -> None:
        if monotonic() >= entry.fresh_until:
            counters.stale += 1
        elif near:
            counters.near_hits += 1
        else:
            counters.redis_hits += 1

    def _decode(self, key: Key, entry: Entry, type_: Any) -> Any:
        entry.visited = True
        if entry.type is type_:
            return entry.value
        decoder = self._decoders.get(type_)
        if decoder is None:
            decoder = self._decoders[type_] = msgspec.json.Decoder(type_)
        value = decoder.decode(entry.payload)
        if is_immutable(type_, value):
            self._near.keep_decoded(key.key, entry, type_, value)
        return value

    async def _fetch_decoded(self, job: Job, type_: Any) -> Any:
        loaded = await self._fetch(job)
        for attempt in range(2):
            try:
                return self._decode(job.key, loaded.entry, type_)
            except msgspec.DecodeError as error:
                if loaded.outcome != "HIT":
                    raise UnstorableValue(job.key.key, f"it does not fit type={type_!r} ({error})") from error
            # Another release of the program may store another form under this key: load ours, at most twice.
            job.counters.corrupt += 1
            self._near.drop(job.key.key)
            if attempt == 0:
                loaded = await self._fetch(job, loaded.entry.prefix)
            else:
                loaded = await self._join(self._alone(job), job)
        return self._decode(job.key, loaded.entry, type_)

    async def _fetch(self, job: Job, unusable: bytes = b"") -> Loaded:
        """A usable value from anywhere; what is stored as `unusable` is loaded anew."""
        deadline = monotonic() + self._timeout_s
        text = job.key.key
        flight = self._flights.get(text)
        if flight is None:
            seen, reachable = unusable, True
            try:
                if not unusable:
                    found, near = await self._find(job.key, job.counters)
                    if isinstance(found, Entry):
                        return await self._serve(job, found, near)
                    if isinstance(found, Foreign | Outdated):
                        seen = found.prefix
            except Unavailable as error:
                self._away(error)
                reachable = False
            flight = self._flights.get(text)
            if flight is None:
                flight = self._take_off(job, seen, deadline) if reachable else self._alone(job)
        if flight.succeeded() and flight.result.result().outcome != "BYPASS":
            job.counters.near_hits += 1  # it is loaded and on its way to Redis
            return Loaded(flight.result.result().entry, "HIT")
        loaded = await self._join(flight, job)
        if loaded.outcome == "MISS":
            job.counters.misses += 1
        elif loaded.outcome == "BYPASS":
            job.counters.bypasses += 1
        else:
            job.counters.redis_hits += 1
        return loaded

    async def _serve(self, job: Job, entry: Entry, near: bool) -> Loaded:
        """A value that is there: at once, but loaded again in the background when it is old."""
        now = monotonic()
        if now >= entry.refresh_at:
            refresh = self._refreshes.start(self._flight(job), job, self._names.lease + job.key.key, entry.prefix)
            patience_s = seconds(job.key.strategy.soft_timeout)
            if refresh is not None and patience_s > 0 and now >= entry.fresh_until:
                await asyncio.wait((refresh.result,), timeout=patience_s)
                if refresh.succeeded():
                    job.counters.misses += 1
                    return refresh.result.result()
        self._count_hit(entry, near, job.counters)
        return Loaded(entry, "HIT")

    def _take_off(self, job: Job, seen: bytes, deadline: float) -> Flight:
        flight = self._flight(job)
        self._flights.start(job.key.key, flight, self._leases.fly(flight, job, seen, deadline))
        return flight

    def _alone(self, job: Job) -> Flight:
        flight = self._flight(job)
        self._flights.start(job.key.key, flight, self._leases.fly_alone(flight, job))
        return flight

    def _flight(self, job: Job) -> Flight:
        return Flight((job.name, *self._names.of_tags(job.key.tags)))

    async def _join(self, flight: Flight, job: Job) -> Loaded:
        hard_timeout = job.key.strategy.hard_timeout
        hard_s = None if hard_timeout is None else seconds(hard_timeout)
        try:
            return await flight.join(hard_s)
        except TimeoutError:
            if hard_s is None or flight.result.done():
                raise
            raise LoaderTimeout(job.key.key, hard_s) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if flight.result.cancelled() and task is not None and not task.cancelling():
                raise CacheNotOpen from None  # it was closed while this caller waited
            raise

    async def _delete(self, names: Iterable[str]) -> int:
        names = tuple(names)
        self._coherence.changed(names)
        if not names:
            return 0
        try:
            return await self._store.delete(names)
        except Unavailable as error:
            self._away(error)
            return 0


async def _no_loader() -> None:
    """`set` has a value already."""


def store_for(url: str, listener: Listener, events: Events, timeout_s: float) -> Store:
    """The store that a URL asks for. Raises ValueError for an unknown scheme."""
    scheme = url.partition("://")[0]
    if scheme in ("redis", "unix"):
        return Connection(url, listener, events, timeout_s)
    if scheme == "null":
        return NullStore(listener)
    if scheme == "memory":
        return MemoryStore(listener)
    if scheme in ("rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"):
        from easymo.cache.redispy import RedisPyStore

        return RedisPyStore(url, listener, events, timeout_s)
    raise ValueError(
        f"The cache URL has scheme {scheme!r}; use redis:// or unix:// (one server), rediss://, redis+sentinel:// or "
        "redis+cluster:// (through redis-py), or memory:// (tests)."
    )
