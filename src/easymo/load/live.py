"""A glance at a run while it goes on."""

from bisect import bisect_left
from dataclasses import dataclass

from easymo.load.result import Ledger
from easymo.load.schedule import Schedule

_SAMPLE = 2_000  # sorting more would make the generator late


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


def glance(schedule: Schedule, ledger: Ledger, second: int) -> Glance:
    """How the `second`-th second of the run went so far (1 is the first)."""
    begin, end = (bisect_left(schedule.due_ms, s * 1000) for s in (second - 1, second))
    places = range(begin, end, 1 + (end - begin) // _SAMPLE)
    done = [place for place in places if ledger.done(place)]
    latencies = sorted(ledger.latency_ns(place) / 1e6 for place in ledger.timed(done))
    lateness = sorted(ledger.lateness_ns(place) / 1e6 for place in places)
    return Glance(
        second=second,
        requests=end - begin,
        errors=sum(ledger.error(place) is not None for place in done) * places.step,
        p50_ms=_percentile(latencies, 0.50),
        p95_ms=_percentile(latencies, 0.95),
        p99_ms=_percentile(latencies, 0.99),
        lateness_p99_ms=_percentile(lateness, 0.99),
    )


def _percentile(ascending: list[float], share: float) -> float | None:
    return ascending[min(int(share * len(ascending)), len(ascending) - 1)] if ascending else None
