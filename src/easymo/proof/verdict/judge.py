"""From measurements to *kept*, *broken* or *inconclusive*: pure, no I/O.

The rule, one for all promises: *kept* when the whole 95 % interval is on the promised side of the limit, *broken* when
all of it is beyond, otherwise *inconclusive*. The limit is the claim itself (:mod:`.promises`). Around it:

1. Gains ("at least 20 % faster") and guards ("no slower") are two families. Each gain is a claim of its own, so both
   decisions on gains are adjusted together by Holm. That nothing got worse is *one* claim, kept when every guard is:
   there a guard needs no adjustment (intersection-union, Berger 1982). That a guard is broken is adjusted over the
   guards, in which the P50 of all requests weighs most.
2. A machine on which a side differs from itself for certain decides nothing.
3. The exact sign-flip test must agree, from eight pairs on: it holds whatever the noise is like.
4. A difference that shrinks during the comparison decides nothing when it would be gone after some more pairs.
5. A gain of a side that answers differently, or with more errors, is none (:mod:`.guards`).
"""

import math
from typing import Literal

from msgspec import Struct, structs

from easymo.proof.verdict import estimates, statistics
from easymo.proof.verdict.estimates import Paired
from easymo.proof.verdict.measurement import ArmCapacity, Measurements, Phase, Round
from easymo.proof.verdict.promises import MARGIN, Promise
from easymo.proof.verdict.statistics import Estimate, Student

Decision = Literal["kept", "broken", "inconclusive"]
#: Weight of the P50 of all requests among the guards; every other guard has 1.
MAIN_WEIGHT = 4.0
#: From so many pairs on the exact test can be as sure as a verdict must be (2 / 2**8 < 1 %).
EXACT_FROM = 8


class Verdict(Struct, frozen=True):
    """One promise judged. `interval` (95 %) is of `change`, or of `after` for a level; None where there is none.

    `None` inside the interval is an open end (the top step of the capacity search still held). `limit` is the bound
    with its `margin`, an upper one when `at_most` (None in files of earlier versions); `n` says of how many units the
    interval is made; `next_step` what would decide an undecided one.
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
    margin: float = 0.0
    at_most: bool | None = None
    guard: bool = False
    n: int | None = None
    next_step: str = ""


class _Tested(Struct, frozen=True):
    """A verdict from pairs before the families are adjusted: its spread, and the limit on the same (log) scale."""

    promise: Promise
    verdict: Verdict
    spread: Student
    limit: float

    @property
    def quantity(self) -> str:
        return f"{self.promise.kind} of {self.promise.metric}"

    @property
    def p(self) -> float:
        """Of the limit being the truth: two-sided for a gain, one-sided for a guard, of which only harm is adjusted."""
        two_sided = self.spread.p(self.limit)
        return two_sided / 2 if self.promise.guard else two_sided


def decide(promise: Promise, interval: Estimate) -> Decision:
    """The rule itself, on the interval of the bounded quantity."""
    low, high = promise.holds(interval.lo), promise.holds(interval.hi)
    if low and high:
        return "kept"
    return "inconclusive" if low or high else "broken"


def judge(
    promises: list[Promise], measured: Measurements, before: str, after: str, confidence: float = 0.95
) -> list[Verdict]:
    """Judge every promise on sides `before` and `after`.

    Paired promises are decided at `confidence`; the interval that a verdict shows is always the 95 % one.
    """
    pairs = measured.pairs(before, after)
    noise = measured.against_itself(before, after)
    found: list[Verdict | _Tested] = []
    for promise in promises:
        if promise.of.how == "capacity":
            found.append(_capacity(promise, measured, before, after))
        elif promise.of.how == "errors":
            found.append(_errors(promise, measured, before, after))
        elif promise.of.how == "once":
            found.append(_once(promise, measured))
        elif (estimate := estimates.paired(pairs, promise.of)) is None:
            found.append(verdict_of(promise, "inconclusive", estimates.why_not(promise.of, pairs)))
        else:
            found.append(_paired(promise, estimate, noise, len(pairs), confidence))
    return _adjusted(found, 1 - confidence)


def is_paired(promise: Promise) -> bool:
    """Whether the promise is judged on pairs of comparison rounds."""
    return promise.of.how == "pairs"


def verdict_of(
    promise: Promise,
    decision: Decision,
    reason: str,
    *,
    before: float | None = None,
    after: float | None = None,
    change: float | None = None,
    interval: Estimate | None = None,
    p_sign_flip: float | None = None,
    n: int | None = None,
    next_step: str = "",
) -> Verdict:
    """The verdict on `promise`; `change` follows from the levels unless it is given."""
    ends: list[float | None] | None = None
    if interval is not None:
        ends = [None if math.isinf(end) else end for end in (interval.lo, interval.hi)]
    if change is None and before and after is not None:
        change = after / before - 1
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
        margin=promise.margin,
        at_most=promise.at_most is not None,
        guard=promise.guard,
        n=n,
        next_step=next_step if decision == "inconclusive" else "",
    )


def _paired(
    promise: Promise, found: Paired, noise: list[tuple[Round, Round]], pairs: int, confidence: float
) -> Verdict | _Tested:
    spread = found.change if promise.kind == "change" else found.level
    shown, deciding = (_bounded(promise, spread, at) for at in (0.95, confidence))
    decision, reason = decide(promise, deciding), found.said
    unsteady = _unsteady(promise, noise)
    limit = promise.limit + 1 if promise.kind == "change" else promise.limit
    log_limit = math.log(limit) if limit > 0 else -math.inf
    flip = exact = None
    if 0 < len(found.logs) <= estimates.MOST_FLIPPED:
        flip = statistics.sign_flip_p(found.logs)
        exact = statistics.sign_flip_p([one - log_limit for one in found.logs])
    line = estimates.shrinking(found.logs) if promise.kind == "change" else None
    if unsteady:
        decision, reason = "inconclusive", unsteady
    elif line is not None and decision != "inconclusive":
        later = math.expm1(line.at(estimates.GOING_ON * len(found.logs)))
        if decide(promise, Estimate(later, later, later)) != decision:
            first, last = math.expm1(line.first), math.expm1(line.at(len(found.logs) - 1))
            decision = "inconclusive"
            reason = f"{reason}; the difference shrank from {first:+.0%} to {last:+.0%}: one side was still warming up"
    if promise.kind == "change" and exact is not None and len(found.logs) >= EXACT_FROM and exact > 1 - confidence:
        decision = "inconclusive"
    verdict = verdict_of(
        promise,
        decision,
        reason,
        before=found.before,
        after=found.after,
        change=math.expm1(found.change.mean),
        interval=shown,
        p_sign_flip=flip,
        n=pairs,
        next_step="" if unsteady else _pairs_needed(spread, log_limit, pairs),
    )
    return verdict if unsteady else _Tested(promise, verdict, spread, log_limit)


def _bounded(promise: Promise, spread: Student, confidence: float) -> Estimate:
    return spread.change(confidence) if promise.kind == "change" else spread.level(confidence)


def _unsteady(promise: Promise, noise: list[tuple[Round, Round]]) -> str:
    """Why a machine on which a side differs from itself by more than the margin decides nothing."""
    found = estimates.paired(noise, promise.of)
    if found is None:
        return ""
    itself = found.change.change()
    if itself.lo <= MARGIN and itself.hi >= -MARGIN:
        return ""
    return f"a side differed from itself by {itself.lo:+.0%} to {itself.hi:+.0%}: the machine was not steady"


def _pairs_needed(spread: Student, limit: float, pairs: int) -> str:
    """About how many pairs would decide, if the rest goes on as it began: 0.95 quantiles of both errors."""
    distance = abs(spread.mean - limit)
    if not 0 < distance < math.inf:
        return ""
    needed = math.ceil(pairs * (spread.error * (1.96 + 0.85) / distance) ** 2)
    if needed > 40 * pairs:
        return "no number of pairs is likely to decide it: the difference is at the limit"
    return f"about {max(needed, pairs + 2)} pairs would decide"


def _adjusted(found: list[Verdict | _Tested], significance: float) -> list[Verdict]:
    """The verdicts, after Holm's adjustment within each of the two families."""
    gains = [t for t in found if isinstance(t, _Tested) and not t.promise.guard]
    guards = [t for t in found if isinstance(t, _Tested) and t.promise.guard]
    p_of = dict(zip(map(id, gains), statistics.holm([t.p for t in gains], [t.quantity for t in gains]), strict=True))
    weights = [MAIN_WEIGHT if t.promise.metric == "latency_p50" else 1.0 for t in guards]
    harm = statistics.holm([t.p for t in guards], [t.quantity for t in guards], weights)
    p_of |= dict(zip(map(id, guards), harm, strict=True))
    return [one if isinstance(one, Verdict) else _after_holm(one, p_of[id(one)], significance) for one in found]


def _after_holm(tested: _Tested, p: float, significance: float) -> Verdict:
    verdict = tested.verdict
    adjusted = verdict.verdict == "broken" or (verdict.verdict == "kept" and not tested.promise.guard)
    if p <= significance or not adjusted:
        return verdict
    family = "guards" if tested.promise.guard else "gains"
    reason = f"{verdict.reason}; not decided after Holm's adjustment over the {family} (p = {p:.3f})"
    step = _pairs_needed(tested.spread, tested.limit, verdict.n or 2)
    return structs.replace(verdict, verdict="inconclusive", reason=reason, next_step=step)


def _once(promise: Promise, measured: Measurements) -> Verdict:
    """A level that a run measures once: decided by its value, for there is nothing to make an interval of."""
    value = measured.once.get(promise.metric)
    if value is None:
        return verdict_of(promise, "inconclusive", f"{promise.metric} was not measured in this run")
    decision: Decision = "kept" if promise.holds(value) else "broken"
    return verdict_of(promise, decision, "measured once, so it has no interval", after=value, n=1)


def _capacity(promise: Promise, measured: Measurements, before: str, after: str) -> Verdict:
    """From the lowest rate that a search of one side held to the highest that failed in a search of it."""
    searches = measured.capacity.get(before, []), measured.capacity.get(after, [])
    if not all(searches):
        return verdict_of(promise, "inconclusive", "the capacity of both sides was not measured")
    lowest = [min(search.held_rps for search in side) for side in searches]
    first, second = held(searches[0]), held(searches[1])
    top = [max(search.failed_rps or math.inf for search in side) for side in searches]
    level = Estimate(second, lowest[1], top[1])
    if lowest[0] <= 0:
        return verdict_of(promise, "inconclusive", "the baseline held no step at all", after=second)
    change = Estimate(second / first - 1, lowest[1] / top[0] - 1, top[1] / lowest[0] - 1)
    interval = change if promise.kind == "change" else level
    counts = [len(side) for side in searches]
    return verdict_of(
        promise,
        decide(promise, interval),
        f"{counts[0]} and {counts[1]} searches; lowest rate held to highest rate failed twice",
        before=first,
        after=second,
        interval=interval,
        n=min(counts),
        next_step="a finer search would decide (--full)",
    )


def held(searches: list[ArmCapacity]) -> float:
    """The capacity that several searches of one side came to."""
    return _middle([search.held_rps for search in searches])


def _middle(values: list[float]) -> float:
    """Geometric mean, to a whole request per second; 0 where one is 0."""
    return float(round(math.exp(sum(map(math.log, values)) / len(values)))) if min(values) > 0 else 0.0


def _errors(promise: Promise, measured: Measurements, before: str, after: str) -> Verdict:
    """Errors of the stress rounds at the metric's rate, or without one those of the comparison's rounds."""
    rate = promise.of.rate_rps
    phase: Phase = "compare" if rate is None else "stress"
    first, second = (measured.of(arm, phase, rate) for arm in (before, after))
    if not first or not second:
        at = "" if rate is None else f" at {rate:g} requests/s"
        return verdict_of(promise, "inconclusive", f"no {phase} round{at} that counts")
    old, new = error_bounds(first), error_bounds(second)
    requests = sum(r.load.requests for r in second)
    if promise.kind == "level":
        interval = new
    elif old.lo > 0:
        interval = Estimate(new.value / old.value - 1, new.lo / old.hi - 1, new.hi / old.lo - 1)
    else:
        why = "the baseline had too few errors, so no change of them can be stated"
        return verdict_of(promise, "inconclusive", why, before=old.value, after=new.value)
    return verdict_of(
        promise,
        decide(promise, interval),
        f"{len(second)} {phase} round{'s' if len(second) > 1 else ''} of each side, {requests:,} requests",
        before=old.value,
        after=new.value,
        interval=interval,
        n=requests,
        next_step=_requests_needed(new, promise.limit, requests) if promise.kind == "level" else "",
    )


def error_bounds(rounds: list[Round], request: str | None = None, confidence: float = 0.95) -> Estimate:
    """Share of errors in the rounds with its bounds, of one kind of request or of all."""
    if request is None:
        counts = [(t.errors, t.requests) for r in rounds for t in r.load.timeline]
        counts = counts or [(sum(r.load.errors.values()), r.load.requests) for r in rounds]
        wide = statistics.dispersion([k for k, _ in counts], [n for _, n in counts])
        events, trials = sum(sum(r.load.errors.values()) for r in rounds), sum(r.load.requests for r in rounds)
    else:
        named = [r.load.per_request[request] for r in rounds if request in r.load.per_request]
        wide = statistics.dispersion([t.errors for t in named], [t.requests for t in named])
        events, trials = sum(t.errors for t in named), sum(t.requests for t in named)
    return statistics.binomial_bounds(events / wide, trials / wide, confidence) if trials else Estimate(0.0, 0.0, 1.0)


def _requests_needed(found: Estimate, limit: float, requests: int) -> str:
    distance = abs(found.value - limit)
    if not distance:
        return "no number of requests is likely to decide it: the errors are at the limit"
    needed = math.ceil(max(found.value, limit) * (2.8 / distance) ** 2)
    return f"about {max(needed, requests + 100):,} requests at this rate would decide"
