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

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import msgspec

from easymo.cache.coherence import Names
from easymo.cache.counters import Counters, Events
from easymo.cache.errors import (
    CacheNotOpen,
    LateAnswer,
    LoaderTimeout,
    Refused,
    Unavailable,
    UnstorableValue,
)
from easymo.cache.flight import Flight, Flights, Loaded
from easymo.cache.immutable import is_atom, is_immutable_type
from easymo.cache.lease import Job, Leases
from easymo.cache.near import Entry, Near
from easymo.cache.refresh import Refreshes
from easymo.cache.store import Found, Outdated, Store
from easymo.cache.stored_form import Foreign
from easymo.cache.strategy import seconds
from easymo.cache.tags import Tags


class Lookup:
    """What `CacheService` does when the near cache has no answer. It counts how each read ended."""

    def __init__(
        self, names: Names, near: Near, store: Store, flights: tuple[Flights, Flights], events: Events, timeout_s: float
    ) -> None:
        self._names = names
        self._near = near
        self._store = store
        self._flights, refreshing = flights
        self._events = events
        self._timeout_s = timeout_s
        self.tags = Tags(names, near, store)
        self.leases = Leases(store, self.tags, timeout_s, self.away)
        self._refreshes = Refreshes(self.leases, refreshing)
        self._forms: dict[Any, tuple[Callable[[bytes], Any], bool]] = {}

    async def close(self) -> None:
        """Cancel what is still loading."""
        await self._flights.close()
        await self._refreshes.close()

    def away(self, error: Unavailable) -> None:
        """Count a failure of the store."""
        if isinstance(error, Refused):
            self._events.error(error.code)
        elif isinstance(error, LateAnswer):
            self._events.timeouts += 1

    async def find(self, key: str, counters: Counters) -> tuple[Found, bool]:
        """What there is for a key, and whether it was here. An entry may be stale."""
        entry = self._near.entries.get(key)
        started = monotonic()
        if entry is not None and started < entry.stale_until:
            return entry, True
        name = self._names.data + key
        try:
            found = await self._store.get(name)
            if not isinstance(found, Entry) or not found.proven:
                found = await self._settled(name, found, started + self._timeout_s)
        except Refused as error:
            if error.code != "WRONGTYPE":
                raise
            await self._store.delete((name,))
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
        return found, False

    async def _settled(self, name: str, found: Found, ends: float) -> Found:
        """What a read means when it is no value that can be served as it is."""
        if isinstance(found, Foreign) and not found.prefix:
            await self._store.delete((name,))  # it has no bytes by which to replace it
        if not isinstance(found, Entry):
            return found
        try:
            async with asyncio.timeout(max(0.001, ends - monotonic())):
                return await self._proven(name, found)
        except TimeoutError:
            raise LateAnswer("no answer in time") from None

    async def _proven(self, name: str, found: Entry) -> Found:
        """The same value, if its tags still have the versions that it was stored with."""
        if not await self.tags.prove(found):
            return Outdated(found.prefix)
        if not self._store.tracks:
            return found
        # Its tags are tracked from here on, so that the next answer may be kept in the process.
        again = await self._store.get(name)
        if isinstance(again, Entry) and not again.proven:
            return again if await self.tags.prove(again) else Outdated(again.prefix)
        return again

    def count_hit(self, entry: Entry, near: bool, counters: Counters) -> None:
        if monotonic() >= entry.fresh_until:
            counters.stale += 1
        elif near:
            counters.near_hits += 1
        else:
            counters.redis_hits += 1

    def decode(self, key: str, entry: Entry, type_: Any) -> Any:
        entry.visited = True
        if entry.type is type_:
            return entry.value
        form = self._forms.get(type_)
        if form is None:
            form = self._forms[type_] = msgspec.json.Decoder(type_).decode, is_immutable_type(type_)
        decode, immutable = form
        value = decode(entry.payload)
        if immutable or (type_ is Any and is_atom(value)):
            self._near.keep_decoded(key, entry, type_, value)
        return value

    async def value(self, job: Job, type_: Any) -> Any:
        loaded = await self.fetch(job)
        for attempt in range(2):
            try:
                return self.decode(job.key.key, loaded.entry, type_)
            except msgspec.DecodeError as error:
                if loaded.outcome != "HIT":
                    raise UnstorableValue(job.key.key, f"it does not fit type={type_!r} ({error})") from error
            # Another release of the program may store another form under this key: load ours, at most twice.
            job.counters.corrupt += 1
            self._near.drop(job.key.key)
            if attempt == 0:
                loaded = await self.fetch(job, loaded.entry.prefix)
            else:
                loaded = await self._join(self._alone(job), job)
        return self.decode(job.key.key, loaded.entry, type_)

    async def fetch(self, job: Job, unusable: bytes = b"") -> Loaded:
        """A usable value from anywhere; what is stored as `unusable` is loaded anew."""
        deadline = monotonic() + self._timeout_s
        text = job.key.key
        flight = self._flights.get(text)
        if flight is None:
            seen, reachable = unusable, True
            try:
                if not unusable:
                    found, near = await self.find(text, job.counters)
                    if isinstance(found, Entry):
                        return await self._serve(job, found, near)
                    if isinstance(found, Foreign | Outdated):
                        seen = found.prefix
            except Unavailable as error:
                self.away(error)
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
        self.count_hit(entry, near, job.counters)
        return Loaded(entry, "HIT")

    def _take_off(self, job: Job, seen: bytes, deadline: float) -> Flight:
        flight = self._flight(job)
        self._flights.start(job.key.key, flight, self.leases.fly(flight, job, seen, deadline))
        return flight

    def _alone(self, job: Job) -> Flight:
        flight = self._flight(job)
        self._flights.start(job.key.key, flight, self.leases.fly_alone(flight, job))
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
