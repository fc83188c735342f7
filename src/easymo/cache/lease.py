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
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec

from easymo.cache.counters import Counters
from easymo.cache.errors import LateAnswer, LoaderCancelled, Refused, Unavailable, UnstorableValue
from easymo.cache.flight import Flight, Loaded, Outcome
from easymo.cache.near import Entry
from easymo.cache.store import Held, Store
from easymo.cache.stored_form import Stored, new_lease, new_prefix, pack
from easymo.cache.strategy import Key, Ttl, seconds
from easymo.cache.tags import Tags

LEASE_S: Final = 3.0
RENEW_S: Final = 1.0
MAX_ENDED_LEASES: Final = 4
"""After so many leases that ended without a value (their loaders failed) a caller loads for itself."""
EARLY_RATIO: Final = 0.1
"""The last tenth of a ttl is for loading again, or twice the time the load took, up to half of the ttl."""

_LEASE_MS: Final = int(LEASE_S * 1000)


class Job(NamedTuple):
    """What there is to load: the key, its name in Redis, the loader, where to count, and how long it is fresh."""

    key: Key
    name: str
    load: Callable[[], Awaitable[Any]]
    counters: Counters
    ttl: Ttl


class Leases:
    """Runs loaders under leases. `away` is told of every failure of the store."""

    def __init__(self, store: Store, tags: Tags, timeout_s: float, away: Callable[[Unavailable], None]) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._tags = tags
        self._away = away
        self._encode = msgspec.json.Encoder().encode

    async def fly(self, flight: Flight, job: Job, seen: bytes, deadline: float) -> None:
        """Load a value that is not there (or is there as `seen`, unusable) and resolve the flight.

        Redis may cost the callers time until `deadline`. They get the value before it is stored.
        """
        lease = new_lease()
        outcome: Outcome = "MISS"
        tags: dict[str, str] = {}
        found: Entry | None = None
        try:
            tags, found = await self._claim(flight, job, seen, lease, deadline)
        except (Unavailable, TimeoutError) as error:
            self._away(error if isinstance(error, Unavailable) else LateAnswer("no answer in time"))
            outcome = "BYPASS"
            if isinstance(error, Refused) or job.key.strategy.tags:
                lease = b""  # else the claim may have arrived all the same, and the fill is worth an attempt
        except asyncio.CancelledError:
            flight.result.cancel()
            raise
        if found is not None:
            flight.result.set_result(Loaded(found, "HIT"))
        elif not await self._load(flight, job, tags, outcome, lease, job.name, lease) and lease:
            await self._quietly(self._store.release(job.name, lease))

    async def fly_alone(self, flight: Flight, job: Job) -> None:
        """Load without Redis."""
        await self._load(flight, job, {}, "BYPASS", b"", "", b"")

    async def fly_again(self, flight: Flight, job: Job, lease_name: str, seen: bytes) -> None:
        """Load a value again that is still there as `seen`, unless another process does (then nothing results)."""
        lease = new_lease()
        taken, tags = False, {}
        try:
            taken = await self._store.take_lease(lease_name, lease, _LEASE_MS)
            tags = await self._tags.before_load(job.key.tags) if taken else {}
        except Unavailable as error:
            self._away(error)
            taken = False
        if not taken:
            flight.result.cancel()
        elif await self._load(flight, job, tags, "MISS", seen, lease_name, lease):
            # After an error the lease stays until it ends, so that no other process runs into the same error at once.
            await self._quietly(self._store.release(lease_name, lease))

    async def _claim(
        self, flight: Flight, job: Job, seen: bytes, lease: bytes, deadline: float
    ) -> tuple[dict[str, str], Entry | None]:
        """Get the lease, or the value that another process stored meanwhile."""
        holder, ended = b"", 0
        while ended < MAX_ENDED_LEASES:
            async with asyncio.timeout(max(0.001, deadline - time.monotonic())):
                tags = await self._tags.before_load(job.key.tags)
                found = await self._store.claim(job.name, seen, lease, _LEASE_MS)
                if isinstance(found, Entry) and (found.proven or await self._tags.prove(found)):
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
                deadline = time.monotonic() + self._timeout_s
                continue
            ended += 1
            if found is not None and not isinstance(found, str):
                seen = found.prefix
        raise Unavailable("LEASE the loaders of other processes keep failing")

    async def _load(
        self,
        flight: Flight,
        job: Job,
        tags: dict[str, str],
        outcome: Outcome,
        expected: bytes,
        lease_name: str,
        lease: bytes,
    ) -> bool:
        """Run the loader, resolve the flight, then store the value in place of `expected`. Whether it is stored."""
        counters = job.counters
        counters.loads += 1
        started = time.monotonic()
        try:
            value = await self._run(job, lease_name, lease)
            load_s = time.monotonic() - started
            stored, entry = self.prepare(job, value, tags, load_s)
        except asyncio.CancelledError:
            flight.result.cancel()
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is belongs to the callers that wait for it)
            counters.load_errors += 1
            flight.result.set_exception(error)
            return False
        finally:
            counters.load_latency.add(time.monotonic() - started)
        flight.result.set_result(Loaded(entry, outcome))
        if stored is None or not expected:
            return False
        raw = pack(stored)
        try:
            kept = await self._store.replace(job.name, expected, raw, stored.stale_until_ms)
        except Unavailable as error:
            self._away(error)
            kept = False
        if kept:
            counters.bytes_written += len(raw)
        else:
            counters.unstored += 1
        return kept

    async def _run(self, job: Job, lease_name: str, lease: bytes) -> Any:
        """The loader's value; the lease is renewed meanwhile."""
        loading = asyncio.ensure_future(job.load())
        try:
            while not (await asyncio.wait((loading,), timeout=RENEW_S))[0]:
                if lease:
                    await self._quietly(self._store.renew(lease_name, lease, _LEASE_MS))
        except asyncio.CancelledError:
            loading.cancel()
            raise
        if loading.cancelled():
            raise LoaderCancelled(job.key.key)
        return loading.result()

    async def _quietly(self, asked: Awaitable[object]) -> None:
        try:
            await asked
        except Unavailable as error:
            self._away(error)

    def prepare(self, job: Job, value: Any, tags: dict[str, str], load_s: float) -> tuple[Stored | None, Entry]:
        """The stored form of a value (None when its ttl is 0) and the entry that stands for it here."""
        strategy = job.key.strategy
        try:
            payload = self._encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise UnstorableValue(job.key.key, str(error)) from error
        ttl_s = seconds(job.ttl(value) if callable(job.ttl) else job.ttl) * (1 - strategy.jitter * random.random())
        fresh_until = time.monotonic() + ttl_s
        refresh_at = fresh_until - max(EARLY_RATIO * ttl_s, min(2 * load_s, ttl_s / 2))
        stale_until = fresh_until + seconds(strategy.stale_for)
        entry = Entry(new_prefix(), payload, refresh_at, fresh_until, stale_until, tags, job.counters)
        if ttl_s <= 0:
            return None, entry
        offset_s = self._store.epoch_minus_local_s
        refresh_at_ms, fresh_until_ms, stale_until_ms = (
            int((local_s + offset_s) * 1000) for local_s in (refresh_at, fresh_until, stale_until)
        )
        return Stored(entry.prefix, refresh_at_ms, fresh_until_ms, stale_until_ms, tags, payload), entry
