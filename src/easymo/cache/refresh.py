"""Loading again in the background: before a value expires, and while its stale form is served."""

import logging
import time
from typing import Final

from easymo.cache.flight import Flight, Flights
from easymo.cache.lease import Job, Leases

BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses after failures in a row while a stale value is served, the last one repeated."""
ELSEWHERE_S: Final = 0.5
"""After finding that another process refreshes, look again no sooner than this."""
MAX_REMEMBERED: Final = 10_000

_log = logging.getLogger("easymo.cache")


class Refreshes:
    """At most one refresh per key at a time, with backoff. Nobody has to wait for one."""

    def __init__(self, leases: Leases, flights: Flights) -> None:
        self._leases = leases
        self._flights = flights
        self._pauses: dict[str, tuple[float, int]] = {}

    def start(self, flight: Flight, job: Job, lease_name: str, seen: bytes) -> Flight | None:
        """Refresh `job` now, or join the refresh under way; None when that has to wait."""
        key = job.key.key
        running = self._flights.get(key)
        if running is not None:
            return running
        retry_at, failures = self._pauses.get(key, (0.0, 0))
        if time.monotonic() < retry_at:
            return None
        flight.result.add_done_callback(lambda result: self._landed(key, flight, failures))
        self._flights.start(key, flight, self._leases.fly_again(flight, job, lease_name, seen))
        return flight

    async def close(self) -> None:
        """Cancel what is under way."""
        await self._flights.close()

    def _landed(self, key: str, flight: Flight, failures: int) -> None:
        if len(self._pauses) > MAX_REMEMBERED:
            self._pauses.clear()
        result = flight.result
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
