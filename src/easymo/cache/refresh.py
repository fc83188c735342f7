"""Loading a stale value again: by one caller while the others get the stale one, with pauses after failures.

1. A strategy with `refresh="background"` and a loader that is `background_safe`: in a task, so nobody waits (but
   `soft_timeout`). It begins with `refresh_at`, before the ttl ends.
2. Otherwise the first caller after the ttl loads within its own call, and gets the new value.
3. A refresh that is under way here or in another process, or whose last attempt failed a moment ago, is left alone.
4. A refresh that fails is logged, and its caller gets the stale value like the others.
"""

import asyncio
import logging
import time
from typing import Final

from easymo.cache.flight import Flight, Flights, Loaded
from easymo.cache.lease import Job, Leases
from easymo.cache.near import Entry
from easymo.cache.strategy import seconds

BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses after failures in a row while a stale value is served, the last one repeated."""
ELSEWHERE_S: Final = 0.5
"""After finding that another process refreshes, look again no sooner than this."""
MAX_REMEMBERED: Final = 10_000

_log = logging.getLogger("easymo.cache")


class Refreshes:
    """At most one refresh per key at a time."""

    def __init__(self, leases: Leases, flights: Flights) -> None:
        self._leases = leases
        self._flights = flights
        self._pauses: dict[str, tuple[float, int]] = {}

    async def newer(self, job: Job, names: tuple[str, ...], lease_name: str, entry: Entry) -> Loaded | None:
        """A value that was loaded in place of `entry`; None: serve `entry`."""
        now, strategy = time.monotonic(), job.key.strategy
        if strategy.refresh == "background" and job.background_safe:
            flight = self._in_background(job, names, lease_name, entry.prefix)
            patience_s = seconds(strategy.soft_timeout)
            if flight is not None and patience_s > 0 and now >= entry.fresh_until:
                await asyncio.wait((flight.result,), timeout=patience_s)
                return flight.result.result() if flight.succeeded() else None
            return None
        if now < entry.fresh_until or self._flights.get(job.key.key) is not None or self._is_paused(job.key.key):
            return None
        flight = self._begin(job, names)
        try:
            return await self._leases.fly_again(self._flights, flight, job, lease_name, entry.prefix)
        except Exception:  # noqa: BLE001 (logged when the flight failed; the stale value is for this case)
            return None

    def _in_background(self, job: Job, names: tuple[str, ...], lease_name: str, seen: bytes) -> Flight | None:
        running = self._flights.get(job.key.key)
        if running is not None or self._is_paused(job.key.key):
            return running
        flight = self._begin(job, names)
        task = self._flights.spawn(self._leases.fly_again(self._flights, flight, job, lease_name, seen))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return flight

    def _is_paused(self, key: str) -> bool:
        return time.monotonic() < self._pauses.get(key, (0.0, 0))[0]

    def _begin(self, job: Job, names: tuple[str, ...]) -> Flight:
        flight = self._flights.begin(job.key.key, names)
        flight.result.add_done_callback(lambda _: self._landed(flight))
        return flight

    def _landed(self, flight: Flight) -> None:
        if len(self._pauses) > MAX_REMEMBERED:
            self._pauses.clear()
        key, result = flight.key, flight.result
        _, failures = self._pauses.get(key, (0.0, 0))
        if result.cancelled():
            self._pauses[key] = (time.monotonic() + ELSEWHERE_S, failures)
        elif (error := result.exception()) is not None:
            pause_s = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
            self._pauses[key] = (time.monotonic() + pause_s, failures + 1)
            _log.warning(
                "Loading %r again failed (%r); its stale value is served, next attempt in %g s", key, error, pause_s
            )
        else:
            self._pauses.pop(key, None)
