"""Single flight: at most one load per key in a process, shared by callers of whom any may be cancelled."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Literal, NamedTuple

from easymo.cache.near import Entry

Outcome = Literal["HIT", "MISS", "BYPASS"]


class Loaded(NamedTuple):
    """What a flight brings: the value, and how it came: HIT (somebody else stored it), MISS or BYPASS."""

    entry: Entry
    outcome: Outcome


class Flight:
    """One load. The first caller and all later ones only wait for `result`; none of them owns the load."""

    __slots__ = ("names", "result", "waiting")

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self.waiting = False
        self.result: asyncio.Future[Loaded] = asyncio.get_running_loop().create_future()
        self.result.add_done_callback(_retrieve)

    async def join(self, timeout_s: float | None = None) -> Loaded:
        """Wait for the result. A caller that is cancelled or times out leaves the load alone."""
        if timeout_s is None:
            return await asyncio.shield(self.result)
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self.result)

    def succeeded(self) -> bool:
        """Whether there is a value already."""
        return self.result.done() and not self.result.cancelled() and self.result.exception() is None

    def failed(self) -> bool:
        """Whether there will never be a value."""
        return self.result.done() and not self.succeeded()

    def crash_landed(self, task: asyncio.Task[None]) -> None:
        """Called when the task of this flight is done: nobody may wait for a result that will not come."""
        if not self.result.done():
            error = None if task.cancelled() else task.exception()
            if error is None:
                self.result.cancel()
            else:
                self.result.set_exception(error)


def _retrieve(result: asyncio.Future[Loaded]) -> None:
    """When every caller has gone, an error of the loader has been counted and is nobody's business."""
    if not result.cancelled():
        result.exception()


class Flights:
    """The flights that a new caller may join: those that began after the last invalidation of their names."""

    def __init__(self) -> None:
        self._joinable: dict[str, Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, key: str) -> Flight | None:
        flight = self._joinable.get(key)
        # A load that failed is over, even while its lease is still being released.
        return None if flight is None or flight.failed() else flight

    def start(self, key: str, flight: Flight, flying: Coroutine[Any, Any, None]) -> None:
        """Run `flying`, which resolves `flight`; others may join until it is done."""
        task = asyncio.create_task(flying)
        self._joinable[key] = flight
        self._tasks.add(task)

        def landed(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            flight.crash_landed(done)
            if self._joinable.get(key) is flight:
                del self._joinable[key]

        task.add_done_callback(landed)

    def detach(self, names: frozenset[str] | None) -> None:
        """Let nobody join the flights of these names (keys or tags; None: any): what they bring may be too old.

        Those that wait for another process look again anyway.
        """
        if not self._joinable:
            return
        old = [
            key
            for key, flight in self._joinable.items()
            if not flight.waiting and (names is None or not flight.names.isdisjoint(names))
        ]
        for key in old:
            del self._joinable[key]

    async def close(self) -> None:
        """Cancel what is still loading."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
