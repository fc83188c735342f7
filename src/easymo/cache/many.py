"""Reading, loading and storing several values together."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final, TypeVar

import msgspec

from easymo.cache.errors import Unavailable
from easymo.cache.flight import Loaded
from easymo.cache.lease import Job
from easymo.cache.lookup import Lookup
from easymo.cache.near import Entry
from easymo.cache.store import BATCH, Done, Found, Store, batched
from easymo.cache.stored_form import Stored, pack
from easymo.cache.strategy import Key

K = TypeVar("K", str, Key)
LoadMany = Callable[[list[Any]], Awaitable[Mapping[Any, Any]]]
"""Loads the values of the keys it gets, by key (as passed, or its text); a key without a value is left out."""

WAIT_S: Final = 0.01
"""A batch leaves at the latest so long after its first key, if others still wait for another process."""
_log = logging.getLogger("easymo.cache")


class _AbsentError(BaseException):
    """The loader has no value for this key: nobody shares that, the load is abandoned."""


async def read(lookup: Lookup, store: Store, jobs: Sequence[Job]) -> dict[str, Entry]:
    """The fresh values among these keys, by the text of their key; those that could be read when Redis falls silent."""
    entries: dict[str, Entry] = {}
    for job in jobs:
        entry = lookup.near.usable(job.key.key)
        if entry is not None and lookup.is_fresh(entry):
            entries[job.key.key] = entry
            job.counters.near_hits += 1
    far = [job for job in jobs if job.key.key not in entries]
    for batch in batched(far):
        try:
            tags = {tag for job in batch if job.key.strategy.tags for tag in job.key.tags}
            asked = lookup.tags.ask(tags) if tags else {}
            answers = await store.get_all([job.name for job in batch])
        except Unavailable as error:
            lookup.unavailable(error)
            break
        for job, found in zip(batch, answers, strict=True):
            if await _is_good(lookup, found, asked) and isinstance(found, Entry):
                found.counters = job.counters
                job.counters.redis_hits += 1
                job.counters.bytes_read += len(found.payload)
                entries[job.key.key] = found
    return entries


async def _is_good(lookup: Lookup, found: Found, asked: Mapping[str, asyncio.Future[Found]]) -> bool:
    if not isinstance(found, Entry) or not lookup.is_fresh(found):
        return False
    return found.proven or await lookup.tags.prove(found, asked)


class Batch:
    """Keys whose leases were got, waiting to be loaded in one call."""

    def __init__(self) -> None:
        self.asked: dict[Key, asyncio.Future[Any]] = {}
        self.expected = 0
        self._ready = asyncio.Event()

    def loader(self, key: Key) -> Callable[[], Awaitable[Any]]:
        """The loader of one key: it waits until the batch has been loaded."""

        def load() -> Awaitable[Any]:
            self.asked[key] = asyncio.get_running_loop().create_future()
            self.look()
            return self.asked[key]

        return load

    def look(self, _: object = None) -> None:
        """Called whenever a key was added, or will not be."""
        if len(self.asked) >= self.expected:
            self._ready.set()
        elif len(self.asked) == 1:
            asyncio.get_running_loop().call_later(WAIT_S, self._ready.set)

    async def run(self, load: Callable[[list[Key]], Awaitable[Mapping[Any, Any]]]) -> None:
        """Wait until the batch is complete and load it."""
        await self._ready.wait()
        self._ready.clear()
        batch, self.asked = self.asked, {}
        if not batch:
            return
        try:
            values = await load(list(batch))
        except BaseException as error:
            for future in batch.values():
                if isinstance(error, Exception):
                    future.set_exception(error)
                else:
                    future.cancel()
            raise
        for key, future in batch.items():
            if key in values:
                future.set_result(values[key])
            else:
                future.set_exception(_AbsentError())


async def load(lookup: Lookup, jobs: Sequence[Job], load_: Callable[[list[Key]], Any]) -> dict[str, Entry]:
    """What `load_` gives for these keys, in one call for all of them that nobody else is loading."""
    batch = Batch()
    tasks = [asyncio.create_task(lookup.fetch(job._replace(load=batch.loader(job.key)))) for job in jobs]
    batch.expected = len(tasks)

    def landed(_: object) -> None:
        batch.expected = sum(not task.done() for task in tasks)
        batch.look()

    for task in tasks:
        task.add_done_callback(landed)
    try:
        while not all(task.done() for task in tasks):
            await batch.run(load_)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    pairs = zip(jobs, results, strict=True)
    return {job.key.key: result.entry for job, result in pairs if isinstance(result, Loaded)}


async def store(lookup: Lookup, store_: Store, items: Sequence[tuple[Job, Any]]) -> Done:
    """Store several values; the writes leave together, in bounded batches."""
    stored, failed, problem = 0, [], None
    under_way: deque[tuple[str, asyncio.Future[Any]]] = deque()

    async def settle(most: int) -> None:
        nonlocal stored, problem
        while len(under_way) > most:
            name, asked = under_way.popleft()
            try:
                await asked
                stored += 1
            except Unavailable as error:
                failed.append(name)
                problem = error

    try:
        for job, value in items:
            form, _ = lookup.leases.prepare(job, value, {}, 0.0)
            if form is None:
                under_way.append((job.name, asyncio.ensure_future(store_.delete((job.name,)))))
                continue
            try:
                if job.key.strategy.tags:
                    form = msgspec.structs.replace(form, tags=await lookup.tags.before_load(job.key.tags))
                asked = store_.put(job.name, pack(form), lookup.leases.ttl_ms(form), bulk=len(items) > 1)
                under_way.append((job.name, asyncio.ensure_future(asked)))
            except Unavailable as error:
                failed.append(job.name)
                problem = error
            await settle(2 * BATCH)
        await settle(0)
    except BaseException:
        # Whether Redis has the new values is not known, so the old ones must not be served any more.
        failed.extend(name for name, _ in under_way)
        raise
    finally:
        if failed:
            store_.keep(failed)
    if problem is not None:
        lookup.unavailable(problem)
        _log.warning("%d of %d values were not stored (%s)", len(failed), stored + len(failed), problem)
    return Done(stored, len(failed), problem)


async def add(lookup: Lookup, store_: Store, job: Job, form: Stored) -> bool:
    """Store a value where there is none."""
    try:
        form = msgspec.structs.replace(form, tags=await lookup.tags.before_load(job.key.tags))
        found = await store_.ensure(job.name, pack(form), lookup.leases.ttl_ms(form))
    except Unavailable as error:
        lookup.unavailable(error)
        return False
    return isinstance(found, Entry) and found.prefix == form.prefix


async def change(lookup: Lookup, store_: Store, job: Job, change_: Callable[[Any], Any]) -> Entry | None:
    """Replace a value by compare-and-set until nobody came between; None where there is none."""
    try:
        while True:
            found, _ = await lookup.find(job.key, job.counters)
            if not isinstance(found, Entry) or not lookup.is_fresh(found):
                return None
            left_s = job.ttl or max(0.001, found.fresh_until - monotonic())
            value = change_(lookup.decode(job.key.key, found, Any))
            form, entry = lookup.leases.prepare(job._replace(ttl=left_s), value, found.tags, 0.0)
            if form is None or await store_.replace(job.name, found.prefix, pack(form), lookup.leases.ttl_ms(form)):
                return entry
            lookup.near.drop(job.key.key)
    except Unavailable as error:
        lookup.unavailable(error)
        return None
