"""Results: what a run amounts to, and the sum of the results of several processes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest

import msgspec

from easymo.load.answers import Answers, add_answers
from easymo.load.distribution import Distribution, add

_LATENESS_ALLOWED_MS = 5.0
_LATENESS_ALLOWED_OF_P95 = 0.1


class Visits(msgspec.Struct, frozen=True):
    """The visitors of one name: how many came, how many got to the end, and at which step the others left."""

    begun: int
    finished: int
    left_at: dict[str, int]


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

    `first_byte_ms` is until the first byte of an answer, from the intended time, too.

    An error is, by the keys of `errors`: `status_5xx`, `status_429` or `status_unexpected` (not expected by the
    request), `wrong_answer` (the request's own check), `redirect` (one that could not be followed), `timeout`,
    `connect`, `connection_lost`, `malformed`, `no_connection`, `too_long` (a body to be checked over 16 MiB).
    `statuses` counts the answers as `2xx`, `3xx`, `4xx`, `5xx`, and 429 apart.

    `rate_rps` is requests started per second, `goodput_rps` those that were answered without error.
    `repeat_read_ratio` is the share of GETs whose path had been requested before in the run. `timeline` has one tally
    per second of the counted stretch. `visits` counts visitors by name, `answers` what was answered by request name. A
    run that was stopped is `interrupted`: `duration_s` is how far it came, and what was under way is not in it. `cpu_s`
    is what the generator used for the whole run, warm-up too; `priority` is the scheduling it had (`fifo`, `nice`,
    `normal`).

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
    first_byte_ms: Distribution | None = None
    visits: dict[str, Visits] = {}
    interrupted: bool = False


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
        errors=in_order(sum((Counter(result.errors) for result in results), Counter())),
        statuses=in_order(sum((Counter(result.statuses) for result in results), Counter())),
        latency_ms=add(result.latency_ms for result in results),
        service_ms=add(result.service_ms for result in results),
        lateness_ms=add(result.lateness_ms for result in results),
        per_request={
            name: add_tallies([r.per_request[name] for r in results if name in r.per_request]) for name in names
        },
        timeline=[
            add_tallies([tally for tally in second if tally])
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
        first_byte_ms=add(result.first_byte_ms for result in results),
        visits={
            name: _add_visits([result.visits[name] for result in results if name in result.visits])
            for name in sorted({name for result in results for name in result.visits})
        },
        interrupted=any(result.interrupted for result in results),
    )
    return with_ratios(merged)


def with_ratios(result: LoadResult) -> LoadResult:
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


def add_tallies(tallies: Sequence[Tally]) -> Tally:
    """All the requests of `tallies` together."""
    return Tally(
        requests=sum(tally.requests for tally in tallies),
        errors=sum(tally.errors for tally in tallies),
        latency_ms=add(tally.latency_ms for tally in tallies),
    )


def _add_visits(parts: Sequence[Visits]) -> Visits:
    left_at = sum((Counter(part.left_at) for part in parts), Counter[str]())
    return Visits(sum(part.begun for part in parts), sum(part.finished for part in parts), in_order(left_at))


def in_order(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))
