"""Records what becomes of each request while a run goes on, in a memory that does not grow with their number."""

from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Iterable

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
from easymo.load.result import LoadResult, Tally, Visits, add_tallies, in_order, with_ratios
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
_STATUS_429, _STATUS_5XX, _STATUS_UNEXPECTED = "status_429", "status_5xx", "status_unexpected"
_ERRORS = (None, WRONG_ANSWER, REDIRECT, _STATUS_429, _STATUS_5XX, _STATUS_UNEXPECTED, *_FAILURES.values())
_REDIRECT = 1 << 8  # added to the place of an error: the answer is a redirect
_NS_PER_MS = 1_000_000
_COLUMNS = 10
_CHUNK = 256 * _COLUMNS
_CHUNKS_KEPT = 80  # 20,000 requests, 2 MB: what a comparison plays in a round is worked in after its end
_SECONDS_OPEN = 10
_REASONS = 1000


def error_of(request: Request, outcome: int) -> str | None:
    """The name of the error that an outcome is for this request, None when it went well."""
    if outcome <= 0:
        return _FAILURES[outcome]
    if request.expects(outcome):
        return None
    return _STATUS_429 if outcome == 429 else _STATUS_5XX if outcome >= 500 else _STATUS_UNEXPECTED


class _Kind:
    """The counted requests of one name."""

    def __init__(self) -> None:
        self.requests = 0
        self.errors = Counter[str]()
        self.latencies = Histogram()
        self.answers = AnswerCounts()


class _Second:
    """The counted requests that were due in one second."""

    def __init__(self) -> None:
        self.requests = self.errors = 0
        self.latencies = Histogram()


class _Visits:
    def __init__(self) -> None:
        self.begun = self.finished = 0
        self.left_at = Counter[str]()


class Recorder:
    """What happens to the requests of a schedule; times are given in ns since the start of the run.

    Each outcome is only a row of numbers first: that costs least while the load is sent. Rows are kept in chunks, and
    when there are many of those, the oldest is worked into the histograms, which takes less than a millisecond.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.sent = 0
        self._schedule = schedule
        self._warm_up_ms = round(schedule.warm_up_s * 1000)
        self._rows = array("q")
        self._chunks: deque[array[int]] = deque()
        self._kinds = [_Kind() for _ in schedule.requests]
        self._seconds: dict[int, _Second] = {}  # from the end of the warm-up; those not in `_timeline` yet
        self._timeline: dict[int, Tally] = {}
        self._lateness, self._service, self._first_byte = Histogram(), Histogram(), Histogram()
        self._reads = [0, 0, 0]
        self._visits: dict[str, _Visits] = {}

    def done(
        self, request: Arrival, outcome: int, at_ns: int, reply: Connection | None, error: str | None, first_ns: int
    ) -> None:
        """The request has its outcome: a status with a reply, or one of the constants of `easymo.load.connection`.

        `first_ns` is when the first byte of the reply came, 0 when with the last one.
        """
        due_ms, fired_ns = request.due_ms, request.fired_ns
        due_ns = due_ms * _NS_PER_MS
        rows = self._rows
        rows.extend(
            (
                (due_ms - self._warm_up_ms) // 1000,
                request.kind,
                outcome,
                0 if error is None else _ERRORS.index(error),
                request.read,
                0 if reply is None else reply.body_bytes,
                (at_ns - due_ns) // 1000,
                (fired_ns - due_ns) // 1000,
                (at_ns - fired_ns) // 1000,
                ((first_ns or at_ns) - due_ns) // 1000,
            )
        )
        if reply is not None and reply.location and 300 <= outcome < 400:
            rows[-_COLUMNS + 3] += _REDIRECT
            if due_ms >= self._warm_up_ms:
                self._kinds[request.kind].answers.redirect(reply.location)
        if len(rows) == _CHUNK:
            self._chunks.append(rows)
            self._rows = array("q")
            if len(self._chunks) > _CHUNKS_KEPT:
                self._work_in(self._chunks.popleft())

    def _work_in(self, rows: "array[int]") -> None:
        timed = defaultdict[tuple[int, int], list[int]](list)
        lateness, service, first_byte = list[int](), list[int](), list[int]()
        alike = Counter[tuple[int, ...]]()
        for second, kind, outcome, error, kind_of_read, size, latency, late, served, first in _table(rows):
            if second < 0:
                continue
            alike[second, kind, outcome, error, kind_of_read, size] += 1
            lateness.append(late)
            if not error & ~_REDIRECT or outcome == TIMEOUT:
                timed[second, kind].append(latency)
                service.append(served)
                if outcome > 0:
                    first_byte.append(first)
        for (second, kind, outcome, error, kind_of_read, size), count in alike.items():
            self._count(second, self._kinds[kind], outcome, error, size, count)
            self._reads[kind_of_read] += count
        for (second, kind), latencies in timed.items():
            self._kinds[kind].latencies.record(latencies)
            self._seconds[second].latencies.record(latencies)
        self._lateness.record(lateness)
        self._service.record(service)
        self._first_byte.record(first_byte)
        while len(self._seconds) > _SECONDS_OPEN:
            self._close_oldest()

    def _count(self, second: int, kind: _Kind, outcome: int, error: int, size: int, count: int) -> None:
        tally = self._seconds.setdefault(second, _Second())
        name = _ERRORS[error & ~_REDIRECT]
        kind.requests += count
        tally.requests += count
        if name is not None:
            kind.errors[name] += count
            tally.errors += count
        if outcome > 0:
            kind.answers.count(outcome, size, count, page=error == 0)

    def wrong(self, request: Arrival, reason: str) -> None:
        """Why the answer to a request was wrong."""
        if request.due_ms >= self._warm_up_ms:
            wrong = self._kinds[request.kind].answers.wrong
            wrong[reason if reason in wrong or len(wrong) < _REASONS else OTHER] += 1

    def visit(self, name: str, begins: bool, ends: bool, left_at: str | None) -> None:
        """A visitor has its first answer, its last one, or one after which it leaves."""
        visits = self._visits.setdefault(name, _Visits())
        visits.begun += begins
        visits.finished += ends and left_at is None
        if left_at is not None:
            visits.left_at[left_at] += 1

    def sight(self, second: int, under_way: Iterable[Arrival]) -> Sight:
        """What became so far of the requests that were due in the `second`-th second of the run (1 is the first)."""
        number = second - 1 + -self._warm_up_ms // 1000
        rows = [row for chunk in (*self._chunks, self._rows) for row in _table(chunk) if row[0] == number]
        latencies, lateness = Histogram(), Histogram()
        latencies.record(row[6] for row in rows if not row[3] & ~_REDIRECT or row[2] == TIMEOUT)
        lateness.record(row[7] for row in rows)
        errors = sum(row[3] & ~_REDIRECT > 0 for row in rows)
        requests = len(rows) + sum((r.due_ms - self._warm_up_ms) // 1000 == number for r in under_way)
        return Sight(second, requests, errors, read(latencies), read(lateness))

    def result(self, *, cpu_s: float, priority: str, stopped_at_s: float | None) -> LoadResult:
        """What the run amounts to; `stopped_at_s` is when it was interrupted."""
        self._work_in(sum((*self._chunks, self._rows), array("q")))
        while self._seconds:
            self._close_oldest()
        schedule = self._schedule
        kinds = {r.name: k for r, k in zip(schedule.requests, self._kinds, strict=True) if k.requests}
        statuses, errors = Counter[str](), Counter[str]()
        latencies = Histogram()
        for kind in kinds.values():
            errors.update(kind.errors)
            latencies.merge(kind.latencies)
            for status, count in kind.answers.statuses.items():
                statuses["429" if status == 429 else f"{status // 100}xx"] += count
        length_s = schedule.duration_s if stopped_at_s is None else max(stopped_at_s - schedule.warm_up_s, 0.001)
        return with_ratios(
            LoadResult(
                seed=schedule.seed,
                salt=schedule.salt,
                duration_s=length_s,
                requests=sum(kind.requests for kind in kinds.values()),
                sent=self.sent,
                errors=in_order(errors),
                statuses=in_order(statuses),
                latency_ms=read(latencies),
                service_ms=read(self._service),
                lateness_ms=read(self._lateness),
                per_request={
                    name: Tally(kind.requests, kind.errors.total(), read(kind.latencies))
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
                first_byte_ms=read(self._first_byte),
                visits={
                    name: Visits(visits.begun, visits.finished, in_order(visits.left_at))
                    for name, visits in self._visits.items()
                },
                interrupted=stopped_at_s is not None,
            )
        )

    def _close_oldest(self) -> None:
        """Keeps only the encoded form of a second's latencies."""
        number = min(self._seconds)
        second = self._seconds.pop(number)
        tally = Tally(second.requests, second.errors, read(second.latencies))
        earlier = self._timeline.get(number)  # there is one when a late answer opened the second again
        self._timeline[number] = tally if earlier is None else add_tallies([earlier, tally])


def _table(rows: "array[int]") -> Iterable[tuple[int, ...]]:
    return zip(*(rows[column::_COLUMNS] for column in range(_COLUMNS)), strict=True)
