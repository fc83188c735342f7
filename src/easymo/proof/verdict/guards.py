"""What every comparison promises without being asked: the same answers, and no more errors than before. Pure.

A service that fails fast is fast. So these two rows stand in every table, and what breaks one of them takes every gain
of the same requests with it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from easymo.load.answers import Answers, add_answers
from easymo.proof.verdict import statistics
from easymo.proof.verdict.judge import Decision, Verdict, error_bounds, verdict_of
from easymo.proof.verdict.measurement import Measurements, Round
from easymo.proof.verdict.metrics import metric
from easymo.proof.verdict.promises import Promise
from easymo.proof.verdict.statistics import Estimate

SOURCE = "asked of every comparison"
SAME_ANSWERS, NO_MORE_ERRORS = "same-answers", "no-more-errors"
#: Errors may be more by this share of all requests: below it no run of some minutes can tell.
ERROR_MARGIN = 0.005
#: Answers of another kind (status, redirect, empty page) count from this share of a request's answers on.
SHARE_MARGIN = 0.01
#: The mean size of a request's pages may differ by this ratio.
SIZE_MARGIN = 0.10
#: Answers whose kind differs in so few requests are left to chance.
CONFIDENCE = 0.99


class Harm(Struct, frozen=True):
    """What is wrong with the side after: per request name one sentence; under "" of all requests."""

    answers: dict[str, str]
    errors: dict[str, str]


def implicit(measured: Measurements, before: str, after: str) -> tuple[list[Verdict], Harm]:
    """The two rows, and the requests whose gains they void."""
    rounds = [[pair[side] for pair in measured.pairs(before, after)] for side in (0, 1)]
    answers, said, unsure = _answers(measured, rounds)
    errors, row = _errors(rounds)
    return [_same_answers(measured, rounds, answers, said, unsure), row], Harm(answers, errors)


def without_harmed_gains(verdicts: Sequence[Verdict], harm: Harm) -> list[Verdict]:
    """The verdicts, those gains undecided that may come from different answers or from more errors."""
    return [_voided(verdict, harm) for verdict in verdicts]


def _voided(verdict: Verdict, harm: Harm) -> Verdict:
    if verdict.verdict != "kept" or metric(verdict.metric).how == "once":
        return verdict
    request = metric(verdict.metric).request
    for said in (harm.answers, harm.errors):
        named = said if request is None else {name: why for name, why in said.items() if name in ("", request)}
        if named:
            name, why = next(iter(named.items()))
            reason = f"void: {f'{name}: ' if name else ''}{why}"
            return structs.replace(verdict, verdict="inconclusive", reason=reason, next_step="repair that first")
    return verdict


def _row(identity: str, claim: str, about: str, at_most: float) -> Promise:
    return Promise(id=identity, claim=claim, source=SOURCE, metric=about, kind="level", at_most=at_most)


def _same_answers(
    measured: Measurements, rounds: list[list[Round]], found: Mapping[str, str], said: str, unsure: str
) -> Verdict:
    promise = _row(SAME_ANSWERS, "the same answers as before", "error_ratio", 0.0)
    asked = measured.answers.asked if measured.answers is not None else 0
    seen = sum(r.load.requests for r in rounds[1])
    decision: Decision = "broken" if found else "inconclusive" if unsure else "kept"
    if found:
        reason = "; ".join(f"{name}: {why}" for name, why in list(found.items())[:3])
        reason += f"; and {len(found) - 3} more requests" if len(found) > 3 else ""
    else:
        reason = unsure or said
    base = verdict_of(promise, decision, reason, n=asked or seen, next_step="see what is unstable, and leave it out")
    return structs.replace(base, metric="same_answers", unit="answers", guard=True)


def _answers(measured: Measurements, rounds: list[list[Round]]) -> tuple[dict[str, str], str, str]:
    """Differences per request name, what is said without any, and why nothing can be said."""
    compared = measured.answers
    found = {}
    if compared is not None:
        for name, one in compared.differing.items():
            found[name] = f"{one.count} of {one.of} answers differ ({one.what})"
    for name, why in kinds_differ(rounds[0], rounds[1]).items():
        found.setdefault(name, why)
    if compared is None:
        return found, "statuses, redirects and sizes of the rounds; no answer was read", ""
    unstable = [name for name, places in compared.unstable.items() if any(not p.startswith("status") for p in places)]
    said = f"{compared.asked} requests asked of both sides"
    if unstable:
        said += f"; not judged, they differ by nature: {', '.join(unstable)}"
    return found, said, "" if compared.asked else "no request could be asked of both sides"


def kinds_differ(before: Sequence[Round], after: Sequence[Round]) -> dict[str, str]:
    """Request names whose answers in the rounds are of another kind: status, redirect, empty or of another size."""
    names = dict.fromkeys(name for r in (*before, *after) for name in r.load.answers)
    found = {}
    for name in names:
        sides = [[r.load.answers[name] for r in rounds if name in r.load.answers] for rounds in (before, after)]
        if all(sides) and (why := _other_kind(*sides) or _other_size(*sides)):
            found[name] = why
    return found


def _other_kind(before: list[Answers], after: list[Answers]) -> str:
    wholes = [add_answers(side) for side in (before, after)]
    old, new = map(_kinds, wholes)
    totals = [sum(whole.statuses.values()) for whole in wholes]
    if not all(totals):
        return ""
    for kind in sorted(old.keys() | new.keys()):
        bounds = [
            statistics.binomial_bounds(side[kind], total, CONFIDENCE)
            for side, total in zip((old, new), totals, strict=True)
        ]
        apart = statistics.difference(*bounds)
        if apart.lo > SHARE_MARGIN or apart.hi < -SHARE_MARGIN:
            return f"{kind}: {bounds[0].value:.0%} of the answers before, {bounds[1].value:.0%} after"
    return ""


def _kinds(found: Answers) -> Counter[str]:
    """Answers by what a caller gets; errors of the server are the other row's business."""
    kinds = Counter({f"status {code}": n for code, n in found.statuses.items() if code < 500 and code != 429})
    kinds.update({f"redirect to {place}": n for place, n in found.redirects.items()})
    if empty := found.sizes.get(0, 0):
        kinds["empty page"] = empty
    return kinds


def _other_size(before: list[Answers], after: list[Answers]) -> str:
    old, new = (add_answers(side) for side in (before, after))
    means = [_mean_size(side) for side in (old, new)]
    sizes = [[_mean_size(one) for one in side] for side in (before, after)]
    if len(before) != len(after) or len(before) < 3 or None in (*sizes[0], *sizes[1]):
        return ""
    logs = statistics.log_ratios([1 + (s or 0.0) for s in sizes[0]], [1 + (s or 0.0) for s in sizes[1]])
    apart = statistics.of_mean(logs).change(CONFIDENCE)
    if apart.lo <= SIZE_MARGIN and apart.hi >= -SIZE_MARGIN:
        return ""
    return f"pages of {means[0]:,.0f} bytes before and {means[1]:,.0f} after"


def _mean_size(found: Answers) -> float | None:
    pages = sum(found.sizes.values())
    return sum(size * count for size, count in found.sizes.items()) / pages if pages else None


def _errors(rounds: list[list[Round]]) -> tuple[dict[str, str], Verdict]:
    """Request names with more errors than before, and the row on all requests."""
    promise = _row(NO_MORE_ERRORS, "no more errors than before", "error_ratio", ERROR_MARGIN)
    if not all(rounds):
        return {}, _guard_row(promise, "inconclusive", "no complete pair of rounds", None, None, None)
    found = {}
    names = ["", *dict.fromkeys(n for r in rounds[1] for n in r.load.per_request)]
    for name in names:
        old, new = (error_bounds(side, name or None, 1 - 0.05 / len(names)) for side in rounds)
        if statistics.difference(old, new).lo > 0:
            found[name] = f"{old.value:.1%} errors before, {new.value:.1%} after"
    old, new = (error_bounds(side) for side in rounds)
    apart = statistics.difference(old, new)
    decision: Decision = "broken" if found else "kept" if apart.hi <= ERROR_MARGIN else "inconclusive"
    kinds = Counter[str]()
    for round_ in rounds[1]:
        kinds.update(round_.load.errors)
    named = [f"{name}: {why}" for name, why in found.items() if name] or list(found.values())
    reason = "; ".join(named[:3]) if found else f"{sum(r.load.requests for r in rounds[1]):,} requests on each side"
    if found and kinds:
        reason += f" ({', '.join(f'{count} × {kind}' for kind, count in kinds.most_common(3))})"
    return found, _guard_row(promise, decision, reason, old, new, apart)


def _guard_row(
    promise: Promise,
    decision: Decision,
    reason: str,
    old: Estimate | None,
    new: Estimate | None,
    apart: Estimate | None,
) -> Verdict:
    """A row on the difference of two shares: `limit` and `interval` are of that difference."""
    verdict = verdict_of(
        promise,
        decision,
        reason,
        before=None if old is None else old.value,
        after=None if new is None else new.value,
        interval=apart,
        next_step="a higher rate or more pairs would decide",
    )
    return structs.replace(verdict, kind="difference", guard=True)
