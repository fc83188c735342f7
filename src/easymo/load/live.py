"""A glance at a run while it goes on, also when several processes carry it out."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock, Thread

import msgspec

from easymo.load.distribution import Distribution, add


class Sight(msgspec.Struct, frozen=True):
    """What one process saw of the requests that were due in a second; the times of those already answered."""

    second: int
    requests: int
    errors: int
    latency_ms: Distribution | None
    lateness_ms: Distribution | None


class Glance(msgspec.Struct, frozen=True):
    """The requests that were due in the last second; latencies (None without any) of those already answered."""

    second: int
    requests: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    lateness_p99_ms: float | None


def glance(sights: Sequence[Sight]) -> Glance:
    """What all processes together saw of one second."""
    latency = add(sight.latency_ms for sight in sights)
    lateness = add(sight.lateness_ms for sight in sights)
    return Glance(
        second=sights[0].second,
        requests=sum(sight.requests for sight in sights),
        errors=sum(sight.errors for sight in sights),
        p50_ms=latency.p50 if latency else None,
        p95_ms=latency.p95 if latency else None,
        p99_ms=latency.p99 if latency else None,
        lateness_p99_ms=lateness.p99 if lateness else None,
    )


def glancing(on_second: Callable[[Glance], None]) -> Callable[[Sight], None]:
    """Hands on what the only process of a run saw."""
    return lambda sight: on_second(glance([sight]))


def telling(descriptor: int) -> Callable[[Sight], None]:
    """Writes every sight to a pipe, one JSON object a line; a reader that went away is no reason to stop."""

    def tell(sight: Sight) -> None:
        with suppress(BrokenPipeError):
            os.write(descriptor, msgspec.json.encode(sight) + b"\n")

    return tell


class Watch:
    """Gathers what several processes tell, and calls `on_second` for each second that all of them have told of.

    `open()` gives the writing end of a pipe for one process. `on_second` is called in other threads, one at a time.
    """

    def __init__(self, processes: int, on_second: Callable[[Glance], None]) -> None:
        self._processes, self._on_second = processes, on_second
        self._seen = defaultdict[int, list[Sight]](list)
        self._lock = Lock()

    def open(self) -> int:
        """The descriptor to write to; the caller closes it once the process has it."""
        reading, writing = os.pipe()
        Thread(target=self._read, args=(reading,), daemon=True).start()
        return writing

    def _read(self, descriptor: int) -> None:
        with open(descriptor, "rb") as lines:
            for line in lines:
                sight = msgspec.json.decode(line, type=Sight)
                with self._lock:
                    self._seen[sight.second].append(sight)
                    if len(self._seen[sight.second]) == self._processes:
                        self._on_second(glance(self._seen.pop(sight.second)))
