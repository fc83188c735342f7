"""Single flight: at most one load per key in a process, shared by callers of whom any may be cancelled.

The caller that begins a load runs it itself, in its own task, so the loader lives no longer than its request. If that
caller is cancelled, the flight is abandoned and one of the others begins its own. A loader that may outlive its request
(`background_safe`) runs in a task of its own, and nobody's cancellation ends it.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from contextvars import ContextVar
from typing import Any, Final, Literal, NamedTuple

from easymo.cache.errors import RecursiveLoad
from easymo.cache.near import Entry

Outcome = Literal["HIT", "MISS", "BYPASS"]


class Loaded(NamedTuple):
    """What a flight brings: the value, and how it came: HIT (somebody else stored it), MISS or BYPASS."""

    entry: Entry
    outcome: Outcome


class Flight:
    """One load. Those who join only wait for `result`; it is cancelled when the load was abandoned."""

    __slots__ = ("key", "names", "result", "waiting", "waits_for")

    def __init__(self, key: str, names: Iterable[str]) -> None:
        self.key = key
        self.names = tuple(names)
        self.waiting = False
        self.waits_for: list[Flight] = []
        self.result: asyncio.Future[Loaded] = asyncio.get_running_loop().create_future()
        self.result.add_done_callback(_retrieve)

    async def join(self, timeout_s: float | None = None) -> Loaded | None:
        """Wait for the result; None when the load was abandoned. A caller that goes away leaves the load alone."""
        chain = [flight for flight in loading.get() if not flight.result.done()]
        if any(flight is self or self._waits_for(flight) for flight in chain):
            raise RecursiveLoad(self.key, [flight.key for flight in chain])
        for flight in chain[-1:]:
            flight.waits_for.append(self)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(self.result)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.result.cancelled() and task is not None and not task.cancelling():
                return None
            raise
        finally:
            for flight in chain[-1:]:
                flight.waits_for.remove(self)

    def _waits_for(self, other: "Flight") -> bool:
        return any(flight is other or flight._waits_for(other) for flight in self.waits_for)

    def resolve(self, loaded: Loaded) -> None:
        if not self.result.done():
            self.result.set_result(loaded)

    def fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)

    def succeeded(self) -> bool:
        """Whether there is a value already."""
        return self.result.done() and not self.failed()

    def failed(self) -> bool:
        """Whether there will never be a value."""
        return self.result.done() and (self.result.cancelled() or self.result.exception() is not None)


loading: Final[ContextVar[tuple[Flight, ...]]] = ContextVar("easymo_cache_loading", default=())
"""The flights whose loaders called this code, the outermost first."""


def _retrieve(result: asyncio.Future[Loaded]) -> None:
    """When every caller has gone, an error of the loader has been counted and is nobody's business."""
    if not result.cancelled():
        result.exception()


class Flights:
    """The flights that a new caller may join: those that began after the last invalidation of their names."""

    def __init__(self) -> None:
        self._joinable: dict[str, Flight] = {}
        self._by_name: dict[str, set[Flight]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def get(self, key: str) -> Flight | None:
        flight = self._joinable.get(key)
        # A load that failed is over, even while its lease is still being released.
        return None if flight is None or flight.failed() else flight

    def begin(self, key: str, names: Iterable[str]) -> Flight:
        """A new flight, which others may join until it is removed."""
        flight = Flight(key, names)
        old = self._joinable.get(key)
        if old is not None:
            self.remove(old)
        self._joinable[key] = flight
        for name in flight.names:
            self._by_name.setdefault(name, set()).add(flight)
        return flight

    def remove(self, flight: Flight) -> None:
        """Let nobody join any more."""
        if self._joinable.get(flight.key) is flight:
            del self._joinable[flight.key]
        for name in flight.names:
            flights = self._by_name.get(name)
            if flights is not None:
                flights.discard(flight)
                if not flights:
                    del self._by_name[name]

    def abandon(self, flight: Flight) -> None:
        """The load will bring nothing; those who wait begin anew."""
        self.remove(flight)
        flight.result.cancel()

    def detach(self, name: str) -> None:
        """Let nobody join the flights of this name (a key or a tag): what they bring may be too old.

        Those that wait for another process look again anyway.
        """
        for flight in tuple(self._by_name.get(name, ())):
            if not flight.waiting:
                self.remove(flight)

    def detach_all(self) -> None:
        for flight in tuple(self._joinable.values()):
            if not flight.waiting:
                self.remove(flight)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something that nobody's cancellation ends; `close` does."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancel what is still under way."""
        for flight in tuple(self._joinable.values()):
            self.abandon(flight)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
