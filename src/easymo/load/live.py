"""A glance at a run while it goes on, also when several processes carry it out."""

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock, Thread

import msgspec

from easymo.load.result import Ledger
from easymo.load.schedule import Schedule

_SAMPLE = 2_000  # looking at more would make the generator late


class Sight(msgspec.Struct, frozen=True):
    """What one process saw of the requests that were due in a second: a sample of their times, in units of 10 µs.

    Shares of one schedule are of one size, so the samples of several processes weigh the same.
    """

    second: int
    requests: int
    errors: int
    latencies: list[int]
    lateness: list[int]


@dataclass(frozen=True)
class Glance:
    """The requests that were due in the last second; latencies (None without any) of those already answered."""

    second: int
    requests: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    lateness_p99_ms: float | None


def look(schedule: Schedule, ledger: Ledger, second: int) -> Sight:
    """How the `second`-th second of the run went so far (1 is the first)."""
    begin, end = (bisect_left(schedule.due_ms, s * 1000) for s in (second - 1, second))
    places = range(begin, end, 1 + (end - begin) // _SAMPLE)
    done = [place for place in places if ledger.done(place)]
    return Sight(
        second=second,
        requests=end - begin,
        errors=sum(ledger.error(place) is not None for place in done) * places.step,
        latencies=[ledger.latency_ns(place) // 10_000 for place in ledger.timed(done)],
        lateness=[ledger.lateness_ns(place) // 10_000 for place in places],
    )


def glance(sights: Sequence[Sight]) -> Glance:
    """What all processes together saw of one second."""
    latencies = sorted(time for sight in sights for time in sight.latencies)
    return Glance(
        second=sights[0].second,
        requests=sum(sight.requests for sight in sights),
        errors=sum(sight.errors for sight in sights),
        p50_ms=_percentile_ms(latencies, 0.50),
        p95_ms=_percentile_ms(latencies, 0.95),
        p99_ms=_percentile_ms(latencies, 0.99),
        lateness_p99_ms=_percentile_ms(sorted(time for sight in sights for time in sight.lateness), 0.99),
    )


def glancing(on_second: Callable[[Glance], None]) -> Callable[[Sight], None]:
    """Hands on what the only process of a run saw."""
    return lambda sight: on_second(glance([sight]))


def _percentile_ms(ascending: Sequence[int], share: float) -> float | None:
    return ascending[min(int(share * len(ascending)), len(ascending) - 1)] / 100 if ascending else None


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
