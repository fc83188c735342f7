"""Results: what a run's observations amount to, and the sum of the results of several processes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

import msgspec

from easymo.load.answers import Answers, add_answers, answers
from easymo.load.connection import CONNECT_FAILED, CONNECTION_LOST, MALFORMED, NO_CONNECTION, TIMEOUT
from easymo.load.distribution import Distribution, add, distribution
from easymo.load.generator import Observations
from easymo.load.scenario import Request
from easymo.load.schedule import NO_READ, REPEATED_READ, Schedule

_FAILURES = {
    TIMEOUT: "timeout",
    CONNECT_FAILED: "connect",
    CONNECTION_LOST: "connection_lost",
    MALFORMED: "malformed",
    NO_CONNECTION: "no_connection",
}
_NS_PER_MS = 1_000_000
_LATENESS_ALLOWED_MS = 5.0
_LATENESS_ALLOWED_OF_P95 = 0.1


class Tally(msgspec.Struct, frozen=True):
    """Some of a run's requests: how many were started, how many of them were errors, how long they took."""

    requests: int
    errors: int
    latency_ms: Distribution | None


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a schedule, its warm-up left out (only `sent` counts it too). Encodes to JSON and back with msgspec.

    `latency_ms` is counted from the *intended* time, `service_ms` from when the generator acted on the request;
    `lateness_ms` is what lies between: the generator's own delay. Latency and service time cover the answers that were
    expected, and the requests that timed out with the time they waited. Other errors are left out: an error reply is
    often a fast one. A distribution is None when there is nothing in it.

    An error is, by the keys of `errors`: `status_5xx`, `status_429` or `status_unexpected` (not expected by the
    request), `timeout`, `connect`, `connection_lost`, `malformed`, `no_connection`. `statuses` counts the answers as
    `2xx`, `3xx`, `4xx`, `5xx`, and 429 apart.

    `rate_rps` is requests started per second, `goodput_rps` those that were answered without error.
    `repeat_read_ratio` is the share of GETs whose path had been requested before in the run. `timeline` has one tally
    per second of the counted stretch. `answers` holds what was answered, by request name. `cpu_s` is what the generator
    used for the whole run, warm-up too; `priority` is the scheduling it had (`fifo`, `nice`, `normal`).

    `void` says why the numbers must not be used, or is None: the generator's lateness P99 must not exceed 5 ms or 10 %
    of the latency P95, whichever is more.
    """

    seed: int
    salt: str
    duration_s: float
    requests: int
    sent: int
    rate_rps: float = 0.0
    goodput_rps: float = 0.0
    error_ratio: float = 0.0
    errors: dict[str, int]
    statuses: dict[str, int]
    latency_ms: Distribution | None
    service_ms: Distribution | None
    lateness_ms: Distribution | None
    void: str | None = None
    per_request: dict[str, Tally]
    timeline: list[Tally]
    reads: int
    repeated_reads: int
    repeat_read_ratio: float = 0.0
    cpu_s: float
    priority: str
    answers: dict[str, Answers] = {}


class Ledger:
    """A schedule beside its observations, by place: which requests were errors, and how long which took."""

    def __init__(self, schedule: Schedule, observed: Observations) -> None:
        self._schedule = schedule
        self._observed = observed

    def done(self, place: int) -> bool:
        """Whether the request has its outcome."""
        return self._observed.outcomes[place] != 0

    def error(self, place: int) -> str | None:
        """The name of the error of a request that is done, None when it went well."""
        outcome = self._observed.outcomes[place]
        if outcome <= 0:
            return _FAILURES[outcome]
        if self._request(place).expects(outcome):
            return None
        if outcome == 429:
            return "status_429"
        return "status_5xx" if outcome >= 500 else "status_unexpected"

    def timed(self, places: Iterable[int]) -> list[int]:
        """Those of `places` that belong into latencies: answered as expected, or timed out."""
        outcomes = self._observed.outcomes
        return [p for p in places if outcomes[p] == TIMEOUT or (outcomes[p] > 0 and self.error(p) is None)]

    def latency_ns(self, place: int) -> int:
        return self._observed.done_ns[place] - self._schedule.due_ms[place] * _NS_PER_MS

    def service_ns(self, place: int) -> int:
        return self._observed.done_ns[place] - self._observed.fired_ns[place]

    def lateness_ns(self, place: int) -> int:
        return self._observed.fired_ns[place] - self._schedule.due_ms[place] * _NS_PER_MS

    def tally(self, places: Sequence[int]) -> Tally:
        return Tally(
            requests=len(places),
            errors=sum(self.error(place) is not None for place in places),
            latency_ms=distribution(self.latency_ns(place) for place in self.timed(places)),
        )

    def answers(self, places: Sequence[int]) -> Answers:
        observed = self._observed
        replies = [place for place in places if observed.outcomes[place] > 0]
        redirects = {p: observed.locations[p] for p in replies if _redirects(observed, p)}
        return answers(
            statuses=[observed.outcomes[place] for place in replies],
            redirects=redirects.values(),
            pages=[observed.body_bytes[p] for p in replies if p not in redirects and self.error(p) is None],
            body_bytes=sum(observed.body_bytes[place] for place in replies),
        )

    def _request(self, place: int) -> Request:
        return self._schedule.requests[self._schedule.kinds[place]]


def summarise(schedule: Schedule, observed: Observations, priority: str = "normal") -> LoadResult:
    """The result of a schedule that was run to its end."""
    ledger = Ledger(schedule, observed)
    warm_up_ms = round(schedule.warm_up_s * 1000)
    counted = [place for place, due_ms in enumerate(schedule.due_ms) if due_ms >= warm_up_ms]
    by_name = defaultdict[str, list[int]](list)
    by_second = defaultdict[int, list[int]](list)
    for place in counted:
        by_name[schedule.requests[schedule.kinds[place]].name].append(place)
        by_second[(schedule.due_ms[place] - warm_up_ms) // 1000].append(place)
    reads = Counter(schedule.reads[place] for place in counted)
    replied = [observed.outcomes[place] for place in counted if observed.outcomes[place] > 0]
    result = LoadResult(
        seed=schedule.seed,
        salt=schedule.salt,
        duration_s=schedule.duration_s,
        requests=len(counted),
        sent=len(schedule.due_ms),
        errors=_sorted(Counter(error for place in counted if (error := ledger.error(place)))),
        statuses=_sorted(Counter("429" if status == 429 else f"{status // 100}xx" for status in replied)),
        latency_ms=distribution(ledger.latency_ns(place) for place in ledger.timed(counted)),
        service_ms=distribution(ledger.service_ns(place) for place in ledger.timed(counted)),
        lateness_ms=distribution(ledger.lateness_ns(place) for place in counted),
        per_request={request.name: ledger.tally(by_name[request.name]) for request in schedule.requests},
        timeline=[ledger.tally(by_second[second]) for second in range(max(by_second, default=-1) + 1)],
        reads=len(counted) - reads[NO_READ],
        repeated_reads=reads[REPEATED_READ],
        cpu_s=observed.cpu_s,
        priority=priority,
        answers={name: ledger.answers(by_name[name]) for name in sorted(by_name)},
    )
    return _with_ratios(result)


def merge(results: Sequence[LoadResult]) -> LoadResult:
    """The result of processes that each ran a share of one schedule at the same time, at least one.

    Counts and histograms are added, so the percentiles are those that one process would have recorded.
    """
    first = results[0]
    names = dict.fromkeys(name for result in results for name in result.per_request)
    merged = LoadResult(
        seed=first.seed,
        salt=first.salt,
        duration_s=max(result.duration_s for result in results),
        requests=sum(result.requests for result in results),
        sent=sum(result.sent for result in results),
        errors=_sorted(sum((Counter(result.errors) for result in results), Counter())),
        statuses=_sorted(sum((Counter(result.statuses) for result in results), Counter())),
        latency_ms=add(result.latency_ms for result in results),
        service_ms=add(result.service_ms for result in results),
        lateness_ms=add(result.lateness_ms for result in results),
        per_request={name: _add([r.per_request[name] for r in results if name in r.per_request]) for name in names},
        timeline=[
            _add([tally for tally in second if tally])
            for second in zip_longest(*(result.timeline for result in results))
        ],
        reads=sum(result.reads for result in results),
        repeated_reads=sum(result.repeated_reads for result in results),
        cpu_s=sum(result.cpu_s for result in results),
        priority="+".join(sorted({result.priority for result in results})),
        answers={
            name: add_answers([result.answers[name] for result in results if name in result.answers])
            for name in sorted({name for result in results for name in result.answers})
        },
    )
    return _with_ratios(merged)


def _redirects(observed: Observations, place: int) -> bool:
    return place in observed.locations and 300 <= observed.outcomes[place] < 400


def _with_ratios(result: LoadResult) -> LoadResult:
    """The result with the fields that follow from its counts."""
    failed = sum(result.errors.values())
    return msgspec.structs.replace(
        result,
        rate_rps=result.requests / result.duration_s,
        goodput_rps=(result.requests - failed) / result.duration_s,
        error_ratio=failed / result.requests if result.requests else 0.0,
        repeat_read_ratio=result.repeated_reads / result.reads if result.reads else 0.0,
        void=_void(result.latency_ms, result.lateness_ms),
    )


def _void(latency_ms: Distribution | None, lateness_ms: Distribution | None) -> str | None:
    if lateness_ms is None:
        return "No request was counted, so there is nothing to read: raise the rate or the duration."
    allowed_ms = max(_LATENESS_ALLOWED_MS, _LATENESS_ALLOWED_OF_P95 * latency_ms.p95 if latency_ms else 0.0)
    if lateness_ms.p99 <= allowed_ms:
        return None
    return (
        f"The generator itself was late: its lateness P99 is {lateness_ms.p99:.1f} ms and must not exceed "
        f"{allowed_ms:.1f} ms, so the latencies are partly its own. Lower the rate, give it a core or real-time "
        "priority, or use more processes."
    )


def _add(tallies: Sequence[Tally]) -> Tally:
    return Tally(
        requests=sum(tally.requests for tally in tallies),
        errors=sum(tally.errors for tally in tallies),
        latency_ms=add(tally.latency_ms for tally in tallies),
    )


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))
