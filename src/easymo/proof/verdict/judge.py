"""From measurements to *kept*, *broken* or *inconclusive*: pure, no I/O.

The rule (one for all promises): the limit is the promised bound loosened by 5 %. *kept*: the whole 95 % interval is on
the promised side of the limit; *broken*: all of it is beyond; otherwise *inconclusive*. Paired promises are tested
together, so Holm's adjustment may turn one of them inconclusive; promises on one quantity count once.
"""

import math
from typing import Literal

from msgspec import Struct, structs

from easymo.load.distribution import add
from easymo.proof.verdict import statistics
from easymo.proof.verdict.measurement import AA_PHASES, Measurements, Phase, Round
from easymo.proof.verdict.promises import DELTA, ERROR_RATIO, LATENCY, ONCE, Promise
from easymo.proof.verdict.statistics import Estimate

Decision = Literal["kept", "broken", "inconclusive"]
#: Fewest requests in a round for its percentile to mean anything: ten beyond a P99, five beyond a P95 or P50. That a
#: round of few requests is noisy shows in the interval over rounds.
MINIMUM_REQUESTS = {"p50": 10, "p95": 100, "p99": 1000}
#: Fewest groups of pairs that an interval is made of.
FEWEST_GROUPS = 4


class Verdict(Struct, frozen=True):
    """One promise judged. ``interval`` (95 %) is of ``change``, or of ``after`` for a level; None where there is none.

    ``None`` inside the interval is an open end (the top step of the capacity search still held).
    """

    id: str
    claim: str
    source: str
    unit: str
    before: float | None
    after: float | None
    change: float | None
    interval: list[float | None] | None
    verdict: Decision
    basis: Literal["measured", "simulated", "observed"]
    kind: str
    metric: str
    limit: float
    reason: str
    p_sign_flip: float | None = None


class _Paired(Struct, frozen=True):
    verdict: Verdict
    p_limit: float


def decide(promise: Promise, interval: Estimate) -> Decision:
    """The rule itself, on the interval of the bounded quantity."""
    low, high = promise.holds(interval.lo), promise.holds(interval.hi)
    if low and high:
        return "kept"
    return "inconclusive" if low or high else "broken"


def judge(
    promises: list[Promise], measured: Measurements, before: str, after: str, confidence: float = 0.95
) -> list[Verdict]:
    """Judge every promise on arms ``before`` and ``after``.

    Paired promises are decided at ``confidence``; the interval that a verdict shows is always the 95 % one.
    """
    verdicts: list[Verdict | _Paired] = []
    for promise in promises:
        if promise.metric == "capacity_rps":
            verdicts.append(_capacity(promise, measured, before, after))
        elif rate := ERROR_RATIO.match(promise.metric):
            at_rps = float(rate[1]) if rate[1] else None
            verdicts.append(_errors(promise, measured, before, after, at_rps))
        elif promise.metric in ONCE:
            verdicts.append(_once(promise, measured))
        else:
            verdicts.append(_paired(promise, measured, before, after, confidence))
    return _with_holm(verdicts, 1 - confidence)


def is_paired(promise: Promise) -> bool:
    """Whether the promise is judged on pairs of comparison rounds."""
    return promise.metric not in {"capacity_rps", *ONCE} and not ERROR_RATIO.match(promise.metric)


def aa_interval(measured: Measurements, arm: str, metric: str) -> Estimate | None:
    """Change between two sets of rounds of the *same* arm: what the machine's noise alone can do to ``metric``."""
    first, second = (values_of(measured.of(arm, phase), metric) for phase in AA_PHASES)
    if first is None or second is None or len(first) < 2 or len(first) != len(second):
        return None
    return statistics.relative_change(first, second)


def change_between(
    measured: Measurements, before: str, after: str, metric: str, phase: Phase = "compare"
) -> Estimate | None:
    """Change of ``metric`` from one arm to another over their common pairs, promised or not; None without them."""
    pairs = _complete_pairs(measured, before, after, phase)
    first, second = (values_of([pair[side] for pair in pairs], metric) for side in (0, 1))
    if first is None or second is None or len(first) < 2:
        return None
    return statistics.relative_change(first, second)


def _value(round_: Round, metric: str) -> float | None:
    if latency := LATENCY.match(metric):
        percentile, request = latency[1], latency[2]
        enough = round_.requests(request) >= MINIMUM_REQUESTS[percentile]
        return round_.latency_ms(percentile, request) if enough else None
    value = getattr(round_.resources, metric)
    if metric == "db_statements_per_request" and value is not None:
        return float(max(value, 0.5 / max(round_.requests(), 1)))  # below one statement in the round; log needs > 0
    return None if value is None else float(value)


def values_of(rounds: list[Round], metric: str) -> list[float] | None:
    """The metric of each round, all above 0; None where a round has none (or too few requests for it)."""
    values = [_value(r, metric) for r in rounds]
    return None if any(v is None or not 0 < v < math.inf for v in values) else [v for v in values if v is not None]


def _undecided(promise: Promise, reason: str, before: float | None = None, after: float | None = None) -> Verdict:
    change = after / before - 1 if before and after is not None else None
    return _verdict(promise, before, after, change, None, "inconclusive", reason)


def _verdict(
    promise: Promise,
    before: float | None,
    after: float | None,
    change: float | None,
    interval: Estimate | None,
    decision: Decision,
    reason: str,
    p_sign_flip: float | None = None,
) -> Verdict:
    ends: list[float | None] | None = None
    if interval is not None:
        ends = [None if math.isinf(end) else end for end in (interval.lo, interval.hi)]
    return Verdict(
        id=promise.id,
        claim=promise.claim,
        source=promise.source,
        unit=promise.unit,
        before=before,
        after=after,
        change=change,
        interval=ends,
        verdict=decision,
        basis="measured",
        kind=promise.kind,
        metric=promise.metric,
        limit=promise.limit,
        reason=reason,
        p_sign_flip=p_sign_flip,
    )


def _paired(promise: Promise, measured: Measurements, before: str, after: str, confidence: float) -> Verdict | _Paired:
    pairs = _complete_pairs(measured, before, after)
    if len(pairs) < 2:
        return _undecided(promise, "fewer than two complete pairs of rounds")
    if (found := _values_of_pairs(pairs, promise.metric)) is None:
        return _undecided(promise, why_no_value(promise, [r for pair in pairs for r in pair]))
    first, second, reason = found
    change = statistics.relative_change(first, second)
    levels = [statistics.geometric_level(side) for side in (first, second)]
    if promise.kind == "change":
        interval, deciding = change, statistics.relative_change(first, second, confidence)
    else:
        interval, deciding = levels[1], statistics.geometric_level(second, confidence)
    logs = statistics.log_ratios(first, second)
    sign_flip = statistics.sign_flip_p(logs)
    noise = aa_interval(measured, before, promise.metric)
    decision = decide(promise, deciding)
    if noise is not None and (noise.lo > DELTA or noise.hi < -DELTA):
        decision = "inconclusive"
        reason = f"the same arm differed from itself by {noise.lo:+.0%} to {noise.hi:+.0%}: the machine was not steady"
    verdict = _verdict(promise, levels[0].value, levels[1].value, change.value, interval, decision, reason, sign_flip)
    tested, reference = (
        (logs, math.log1p(promise.limit))
        if promise.kind == "change"
        else ([math.log(v) for v in second], math.log(promise.limit) if promise.limit > 0 else -math.inf)
    )
    return _Paired(verdict, statistics.p_against(tested, reference))


def _complete_pairs(
    measured: Measurements, before: str, after: str, phase: Phase = "compare"
) -> list[tuple[Round, Round]]:
    firsts = {r.pair: r for r in measured.of(before, phase)}
    seconds = {r.pair: r for r in measured.of(after, phase)}
    return [(firsts[pair], seconds[pair]) for pair in sorted(firsts.keys() & seconds.keys())]


def why_no_value(promise: Promise, rounds: list[Round]) -> str:
    """Why :func:`values_of` gave none of the promise's metric."""
    if latency := LATENCY.match(promise.metric):
        percentile, request = latency[1], latency[2]
        fewest = min(r.requests(request) for r in rounds)
        if request and not any(r.requests(request) for r in rounds):
            return f"the scenario has no request named {request!r}"
        return f"a round had {fewest} requests; {percentile.upper()} needs {MINIMUM_REQUESTS[percentile]:,} in each"
    return f"{promise.metric} could not be measured on this server"


def _with_holm(verdicts: list[Verdict | _Paired], significance: float) -> list[Verdict]:
    paired = [v for v in verdicts if isinstance(v, _Paired)]
    quantities = [f"{v.verdict.kind} of {v.verdict.metric}" for v in paired]
    adjusted = iter(statistics.holm([v.p_limit for v in paired], quantities))
    final: list[Verdict] = []
    for entry in verdicts:
        if not isinstance(entry, _Paired):
            final.append(entry)
        elif (p := next(adjusted)) > significance and entry.verdict.verdict != "inconclusive":
            reason = (
                f"{entry.verdict.reason}; not decided after Holm's adjustment over {len(set(quantities))} quantities"
                f" (p = {p:.3f})"
            )
            final.append(structs.replace(entry.verdict, verdict="inconclusive", reason=reason))
        else:
            final.append(entry.verdict)
    return final


def _values_of_pairs(pairs: list[tuple[Round, Round]], metric: str) -> tuple[list[float], list[float], str] | None:
    """The metric on both sides and what its units are; None where it cannot be had.

    A request too rare for a P50 of its own in each round gets one for each group of neighbouring pairs.
    """
    first, second = (values_of([pair[side] for pair in pairs], metric) for side in (0, 1))
    if first is not None and second is not None:
        return first, second, f"{len(pairs)} pairs"
    latency = LATENCY.match(metric)
    if latency is None or latency[1] != "p50" or latency[2] is None:
        return None
    groups = _grouped(pairs, latency[2], MINIMUM_REQUESTS["p50"])
    if len(groups) < FEWEST_GROUPS:
        return None
    sides = [[_p50_together([pair[side] for pair in group], latency[2]) for group in groups] for side in (0, 1)]
    known = [[value for value in side if value is not None] for side in sides]
    if any(len(side) < len(groups) for side in known):
        return None
    reason = f"{len(groups)} groups of the {len(pairs)} pairs, each with {MINIMUM_REQUESTS['p50']} of these requests"
    return known[0], known[1], reason


def _grouped(pairs: list[tuple[Round, Round]], request: str, enough: int) -> list[list[tuple[Round, Round]]]:
    """Neighbouring pairs in groups that hold ``enough`` of the request on either side; the rest joins the last one."""
    groups: list[list[tuple[Round, Round]]] = [[]]
    for pair in pairs:
        groups[-1].append(pair)
        if all(sum(one[side].requests(request) for one in groups[-1]) >= enough for side in (0, 1)):
            groups.append([])
    rest = groups.pop()
    if groups:
        groups[-1] += rest
    return groups


def _p50_together(rounds: list[Round], request: str) -> float | None:
    found = add(r.load.per_request[request].latency_ms for r in rounds if request in r.load.per_request)
    return found.p50 if found is not None and found.p50 > 0 else None


def _once(promise: Promise, measured: Measurements) -> Verdict:
    """A level that a run measures once: decided by its value, for there is nothing to make an interval of."""
    value = measured.once.get(promise.metric)
    if value is None:
        return _undecided(promise, f"{promise.metric} was not measured in this run")
    decision: Decision = "kept" if promise.holds(value) else "broken"
    return _verdict(promise, None, value, None, None, decision, "measured once, so it has no interval")


def _capacity(promise: Promise, measured: Measurements, before: str, after: str) -> Verdict:
    if before not in measured.capacity or after not in measured.capacity:
        return _undecided(promise, "the capacity of both arms was not measured")
    first, second = measured.capacity[before], measured.capacity[after]
    if first.held_rps <= 0:
        return _undecided(promise, "the baseline held no step at all", after=second.held_rps)
    top = second.failed_rps if second.failed_rps is not None else math.inf
    level = Estimate(second.held_rps, second.held_rps, top)
    low = second.held_rps / first.failed_rps - 1 if first.failed_rps is not None else -1.0
    change = Estimate(second.held_rps / first.held_rps - 1, low, top / first.held_rps - 1)
    interval = change if promise.kind == "change" else level
    reason = "last step held to first step failed"
    return _verdict(promise, first.held_rps, second.held_rps, change.value, interval, decide(promise, interval), reason)


def _errors(promise: Promise, measured: Measurements, before: str, after: str, rate: float | None) -> Verdict:
    """Errors of the stress rounds at ``rate``, or without one those of the comparison's rounds."""
    phase: Phase = "compare" if rate is None else "stress"
    first, second = (measured.of(arm, phase, rate) for arm in (before, after))
    if not first or not second:
        at = "" if rate is None else f" at {rate:g} requests/s"
        return _undecided(promise, f"no {phase} round{at} that counts")
    ratios = [[r.load.error_ratio for r in rounds] for rounds in (first, second)]
    means = [sum(side) / len(side) for side in ratios]
    change = means[1] / means[0] - 1 if means[0] else None
    if promise.kind == "change":
        if change is None:
            return _undecided(promise, "the baseline had no errors, so no change of them can be stated", *means)
        changes = [b / a - 1 for a, b in zip(*ratios, strict=False) if a]
        interval = Estimate(change, min(changes), max(changes))
    else:
        interval = Estimate(means[1], min(ratios[1]), max(ratios[1]))
    reason = f"{len(second)} {phase} round{'s' if len(second) > 1 else ''} of each arm"
    return _verdict(promise, means[0], means[1], change, interval, decide(promise, interval), reason)
