"""The order in which a read looks for a usable value. The first rule that applies decides.

1. The near cache has the value and it is fresh: serve it. No rule below runs.
2. A load of the key is under way in this process: join it. Once it has succeeded its value counts as a near hit.
3. Redis holds a value whose tags still have the versions stored with it: serve it while it is fresh. After that see
   `refresh` for who loads and who is served the stale value.
4. Redis holds nothing, a lease, or something unusable (foreign, damaged, invalidated through a tag): load under a
   lease, see `lease`.
5. Redis is unavailable: load without it, for all callers of this process together (a bypass).

A value that does not decode as the caller's `type` was stored by another release of the program. It is replaced at
most once; after that the caller's own load is used and not stored. Each read is counted as exactly one outcome.
"""

from collections.abc import Coroutine
from time import monotonic
from typing import Any, Final

import msgspec

from easymo.cache.coherence import Names
from easymo.cache.counters import Counters, Events
from easymo.cache.errors import CacheNotOpen, LateAnswer, LoaderTimeout, Refused, Unavailable, UnstorableValue
from easymo.cache.flight import Flight, Flights, Loaded
from easymo.cache.lease import Job, Leases
from easymo.cache.near import Entry, Near
from easymo.cache.refresh import Refreshes
from easymo.cache.store import Found, Outdated, Store
from easymo.cache.stored_form import Foreign
from easymo.cache.strategy import Key, seconds
from easymo.cache.tags import Tags
from easymo.cache.values import Values

_AT_MOST: Final = 2
"""So often a value that does not fit is replaced; other releases of the program may write it again each time."""


class Lookup:
    """What `CacheService` does when the near cache has no answer. It counts how each read ended."""

    def __init__(
        self,
        names: Names,
        near: Near,
        store: Store,
        flights: tuple[Flights, Flights],
        events: Events,
        values: Values,
        compress_from: int | None,
    ) -> None:
        self._names = names
        self.near = near
        self._store = store
        self._flights, self._refreshing = flights
        self._events = events
        self._values = values
        self.tags = Tags(names, near, store)
        self.leases = Leases(store, self.tags, values, compress_from, self.unavailable)
        self._refreshes = Refreshes(self.leases, self._refreshing)
        self.open = False

    async def close(self) -> None:
        """Abandon what is still loading."""
        self.open = False
        await self._flights.close()
        await self._refreshing.close()

    def unavailable(self, error: Unavailable) -> None:
        """Count a failure of the store."""
        if isinstance(error, Refused):
            self._events.error(error.code)
        elif isinstance(error, LateAnswer):
            self._events.timeouts += 1

    async def find(self, key: Key, counters: Counters) -> tuple[Found, bool]:
        """What there is for a key, and whether it was here. An entry may be stale."""
        entry = self.near.usable(key.key)
        started = monotonic()
        if entry is not None and started < entry.stale_until:
            return entry, True
        name = self._names.data + key.key
        tags = key.tags if key.strategy.tags else ()
        try:
            # Ahead of the value: known by then, they prove it as it arrives, and it may be kept in the process.
            asked = self.tags.ask(tags) if tags else {}
            found = await self._store.get(name)
            if isinstance(found, Entry) and not found.proven and not await self.tags.prove(found, asked):
                found = Outdated(found.prefix)
        except Refused as error:
            if error.code != "WRONGTYPE":
                raise
            found = Foreign(b"")
        ended = monotonic()
        counters.redis_latency.add(ended - started)
        if isinstance(found, Entry):
            found.counters = counters
            counters.bytes_read += len(found.payload)
            if ended >= found.stale_until:
                return None, False
        elif isinstance(found, Foreign):
            counters.corrupt += 1
            if not found.prefix:
                await self._store.delete((name,))  # it has no bytes by which to replace it
        return found, False

    def is_fresh(self, entry: Entry) -> bool:
        return monotonic() < entry.fresh_until

    def decode(self, key: str, entry: Entry, type_: Any) -> Any:
        entry.visited = True
        if entry.type is type_:
            return entry.value
        value, shareable = self._values.decode(entry.payload, type_)
        if shareable:
            self.near.keep_decoded(key, entry, type_, value)
        return value

    def loaded(self, job: Job, entry: Entry, type_: Any) -> Any:
        """A value that was just loaded. Raises UnstorableValue when it is not of the type that the caller names."""
        try:
            return self.decode(job.key.key, entry, type_)
        except msgspec.DecodeError as error:
            raise UnstorableValue(job.key.key, f"it does not fit type={type_!r} ({error})") from error

    async def value(self, job: Job, type_: Any, *, force: bool = False) -> Any:
        loaded = await self.fetch(job, force=force)
        for attempt in range(_AT_MOST):
            if loaded.outcome != "HIT":
                break
            try:
                return self.decode(job.key.key, loaded.entry, type_)
            except msgspec.DecodeError:
                job.counters.corrupt += 1
                self.near.drop(job.key.key)
            loaded = await (self._alone(job) if attempt else self.fetch(job, loaded.entry.prefix))
        return self.loaded(job, loaded.entry, type_)

    async def fetch(self, job: Job, unusable: bytes = b"", *, force: bool = False) -> Loaded:
        """A usable value from anywhere. What is stored as `unusable` is loaded anew; `force` loads in any case."""
        text = job.key.key
        while True:
            if not self.open:
                raise CacheNotOpen
            flight = None if force else self._flights.get(text)
            if flight is None:
                seen, reachable = unusable, True
                try:
                    if not unusable:
                        found, near = await self.find(job.key, job.counters)
                        if isinstance(found, Entry):
                            return await (self._forced(job, found) if force else self._serve(job, found, near))
                        if isinstance(found, Foreign | Outdated):
                            seen = found.prefix
                except Unavailable as error:
                    self.unavailable(error)
                    reachable = False
                flight = None if force else self._flights.get(text)
            if flight is None:
                loaded = await (self._take_off(job, seen) if reachable else self._alone(job))
            elif flight.succeeded() and flight.result.result().outcome != "BYPASS":
                job.counters.near_hits += 1  # it is loaded and on its way to Redis
                return Loaded(flight.result.result().entry, "HIT")
            else:
                loaded = await self._join(flight, job)
            if loaded is not None:
                return self._counted(job, loaded)

    def _counted(self, job: Job, loaded: Loaded) -> Loaded:
        if loaded.outcome == "MISS":
            job.counters.misses += 1
        elif loaded.outcome == "BYPASS":
            job.counters.bypasses += 1
        else:
            job.counters.redis_hits += 1
        return loaded

    async def _serve(self, job: Job, entry: Entry, near: bool) -> Loaded:
        """A value that is there: loaded again when it is old, and served while that goes on or when it fails."""
        if monotonic() >= entry.refresh_at:
            lease_name = self._names.lease + job.key.key
            newer = await self._refreshes.newer(job, self._names_of(job), lease_name, entry)
            if newer is not None:
                self.near.drop(job.key.key)  # the new value is on its way to Redis
                return self._counted(job, newer)
        if monotonic() >= entry.fresh_until:
            job.counters.stale += 1
        elif near:
            job.counters.near_hits += 1
        else:
            job.counters.redis_hits += 1
        return Loaded(entry, "HIT")

    async def _forced(self, job: Job, entry: Entry) -> Loaded:
        """Load in place of a value that is there; others are served that one meanwhile."""
        flight = self._refreshing.begin(job.key.key, self._names_of(job))
        lease_name = self._names.lease + job.key.key
        loaded = await self.leases.fly_again(self._refreshing, flight, job, lease_name, entry.prefix, force=True)
        assert loaded is not None  # it is forced
        self.near.drop(job.key.key)
        return self._counted(job, loaded)

    async def _take_off(self, job: Job, seen: bytes) -> Loaded | None:
        flight = self._flights.begin(job.key.key, self._names_of(job))
        return await self._run(flight, job, self.leases.fly(self._flights, flight, job, seen))

    async def _alone(self, job: Job) -> Loaded:
        flight = self._flights.begin(job.key.key, self._names_of(job))
        loaded = await self._run(flight, job, self.leases.fly_alone(self._flights, flight, job))
        if loaded is None:
            raise CacheNotOpen
        return loaded

    async def _run(self, flight: Flight, job: Job, flying: Coroutine[Any, Any, Loaded]) -> Loaded | None:
        """Load within this call, or in a task of its own where the loader may outlive it."""
        if not job.background_safe:
            return await flying
        task = self._flights.spawn(flying)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await self._join(flight, job)

    def _names_of(self, job: Job) -> tuple[str, ...]:
        return (job.name, *self._names.of_tags(job.key.tags)) if job.key.strategy.tags else (job.name,)

    async def _join(self, flight: Flight, job: Job) -> Loaded | None:
        hard_timeout = job.key.strategy.hard_timeout
        hard_s = None if hard_timeout is None else seconds(hard_timeout)
        try:
            return await flight.join(hard_s)
        except TimeoutError:
            if hard_s is None or flight.result.done():
                raise
            raise LoaderTimeout(job.key.key, hard_s) from None
