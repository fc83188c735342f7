"""Records what becomes of each request while a run goes on, in a memory that does not grow with their number."""

from collections import Counter

from easymo.load.answers import OTHER, AnswerCounts
from easymo.load.connection import (
    CONNECT_FAILED,
    CONNECTION_LOST,
    MALFORMED,
    NO_CONNECTION,
    TIMEOUT,
    TOO_LONG,
    Connection,
)
from easymo.load.distribution import read
from easymo.load.histogram import Histogram
from easymo.load.live import Sight
from easymo.load.request import Request
from easymo.load.result import LoadResult, Tally, Visits, in_order, with_ratios
from easymo.load.schedule import FIRST_READ, REPEATED_READ, Arrival, Schedule

_FAILURES = {
    TIMEOUT: "timeout",
    CONNECT_FAILED: "connect",
    CONNECTION_LOST: "connection_lost",
    MALFORMED: "malformed",
    NO_CONNECTION: "no_connection",
    TOO_LONG: "too_long",
}
WRONG_ANSWER, REDIRECT = "wrong_answer", "redirect"
_NS_PER_MS = 1_000_000
_SECONDS_OPEN = 60  # encoding one takes a millisecond: not during a short run, nor before all of it is answered
_REASONS = 1000


def error_of(request: Request, outcome: int) -> str | None:
    """The name of the error that an outcome is for this request, None when it went well."""
    if outcome <= 0:
        return _FAILURES[outcome]
    if request.expects(outcome):
        return None
    return "status_429" if outcome == 429 else "status_5xx" if outcome >= 500 else "status_unexpected"


class _Times:
    """Times in µs, put into a histogram some at a time: cheaper than one by one, and never long enough to be late."""

    _AT_ONCE = 256

    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._histogram = Histogram()

    def add(self, time_us: int) -> None:
        self._waiting.append(time_us)
        if len(self._waiting) == self._AT_ONCE:
            self.histogram()

    def histogram(self) -> Histogram:
        self._histogram.record(self._waiting)
        self._waiting.clear()
        return self._histogram


class _Kind:
    """The counted requests of one name."""

    def __init__(self) -> None:
        self.requests = 0
        self.errors = Counter[str]()
        self.latencies = _Times()
        self.answers = AnswerCounts()


class _Second:
    """The requests that were due in one second."""

    def __init__(self, counted: bool) -> None:
        self.counted = counted
        self.fired = self.done = self.errors = 0
        self.latencies, self.lateness = _Times(), _Times()


class _Visits:
    def __init__(self) -> None:
        self.begun = self.finished = 0
        self.left_at = Counter[str]()


class Recorder:
    """What happens to the requests of a schedule; times are given in ns since the start of the run."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._warm_up_ms = round(schedule.warm_up_s * 1000)
        self._kinds = [_Kind() for _ in schedule.requests]
        self._first = -self._warm_up_ms // 1000
        self._seconds: dict[int, _Second] = {}  # those that are not in `_timeline` yet, from the end of the warm-up
        self._timeline: dict[int, Tally] = {}
        self._lateness, self._service, self._first_byte = Histogram(), _Times(), _Times()
        self._reads = [0, 0, 0]
        self._visits: dict[str, _Visits] = {}
        self._sent = 0

    def fired(self, request: Arrival, at_ns: int) -> None:
        """The generator acted on the request: wrote it to an open connection, or began to open one."""
        number = (request.due_ms - self._warm_up_ms) // 1000
        second = self._seconds.get(number)
        if second is None:
            second = self._seconds[number] = _Second(number >= 0)
        second.fired += 1
        request.second, request.fired_ns = second, at_ns
        self._sent += 1
        if len(self._seconds) > _SECONDS_OPEN:
            self._close_oldest()

    def done(
        self, request: Arrival, outcome: int, at_ns: int, reply: Connection | None, error: str | None, first_ns: int
    ) -> None:
        """The request has its outcome: a status with a reply, or one of the constants of `easymo.load.connection`."""
        second: _Second = request.second
        second.done += 1
        due_ns = request.due_ms * _NS_PER_MS
        timed = error is None or outcome == TIMEOUT
        latency_us = (at_ns - due_ns) // 1000
        if timed:
            second.latencies.add(latency_us)
        if error is not None:
            second.errors += 1
        second.lateness.add((request.fired_ns - due_ns) // 1000)
        if not second.counted:
            return
        kind = self._kinds[request.kind]
        kind.requests += 1
        self._reads[request.read] += 1
        if error is not None:
            kind.errors[error] += 1
        if timed:
            kind.latencies.add(latency_us)
            self._service.add((at_ns - request.fired_ns) // 1000)
        if outcome > 0 and reply is not None:
            kind.answers.count(outcome, reply.body_bytes, reply.location, error)
            if error is None:
                self._first_byte.add((first_ns - due_ns) // 1000 if first_ns else latency_us)

    def wrong(self, request: Arrival, reason: str) -> None:
        """Why the answer to a request was wrong."""
        if request.second.counted:
            wrong = self._kinds[request.kind].answers.wrong
            wrong[reason if reason in wrong or len(wrong) < _REASONS else OTHER] += 1

    def visit(self, name: str, begins: bool, ends: bool, left_at: str | None) -> None:
        """A visitor has its first answer, its last one, or one after which it leaves."""
        visits = self._visits.setdefault(name, _Visits())
        visits.begun += begins
        visits.finished += ends and left_at is None
        if left_at is not None:
            visits.left_at[left_at] += 1

    def sight(self, second: int) -> Sight:
        """What became so far of the requests that were due in the `second`-th second of the run (1 is the first)."""
        seen = self._seconds.get(self._first + second - 1) or _Second(False)
        return Sight(
            second=second,
            requests=seen.fired,
            errors=seen.errors,
            latency_ms=read(seen.latencies.histogram()),
            lateness_ms=read(seen.lateness.histogram()),
        )

    def result(self, *, cpu_s: float, priority: str, stopped_at_s: float | None) -> LoadResult:
        """What the run amounts to; `stopped_at_s` is when it was interrupted."""
        while self._seconds:
            self._close_oldest()
        schedule = self._schedule
        kinds = {r.name: k for r, k in zip(schedule.requests, self._kinds, strict=True) if k.requests}
        statuses, errors = Counter[str](), Counter[str]()
        latencies = Histogram()
        for kind in kinds.values():
            errors.update(kind.errors)
            latencies.merge(kind.latencies.histogram())
            for status, count in kind.answers.statuses.items():
                statuses["429" if status == 429 else f"{status // 100}xx"] += count
        length_s = schedule.duration_s if stopped_at_s is None else max(stopped_at_s - schedule.warm_up_s, 0.001)
        return with_ratios(
            LoadResult(
                seed=schedule.seed,
                salt=schedule.salt,
                duration_s=length_s,
                requests=sum(kind.requests for kind in kinds.values()),
                sent=self._sent,
                errors=in_order(errors),
                statuses=in_order(statuses),
                latency_ms=read(latencies),
                service_ms=read(self._service.histogram()),
                lateness_ms=read(self._lateness),
                per_request={
                    name: Tally(kind.requests, kind.errors.total(), read(kind.latencies.histogram()))
                    for name, kind in kinds.items()
                },
                timeline=[
                    self._timeline.get(number, Tally(0, 0, None))
                    for number in range(max(self._timeline, default=-1) + 1)
                ],
                reads=self._reads[FIRST_READ] + self._reads[REPEATED_READ],
                repeated_reads=self._reads[REPEATED_READ],
                cpu_s=cpu_s,
                priority=priority,
                answers={name: kind.answers.answers() for name, kind in kinds.items()},
                first_byte_ms=read(self._first_byte.histogram()),
                visits={
                    name: Visits(visits.begun, visits.finished, in_order(visits.left_at))
                    for name, visits in self._visits.items()
                },
                interrupted=stopped_at_s is not None,
            )
        )

    def _close_oldest(self) -> None:
        """Keeps only the encoded form of a second that is over; one still waiting for answers gets what it has."""
        number = min(self._seconds)
        second = self._seconds.pop(number)
        if second.counted:
            self._lateness.merge(second.lateness.histogram())
            self._timeline[number] = Tally(second.done, second.errors, read(second.latencies.histogram()))
