"""One load per key among all processes: a lease in the key, and a fill that only its holder can make.

1. A process that finds nothing puts a lease (a random token) into the key with `SET NX`. Exactly one succeeds.
2. The holder loads and renews its lease every `RENEW_S`. If the process dies the lease ends after `LEASE_S`.
3. The others wait until the key changes, then begin again with 1. After `MAX_ENDED_LEASES` leases that ended without a
   value (their loaders failed) a caller loads for itself.
4. The fill is a compare-and-set on the token. A deletion removes the token, so a value whose load began before the
   deletion is not stored, whichever process deletes and however it does so.
5. Tag versions are read before the load. An invalidation during the load changes them, so the stored value is outdated
   from the start.
6. A stale value is loaded again under a lease in a key of its own; the fill then compares with the stale value.
"""

import asyncio
import inspect
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from easymo.cache.counters import Counters
from easymo.cache.errors import LoaderCancelled, LoaderTimeout, Refused, Unavailable
from easymo.cache.flight import Flight, Flights, Loaded, Outcome, loading
from easymo.cache.near import Entry
from easymo.cache.store import Held, Store
from easymo.cache.stored_form import Stored, new_lease, new_prefix, pack
from easymo.cache.strategy import Key, Ttl, seconds
from easymo.cache.tags import Tags
from easymo.cache.values import Values

LEASE_S: Final = 3.0
RENEW_S: Final = 1.0
LOAD_LIMIT_S: Final = 30.0
"""A load that takes longer loses its lease, and those who wait for it begin their own: a loader may hang."""
MAX_ENDED_LEASES: Final = 4
"""After so many leases that ended without a value (their loaders failed) a caller loads for itself."""
EARLY_RATIO: Final = 0.1
"""The last tenth of a ttl is for loading again, or twice the time the load took, up to half of the ttl."""

_LEASE_MS: Final = int(LEASE_S * 1000)
_log = logging.getLogger("easymo.cache")


class Job(NamedTuple):
    """What there is to load: the key, its name in Redis, the loader, where to count, and how long it is fresh."""

    key: Key
    name: str
    load: Callable[[], Awaitable[Any]]
    counters: Counters
    ttl: Ttl
    background_safe: bool = False


class Leases:
    """Runs loaders under leases. `unavailable` hears of every failure of the store."""

    def __init__(
        self,
        store: Store,
        tags: Tags,
        values: Values,
        compress_from: int | None,
        unavailable: Callable[[Unavailable], None],
    ) -> None:
        self._store = store
        self._tags = tags
        self._values = values
        self._compress_from = compress_from
        self._unavailable = unavailable

    async def fly(self, flights: Flights, flight: Flight, job: Job, seen: bytes) -> Loaded:
        """Load a value that is not there (or is there as `seen`, unusable). It is returned before it is stored."""
        lease = new_lease()
        outcome: Outcome = "MISS"
        tags: dict[str, str] = {}
        try:
            tags, entry = await self._claim(flight, job, seen, lease)
            if entry is not None:
                loaded = Loaded(entry, "HIT")
                flight.resolve(loaded)
                flights.remove(flight)
                return loaded
        except Unavailable as error:
            self._unavailable(error)
            outcome = "BYPASS"
            if isinstance(error, Refused) or job.key.strategy.tags:
                lease = b""  # else the claim may have arrived all the same, and the fill is worth an attempt
        except BaseException:
            flights.abandon(flight)
            flights.spawn(self._release(job.name, lease))
            raise
        return await self._load(flights, flight, job, tags, outcome, lease, job.name, lease)

    async def fly_alone(self, flights: Flights, flight: Flight, job: Job) -> Loaded:
        """Load without Redis."""
        return await self._load(flights, flight, job, {}, "BYPASS", b"", "", b"")

    async def fly_again(
        self, flights: Flights, flight: Flight, job: Job, lease_name: str, seen: bytes, *, force: bool = False
    ) -> Loaded | None:
        """Load a value again that is still there as `seen`; None when another process does, unless it is forced."""
        lease = new_lease()
        tags: dict[str, str] = {}
        try:
            taken = await self._store.take_lease(lease_name, lease, _LEASE_MS) or force
            if taken:
                tags = await self._tags.before_load(job.key.tags)
        except Unavailable as error:
            self._unavailable(error)
            taken = force
        except BaseException:
            flights.abandon(flight)
            raise
        if not taken:
            flights.abandon(flight)
            return None
        return await self._load(flights, flight, job, tags, "MISS", seen, lease_name, lease)

    async def _claim(self, flight: Flight, job: Job, seen: bytes, lease: bytes) -> tuple[dict[str, str], Entry | None]:
        """Get the lease, or the value that another process stored meanwhile."""
        holder, ended = b"", 0
        while ended < MAX_ENDED_LEASES:
            tags = await self._tags.before_load(job.key.tags)
            found = await self._store.claim(job.name, seen, lease, _LEASE_MS)
            if isinstance(found, Entry) and (found.proven or await self._tags.prove(found)):
                found.counters = job.counters
                return tags, found
            seen = b""
            if isinstance(found, Held):
                if found.prefix == lease:
                    return tags, None
                ended += bool(holder) and holder != found.prefix
                holder = found.prefix
                flight.waiting = True
                try:
                    await self._store.wait_changed(found, LEASE_S)
                finally:
                    flight.waiting = False
                continue
            ended += 1
            if found is not None and not isinstance(found, str):
                seen = found.prefix
        raise Unavailable("LEASE the loaders of other processes keep failing")

    async def _load(
        self,
        flights: Flights,
        flight: Flight,
        job: Job,
        tags: dict[str, str],
        outcome: Outcome,
        expected: bytes,
        lease_name: str,
        lease: bytes,
    ) -> Loaded:
        """Run the loader and resolve the flight; then the value is stored in place of `expected`."""
        counters = job.counters
        counters.loads += 1
        started = time.monotonic()
        try:
            value = await self._run(flights, flight, job, lease_name, lease)
            stored, entry = self.prepare(job, value, tags, time.monotonic() - started)
        except BaseException as error:
            if isinstance(error, Exception):
                counters.load_errors += 1
                flight.fail(error)
            flights.abandon(flight)
            # The lease of a refresh that failed stays until it ends: no other process runs into the same error at once.
            if lease and (lease is expected or not isinstance(error, Exception)):
                flights.spawn(self._release(lease_name, lease))
            raise
        finally:
            counters.load_latency.add(time.monotonic() - started)
        loaded = Loaded(entry, outcome)
        flight.resolve(loaded)
        if lease or expected:
            flights.spawn(self._fill(flights, flight, job, stored, expected, lease_name, lease))
            await asyncio.sleep(0)  # now it has been sent: what this caller asks next comes after it
        else:
            flights.remove(flight)
        return loaded

    async def _fill(
        self,
        flights: Flights,
        flight: Flight,
        job: Job,
        stored: Stored | None,
        expected: bytes,
        lease_name: str,
        lease: bytes,
    ) -> None:
        """Store what was loaded, and give the lease back where the value has not taken its place."""
        kept = False
        try:
            if stored is not None and expected:
                raw = pack(stored)
                kept = await self._store.replace(job.name, expected, raw, self.ttl_ms(stored))
                if kept:
                    job.counters.bytes_written += len(raw)
            if lease and not (kept and lease is expected):
                await self._store.release(lease_name, lease)
        except Unavailable as error:
            self._unavailable(error)
        finally:
            job.counters.unstored += stored is not None and bool(expected) and not kept
            flights.remove(flight)

    async def _run(self, flights: Flights, flight: Flight, job: Job, lease_name: str, lease: bytes) -> Any:
        """The loader's value. What it loads in turn knows by `loading` who waits for it."""
        hard = job.key.strategy.hard_timeout
        hard_s = None if hard is None or job.background_safe else seconds(hard)
        token = loading.set((*loading.get(), flight))
        renewing: list[asyncio.Task[Any]] = []
        long_load = asyncio.get_running_loop().call_later(
            RENEW_S, lambda: renewing.append(flights.spawn(self._while_it_loads(flights, flight, lease_name, lease)))
        )
        try:
            async with asyncio.timeout(hard_s) as limit:
                awaitable = job.load()
                if not inspect.isawaitable(awaitable):
                    raise TypeError(
                        f"The loader of cache key {job.key.key!r} returned a {type(awaitable).__name__} instead of "
                        "something to await: declare it with `async def` (or use easymo.cache.sync)."
                    )
                return await awaitable
        except TimeoutError:
            if hard_s is not None and limit.expired():
                raise LoaderTimeout(job.key.key, hard_s) from None
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                raise LoaderCancelled(job.key.key) from None
            raise
        finally:
            loading.reset(token)
            long_load.cancel()
            for task in renewing:
                task.cancel()

    async def _while_it_loads(self, flights: Flights, flight: Flight, lease_name: str, lease: bytes) -> None:
        """Renew the lease of a long load, until it is too long."""
        ends_at = time.monotonic() + LOAD_LIMIT_S - RENEW_S
        while time.monotonic() < ends_at:
            if lease and not await self._renew(lease_name, lease):
                flights.remove(flight)  # the key was deleted, or the lease has ended
            await asyncio.sleep(RENEW_S)
        _log.warning(
            "The loader of %r takes longer than %g s; others load for themselves now", flight.key, LOAD_LIMIT_S
        )
        flights.abandon(flight)

    async def _renew(self, name: str, lease: bytes) -> bool:
        """Whether the lease is still ours, as far as anybody knows."""
        try:
            found = await self._store.renew(name, lease, _LEASE_MS)
        except Unavailable as error:
            self._unavailable(error)
            return True
        return isinstance(found, Held) and found.prefix == lease

    async def _release(self, name: str, lease: bytes) -> None:
        try:
            await self._store.release(name, lease)
        except Unavailable as error:
            self._unavailable(error)

    def prepare(self, job: Job, value: Any, tags: dict[str, str], load_s: float) -> tuple[Stored | None, Entry]:
        """The stored form of a value (None when its ttl is 0) and the entry that stands for it here."""
        strategy = job.key.strategy
        payload = self._values.encode(job.key.key, value)
        ttl_s = seconds(job.ttl(value) if callable(job.ttl) else job.ttl) * (1 - strategy.jitter * random.random())
        fresh_until = refresh_at = time.monotonic() + ttl_s
        if strategy.refresh == "background":
            refresh_at -= max(EARLY_RATIO * ttl_s, min(2 * load_s, ttl_s / 2))
        stale_until = fresh_until + seconds(strategy.stale_for)
        compressed = self._compress_from is not None and len(payload) >= self._compress_from
        entry = Entry(new_prefix(compressed), payload, refresh_at, fresh_until, stale_until, tags, job.counters)
        if ttl_s <= 0:
            return None, entry
        offset_s = self._store.epoch_minus_local_s
        refresh_at_ms, fresh_until_ms, stale_until_ms = (
            int((local_s + offset_s) * 1000) for local_s in (refresh_at, fresh_until, stale_until)
        )
        return Stored(entry.prefix, refresh_at_ms, fresh_until_ms, stale_until_ms, tags, payload), entry

    def ttl_ms(self, stored: Stored) -> int:
        """How long Redis keeps a value that is sent to it now."""
        return max(1, stored.stale_until_ms - int((time.monotonic() + self._store.epoch_minus_local_s) * 1000))
