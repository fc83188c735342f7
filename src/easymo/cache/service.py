"""CacheService: what a program calls."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import Any, Final, TypeVar, overload

import msgspec

from easymo.cache import commit, many
from easymo.cache.cached_bytes import CachedBytes
from easymo.cache.errors import CacheWarning, PatternRefused, Refused, StrategyError, Unavailable
from easymo.cache.flight import Loaded
from easymo.cache.key import escape_glob, is_encoded
from easymo.cache.near import Entry
from easymo.cache.opening import Loader, Opening
from easymo.cache.store import Done
from easymo.cache.strategy import Key, Tag, Ttl, meanings

T = TypeVar("T")
D = TypeVar("D")
MAX_WARNED: Final = 1000


class _Missing:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()
"""Pass as `default` to tell an absent value from a cached None."""


class CacheService(Opening):
    """A cache in two levels: this process and Redis.

    `url` is redis://, rediss:// (TLS; valkey:// and valkeys:// mean the same) or unix:// for one server;
    redis+sentinel:// and redis+cluster:// go through redis-py without the near cache; memory:// is for tests, empty
    each time it is opened. `default_ttl` (seconds or a timedelta) holds where neither the call nor the strategy
    says. Every key in Redis begins with `namespace`. `near_bytes` bounds the near cache, 0 turns it off.

    `timeout` is how long a call waits while Redis says nothing; after that Redis counts as unavailable until it
    answers again. It grows with the measured round trip where Redis is far (`stats`).

    `encoders` maps classes to functions that give their JSON form, or to pairs of it and the way back. Values of
    `compress_from` bytes or more are compressed. `credentials` is called for each connection and gives a password
    or a pair of user name and password. `tls` is used in place of the TLS options of the URL.

    Use it inside `async with cache:`; it may be opened again, also in another event loop. When Redis is unavailable,
    every method goes on without it, callers get what their loader returns, and the event is counted (see `stats`);
    only `eval` raises because of Redis. Keys are texts or what a `Strategy` returns.
    """

    @overload
    async def get(self, key: str | Key, default: None = None, *, type: type[T]) -> T | None: ...
    @overload
    async def get(self, key: str | Key, default: D, *, type: type[T]) -> T | D: ...
    @overload
    async def get(self, key: str | Key, default: Any = None, *, type: object = Any) -> Any: ...
    async def get(self, key: str | Key, default: Any = None, *, type: Any = Any) -> Any:
        """The cached value, decoded as `type`, or `default`. Never a stale one."""
        kind = key.__class__
        text: Any = key if kind is str else key.key if kind is Key else ""  # type: ignore[union-attr]
        entry = self._near.entries.get(text)
        if entry is not None and entry.type is type and monotonic() < entry.refresh_at:
            entry.visited = True
            entry.counters.near_hits += 1
            return entry.value
        key = self._key(key)
        counters = self._counters(key.strategy)
        if not self._enabled:
            counters.bypasses += 1
            return default
        try:
            found, near = await self._lookup.find(key, counters)
        except Unavailable as error:
            self._lookup.unavailable(error)
            counters.bypasses += 1
            return default
        if isinstance(found, Entry) and monotonic() < found.fresh_until:
            try:
                value = self._lookup.decode(key.key, found, type)
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

    @overload
    async def get_many(
        self, keys: Iterable[str | Key], *, type: type[T], load: many.LoadMany | None = None, ttl: Ttl | None = None
    ) -> dict[str, T]: ...
    @overload
    async def get_many(
        self,
        keys: Iterable[str | Key],
        *,
        type: object = Any,
        load: many.LoadMany | None = None,
        ttl: Ttl | None = None,
    ) -> dict[str, Any]: ...
    async def get_many(
        self, keys: Iterable[str | Key], *, type: Any = Any, load: many.LoadMany | None = None, ttl: Ttl | None = None
    ) -> dict[str, Any]:
        """The values that are there, by the text of their key. The reads leave together.

        `load` gets the keys that are missing, as they were passed, and returns their values by key; they are stored
        for `ttl`. What it leaves out stays missing.
        """
        given = {key.key: (key, original) for key, original in self._keys(keys)}
        jobs = {text: self._job(key, _no_loader, ttl) for text, (key, _) in given.items()}
        entries: dict[str, Entry] = {}
        if self._enabled:
            entries = await many.read(self._lookup, self._store, list(jobs.values()))
        values = {}
        for text, entry in entries.items():
            try:
                values[text] = self._lookup.decode(text, entry, type)
            except msgspec.DecodeError:
                jobs[text].counters.corrupt += 1
        missing = [job for text, job in jobs.items() if text not in values]
        if load is None:
            for job in missing:
                job.counters.misses += 1
            return values

        async def load_them(keys: list[Key]) -> dict[Key, Any]:
            originals = [given[key.key][1] for key in keys]
            loaded = await load(originals)
            by_text = {str(key): value for key, value in loaded.items()}
            return {key: by_text[key.key] for key in keys if key.key in by_text}

        if missing and self._enabled:
            loaded = await many.load(self._lookup, missing, load_them)
            return values | {text: self._lookup.decode(text, entry, type) for text, entry in loaded.items()}
        off = await load_them([job.key for job in missing]) if missing else {}
        return values | {job.key.key: self._off(job, off[job.key], type) for job in missing if job.key in off}

    async def set(self, key: str | Key, value: Any, ttl: Ttl | None = None) -> None:
        """Store a value. A load of the key that is under way will not overwrite it. `ttl=0` only removes the old one.

        Raises ValueError for a ttl below zero or without an end, and UnstorableValue for what JSON cannot carry.
        """
        await self.set_many({key: value}, ttl)

    async def set_many(self, values: Mapping[Any, Any], ttl: Ttl | None = None) -> Done:
        """Store several values; the writes leave together. How many were stored, and how many not (`undone`)."""
        jobs = [(self._job(key, _no_loader, ttl), values[given]) for key, given in self._keys(values)]
        if not self._enabled:
            for job, value in jobs:
                self._lookup.leases.prepare(job, value, {}, 0.0)
            return Done(0)
        self._coherence.changed([job.name for job, _ in jobs])
        return await many.store(self._lookup, self._store, jobs)

    async def change(self, key: str | Key, change: Callable[[Any], Any], ttl: Ttl | None = None) -> Any:
        """Replace a value by what `change` makes of it, though others do the same; MISSING where there is none.

        The new value lasts for `ttl`, or as long as the old one would have.
        """
        job = self._job(self._key(key), _no_loader, ttl or 0)
        changed = await many.change(self._lookup, self._store, job, change) if self._enabled else None
        return MISSING if changed is None else self._lookup.decode(job.key.key, changed, Any)

    async def add(self, key: str | Key, value: Any, ttl: Ttl | None = None) -> bool:
        """Store a value where there is none; whether it was stored."""
        job = self._job(self._key(key), _no_loader, ttl)
        form, _ = self._lookup.leases.prepare(job, value, {}, 0.0)
        if form is None or not self._enabled:
            return False
        return await many.add(self._lookup, self._store, job, form)

    @overload
    async def get_or_set(
        self,
        key: str | Key,
        loader: Loader,
        *,
        ttl: Ttl | None = None,
        type: type[T],
        force: bool = False,
        background_safe: bool = False,
    ) -> T: ...
    @overload
    async def get_or_set(
        self,
        key: str | Key,
        loader: Callable[[], Awaitable[T]],
        *,
        ttl: Ttl | None = None,
        type: object,
        force: bool = False,
        background_safe: bool = False,
    ) -> T: ...
    @overload
    async def get_or_set(
        self,
        key: str | Key,
        loader: Loader,
        *,
        ttl: Ttl | None = None,
        force: bool = False,
        background_safe: bool = False,
    ) -> Any: ...
    async def get_or_set(
        self,
        key: str | Key,
        loader: Loader,
        *,
        ttl: Ttl | None = None,
        type: Any = Any,
        force: bool = False,
        background_safe: bool = False,
    ) -> Any:
        """The cached value, or what `loader` returns, stored for the next caller.

        Of all callers in all processes one loads, within its own call; if it is cancelled, another one does. What the
        loader raises reaches everybody who waits, and is not cached. `force` loads in any case. For stale values see
        `Strategy`; `background_safe` says that the loader may run when this call is over, because it uses nothing
        that ends with it (such as the request's database session).
        """
        kind = key.__class__
        text: Any = key if kind is str else key.key if kind is Key else ""  # type: ignore[union-attr]
        entry = self._near.entries.get(text)
        if entry is not None and entry.type is type and monotonic() < entry.refresh_at and not force:
            entry.visited = True
            entry.counters.near_hits += 1
            return entry.value
        job = self._job(self._key(key), loader, ttl, background_safe)
        if not self._enabled:
            job.counters.bypasses += 1
            return self._off(job, await loader(), type)
        return await self._lookup.value(job, type, force=force)

    async def get_or_set_bytes(
        self, key: str | Key, loader: Loader, *, ttl: Ttl | None = None, background_safe: bool = False
    ) -> CachedBytes:
        """Like `get_or_set`, but the JSON as it is stored, with its `outcome` and `max_age_s`: for responses.

        A loader that returns bytes returns the JSON itself, for example what the database made.
        """

        async def load() -> Any:
            value = await loader()
            return msgspec.Raw(value) if isinstance(value, bytes) else value

        job = self._job(self._key(key), load, ttl, background_safe)
        if not self._enabled:
            job.counters.bypasses += 1
            entry = self._lookup.leases.prepare(job, await load(), {}, 0.0)[1]
            return CachedBytes.of(Loaded(entry, "BYPASS"))
        return CachedBytes.of(await self._lookup.fetch(job))

    async def delete(self, *keys: str | Key) -> Done:
        """Delete keys in every process; how many Redis had. Loads that began before are not stored.

        A text may hold an id as it is (`f"doc:{path}"`): it is encoded as the strategies of this process do. When Redis
        is unavailable the deletion is kept (`undone`) and sent when it is back.
        """
        names: list[str] = []
        doubtful = []
        for key, given in self._keys(keys):
            texts, made = ([key.key], True) if given is key else meanings(key.key, tag=False)
            names += [self._names.of_key(text) for text in texts]
            if not made and not is_encoded(key.key):
                doubtful.append(key.key)
        deleted = await self._delete(names)
        if not deleted and not deleted.undone:
            self._warn("key", doubtful)
        return deleted

    async def invalidate_tag(self, *tags: str) -> None:
        """Invalidate every value that carries one of these tags, in one step, however many there are.

        `Strategy.tag` builds a tag; a text may hold an id as it is, as for `delete`.
        """
        names: list[str] = []
        doubtful = []
        for tag in tags:
            if not isinstance(tag, str):
                raise StrategyError(f"A tag is a text or what `strategy.tag(…)` returns, not {tag!r}.")
            texts, made = ([tag], True) if isinstance(tag, Tag) else meanings(tag, tag=True)
            names += self._names.of_tags(texts)
            if not made:
                doubtful.append(tag)
        deleted = await self._delete(names)
        if not deleted and not deleted.undone:
            self._warn("tag", doubtful)

    def _warn(self, kind: str, texts: list[str]) -> None:
        for text in texts:
            if text not in self._warned and len(self._warned) < MAX_WARNED:
                self._warned.add(text)
                warnings.warn(
                    f"Nothing carries the {kind} {text!r}, and no strategy of this process makes it, so nothing was "
                    f"invalidated. Build it: `strategy{'(…)' if kind == 'key' else '.tag(…)'}`.",
                    CacheWarning,
                    stacklevel=3,
                )

    async def invalidate_pattern(self, pattern: str) -> Done:
        """Delete the keys of this namespace that match a glob (``voice_call:*``); how many there were.

        It walks through all keys of the server in batches (SCAN, UNLINK), so prefer a tag for what happens often.
        `*`, `?`, `[…]` and `\\` are special; `Strategy.pattern` and `escape_glob` escape them in values. Raises
        PatternRefused where the server does not permit SCAN.
        """
        full = escape_glob(self._names.data) + pattern
        deleted = undone = 0
        try:
            async for names in self._store.scan(full):
                done = await self._store.delete(names)
                deleted, undone = deleted + done, undone + done.undone
        except Unavailable as error:
            self._lookup.unavailable(error)
            if isinstance(error, Refused) and error.of_the_command:
                raise PatternRefused(pattern, error) from error
            self._store.keep(patterns=(full,))
            return Done(deleted, undone + 1, error)
        except asyncio.CancelledError:
            self._store.keep(patterns=(full,))
            raise
        return Done(deleted, undone)

    async def eval(self, script: str, keys: Sequence[str] = (), arguments: Sequence[str | bytes | int] = ()) -> Any:
        """Run a Lua script on the connection of the cache (EVALSHA), for counters and limits beside it.

        `keys` are full names, outside the namespace. Raises Unavailable: a script has no loader to fall back to.
        """
        self._check_open()
        return await self._store.eval(script, keys, arguments)

    def after_commit(self, connection: Any) -> AbstractAsyncContextManager[commit.Later]:
        """Delete through `later` only once the transaction has committed.

            async with cache.after_commit(session) as later:
                user.name = name
                later.delete(CacheStrategies.user(user_id))

        `connection` is a SQLAlchemy AsyncSession or AsyncConnection, or a connection of asyncpg or psycopg. Without an
        open transaction, or with one that only began by itself (a SELECT did), the block commits at its end. Inside
        `session.begin()` it does not, and the deletions wait for that commit. Raises AfterCommitError where the
        commit could not be seen. For sync sessions and Django see `easymo.cache.sync`.
        """
        return commit.after_commit(self, connection)

    async def _delete(self, names: Sequence[str]) -> Done:
        self._coherence.changed(names)
        done = await self._store.delete(names)
        if done.error is not None:
            self._lookup.unavailable(done.error)
        return done


async def _no_loader() -> None:
    """`set` has a value already."""
