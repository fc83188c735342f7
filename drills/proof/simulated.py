"""The judge on trial on simulated machines: every kind of noise, searches, errors, tails, families, the gate, cheats.

Everything is asked of the functions that `easymo prove` asks. All lots come from one seed.
"""

import math
import random
from collections.abc import Callable

from msgspec import Struct, structs

from drills.proof.made import AFTER, BEFORE, a_round, drawn, level, match
from drills.proof.noises import NOISES, even
from easymo.load.answers import Answers
from easymo.load.result import Tally
from easymo.proof.session.match import Rules, looks_until
from easymo.proof.verdict import guards, judge, search
from easymo.proof.verdict.answers import answer, compare_answers, normalised
from easymo.proof.verdict.judge import Decision, Verdict
from easymo.proof.verdict.measurement import ArmCapacity, CapacityStep, Measurements, Round
from easymo.proof.verdict.no_worse import few_errors, latencies_no_longer
from easymo.proof.verdict.promises import Promise


class Finding(Struct, frozen=True):
    """One line of the trial: what was asked, in how many of the trials it happened, and what is allowed."""

    asked: str
    happened: int
    trials: int
    allowed: str
    holds: bool


def at_most(asked: str, happened: int, trials: int, share: float) -> Finding:
    """A line that holds when it happened in at most this share of the trials."""
    return Finding(asked, happened, trials, f"≤ {share:.0%}", happened <= round(share * trials, 6))


def at_least(asked: str, happened: int, trials: int, share: float) -> Finding:
    """A line that holds when it happened in at least this share of the trials."""
    return Finding(asked, happened, trials, f"≥ {share:.0%}", happened >= round(share * trials, 6))


def promise(identity: str, metric: str = "latency_p50", **bounds: float) -> Promise:
    kind = "level" if "@" in metric or metric == "error_ratio" else "change"
    return Promise(id=identity, claim=identity, source="the trial", metric=metric, kind=kind, **bounds)  # type: ignore[arg-type]


def one(asked: Promise, measured: Measurements, confidence: float = 0.95) -> Decision:
    [verdict] = judge.judge([asked], measured, BEFORE, AFTER, confidence)
    return verdict.verdict


def noises(lot: random.Random, trials: int) -> list[Finding]:
    """No change at all, under every noise: how often a gain is kept, and how often "no slower" is broken."""
    found = []
    for name, noise in NOISES.items():
        gains = breaks = 0
        for _ in range(trials):
            measured = match(noise, lot, 10)
            gains += one(promise("1 % faster", at_most=-0.01), measured) == "kept"
            breaks += one(promise("no slower", at_most=0.0), measured) == "broken"
        worst = max(gains, breaks)
        found.append(at_most(f"no change, {name}: “1 % faster” kept or “no slower” broken", worst, trials, 0.05))
    return found


def warming(lot: random.Random, trials: int) -> list[Finding]:
    """No change, but the side before is slower by half at first and gets warm within some pairs."""
    found = []
    for pairs in (2.0, 5.0, 8.0):
        kept = 0
        for _ in range(trials):
            measured = match(even(0.05), lot, 10)
            measured.rounds = [
                a_round(r.arm, r.phase, r.pair, level(r.latency_ms("p50") * (1 + 0.5 * math.exp(-r.pair / pairs))))
                if r.arm == BEFORE and r.phase == "compare"
                else r
                for r in measured.rounds
            ]
            kept += one(promise("20 % faster", at_most=-0.20), measured) == "kept"
        found.append(
            at_most(f"the side before still warms for {pairs:g} pairs: “20 % faster” kept", kept, trials, 0.05)
        )
    return found


def searches(lot: random.Random, trials: int) -> list[Finding]:
    """Two searches a side of one true capacity, each step wrong by chance or by one hiccup."""
    kept = lower = found_it = 0
    for _ in range(trials):
        measured = Measurements(capacity={side: _searched(lot, 200.0) for side in (BEFORE, AFTER)})
        kept += one(promise("half again the capacity", "capacity_rps", at_least=0.5), measured) == "kept"
        lower += one(promise("no lower", "capacity_rps", at_least=0.0, about=0.25), measured) == "broken"
        measured.capacity[AFTER] = _searched(lot, 400.0)
        found_it += one(promise("half again the capacity", "capacity_rps", at_least=0.5), measured) == "kept"
    return [
        at_most("no change, a hiccup in every second search: “+50 % capacity” kept", kept, trials, 0.02),
        at_most("no change, a hiccup in every second search: “no lower” broken", lower, trials, 0.02),
        at_least("true +100 % capacity: “+50 %” kept", found_it, trials, 0.8),
    ]


def _searched(lot: random.Random, capacity: float) -> list[ArmCapacity]:
    found: list[ArmCapacity] = []
    for number in range(2):
        steps: list[CapacityStep] = []
        hiccup = lot.randrange(12)
        start = 40.0 if not number else found[0].held_rps or 40.0
        growth = 2.0 if not number else 1.44
        while (rate := search.next_rate(steps, start, 5000, 1.2, growth)) is not None:
            # Near the capacity a step of some seconds holds or fails by chance.
            held = rate <= capacity * math.exp(lot.gauss(0, 0.05)) and len(steps) != hiccup
            steps.append(CapacityStep(rate, held, "", 1.0, 0.0))
        found.append(search.bounds(steps))
    return found


def errors(lot: random.Random, trials: int) -> list[Finding]:
    """Errors at a rate of which 1 % is allowed: two rounds of five seconds at 156 requests/s."""
    limit = promise("at most 1 %", "error_ratio@156", at_most=0.01)
    found = []
    for true, wrong in ((0.008, "broken"), (0.012, "kept"), (0.009, "broken"), (0.015, "kept")):
        happened = sum(one(limit, _stressed(lot, true)) == wrong for _ in range(trials))
        found.append(at_most(f"true errors {true:.1%} of an allowed 1 %: {wrong}", happened, trials, 0.05))
    bursts = sum(one(limit, _stressed(lot, 0.012, bursts=True)) == "kept" for _ in range(trials))
    found.append(at_most("true errors 1.2 % in bursts of a second: kept", bursts, trials, 0.05))
    none = sum(one(limit, _stressed(lot, 0.0005)) == "kept" for _ in range(trials))
    found.append(at_least("true errors 0.05 % of an allowed 1 %: kept", none, trials, 0.9))
    more = sum(_more_errors(lot, 0.01, 0.01) for _ in range(trials))
    found.append(at_most("1 % errors on both sides: “no more errors” broken", more, trials, 0.05))
    seen = sum(_more_errors(lot, 0.0, 0.02) for _ in range(trials))
    found.append(at_least("2 % errors and none before: “no more errors” broken", seen, trials, 0.95))
    return found


def _stressed(lot: random.Random, true: float, *, bursts: bool = False) -> Measurements:
    measured = Measurements()
    for arm in (BEFORE, AFTER):
        for number in range(2):
            burst = lot.randrange(5)
            each = [5 * true * (second == burst) if bursts else true for second in range(5)]
            counts = [sum(lot.random() < share for _ in range(156)) for share in each]
            round_ = a_round(arm, "stress", number, level(10.0, 780), errors=sum(counts), seconds=counts)
            measured.rounds.append(_at(round_, 156.0))
    return measured


def _at(round_: Round, rate_rps: float) -> Round:
    return structs.replace(round_, rate_rps=rate_rps)


def _more_errors(lot: random.Random, before: float, after: float) -> bool:
    measured = Measurements()
    for pair in range(10):
        for arm, share in ((BEFORE, before), (AFTER, after)):
            failed = sum(lot.random() < share for _ in range(200))
            named = {"page": Tally(200, failed, level(10.0))}
            measured.rounds.append(a_round(arm, "compare", pair, level(10.0), errors=failed, named=named))
    rows, _ = guards.implicit(measured, BEFORE, AFTER)
    return next(row for row in rows if row.id == guards.NO_MORE_ERRORS).verdict == "broken"


def tails(lot: random.Random, trials: int) -> list[Finding]:
    """P99 of ten pairs of 200 requests, whose rounds differ by 5 %."""
    longer = halved = 0
    for _ in range(trials):
        same, less = (_tail(lot, effect) for effect in (1.0, 0.55))
        gain = one(promise("1 % shorter", "latency_p99", at_most=-0.01), same) == "kept"
        longer += gain or one(promise("no longer", "latency_p99", at_most=0.0), same) == "broken"
        halved += one(promise("20 % shorter", "latency_p99", at_most=-0.20), less) == "kept"
    return [
        at_most("no change, P99 of ten rounds of 200 requests: called changed", longer, trials, 0.05),
        at_least("true −45 % of that P99: “20 % shorter” kept", halved, trials, 0.95),
    ]


def _tail(lot: random.Random, effect: float) -> Measurements:
    measured = Measurements()
    for pair in range(10):
        for arm in (BEFORE, AFTER):
            ms = 10 * math.exp(lot.gauss(0, 0.05)) * (effect if arm == AFTER else 1.0)
            measured.rounds.append(a_round(arm, "compare", pair, drawn(ms, lot)))
    return measured


def families(lot: random.Random, trials: int) -> list[Finding]:
    """Twenty more promises of "no longer" beside a true +15 % of one of them, and beside none."""
    alone = beside = false = 0
    for _ in range(trials):
        alone += _family(lot, 0)[0].verdict == "broken"
        beside += _family(lot, 20)[0].verdict == "broken"
        false += any(v.verdict == "broken" for v in _family(lot, 20, effect=1.0))
    return [
        at_least("true +15 %, the only promise: broken", alone, trials, 0.84),
        at_least("true +15 % of one of 21 promises: broken", beside, trials, 0.56),
        at_most("no change, 21 promises: any broken", false, trials, 0.05),
    ]


def _family(lot: random.Random, others: int, effect: float = 1.15) -> list[Verdict]:
    names = [f"n{number}" for number in range(others + 1)]
    measured = Measurements()
    for pair in range(10):
        for arm in (BEFORE, AFTER):
            named = {}
            for name in names:
                ms = 10 * math.exp(lot.gauss(0, 0.05)) * (effect if arm == AFTER and name == "n0" else 1.0)
                named[name] = Tally(50, 0, level(ms, 50))
            measured.rounds.append(a_round(arm, "compare", pair, level(10.0), named=named))
    asked = [promise(name, f"latency_p50:{name}", at_most=0.0) for name in names]
    return judge.judge(asked, measured, BEFORE, AFTER)


def gate(lot: random.Random, trials: int) -> list[Finding]:
    """The gate of two deployments as it stands: looks within its budget, three percentiles, errors, answers."""
    green = red = pairs = 0
    for _ in range(trials):
        code, played = _gated(lot, 1.0)
        green, pairs = green + (code == 0), pairs + played
        red += _gated(lot, 1.10)[0] == 1
    minutes = pairs / trials * 2 * 2.4 / 60
    return [
        at_least(f"gate, no change, 5 % a round ({minutes:.1f} min on average): exit 0", green, trials, 0.9),
        at_least("gate, P50 +10 %, 5 % a round: exit 1", red, trials, 0.9),
    ]


#: What the gate's budget has room for at rounds of 2 s.
GATE_PAIRS = 34


def _gated(lot: random.Random, effect: float) -> tuple[int, int]:
    rules = Rules(50.0, 2.0, looks_until(10, GATE_PAIRS))
    # 4.4 % of the machine and 2.5 % of a hundred requests: 5 % in all.
    whole = match(even(0.044), lot, GATE_PAIRS, effect=effect, aa_pairs=0, latency=lambda ms: drawn(ms, lot, 100, 0.2))
    code = 4
    for look, pairs in enumerate(rules.looks):
        measured = Measurements([r for r in whole.rounds if r.phase != "compare" or r.pair < pairs])
        asked = [*latencies_no_longer(measured.rounds), *few_errors()]
        verdicts = judge.judge(asked, measured, BEFORE, AFTER, rules.confidence(look))
        rows, _ = guards.implicit(measured, BEFORE, AFTER)
        decisions = {v.verdict for v in (*verdicts, *rows)}
        code = 1 if "broken" in decisions else 4 if "inconclusive" in decisions else 0
        if "inconclusive" not in {v.verdict for v in verdicts}:
            break
    return code, pairs


#: A cheat: what the side after does, as `(status, size)` of a page of 2,000 bytes, and the share of errors.
CHEATS: dict[str, tuple[dict[int, int], dict[int, int], float]] = {
    "60 % answered with 503": ({200: 80, 503: 120}, {2000: 80}, 0.6),
    "every page empty": ({200: 200}, {0: 200}, 0.0),
    "every page a redirect to /login": ({302: 200}, {}, 0.0),
    "a list cut to a tenth": ({200: 200}, {200: 200}, 0.0),
    "an error page with status 200": ({200: 200}, {35: 200}, 0.0),
    "every tenth page empty": ({200: 200}, {0: 20, 2000: 180}, 0.0),
}


def cheats(lot: random.Random) -> list[Finding]:
    """Sides that are ten times as fast because they do not do the work, seen in the rounds alone."""
    found = []
    for name, (statuses, sizes, failed) in CHEATS.items():
        measured = match(even(0.05), lot, 10, effect=0.1)
        measured.rounds = [_cheating(r, statuses, sizes, failed) for r in measured.rounds]
        rows, harm = guards.implicit(measured, BEFORE, AFTER)
        gain = judge.judge([promise("half", at_most=-0.5)], measured, BEFORE, AFTER)
        kept = guards.without_harmed_gains(gain, harm)[0].verdict == "kept"
        caught = any(row.verdict == "broken" and "page" in row.reason for row in rows) and not kept
        found.append(Finding(f"cheat, {name}: broken, named, and no gain kept", int(caught), 1, "all", caught))
    return [*found, _stale(), _list_order()]


def _cheating(round_: Round, statuses: dict[int, int], sizes: dict[int, int], failed: float) -> Round:
    if round_.arm == BEFORE:
        statuses, sizes, failed = {200: 200}, {2000: 200}, 0.0
    redirects = {"/login": statuses[302]} if 302 in statuses else {}
    answers = {"page": Answers(statuses, redirects, sizes, sum(size * n for size, n in sizes.items()))}
    latency = round_.load.latency_ms
    assert latency is not None
    wrong = round(200 * failed)
    named = {"page": Tally(200, wrong, latency)}
    return a_round(round_.arm, round_.phase, round_.pair, latency, errors=wrong, named=named, answers=answers)


def _stale() -> Finding:
    """After a write the side after still answers what was before: asked one at a time it shows."""

    def said(values: list[int]) -> list[object]:
        bodies = [b'{"balance": %d, "at": "%d"}' % (value, place) for place, value in enumerate(values)]
        leave_out = ["/at"]
        return [
            answer("balance", "GET /balance", 200, "application/json", normalised(body, "application/json", leave_out))
            for body in bodies
        ]

    compared = compare_answers(said([1, 2, 3]), said([1, 2, 3]), said([1, 1, 1]))  # type: ignore[arg-type]
    caught = compared.differing["balance"].count == 2
    return Finding("cheat, stale answers after a write: differ", int(caught), 1, "all", caught)


def _list_order() -> Finding:
    """The same items in another order are another answer."""
    one_way, other = (
        [answer("list", "GET /list", 200, "application/json", normalised(body, "application/json", []))]
        for body in (b"[1, 2, 3]", b"[3, 2, 1]")
    )
    caught = "list" in compare_answers(one_way, one_way, other).differing
    return Finding("cheat, a list in another order: differs", int(caught), 1, "all", caught)


def all_of(seed: int, trials: int) -> list[Finding]:
    """Every simulated line."""
    parts: list[Callable[[random.Random, int], list[Finding]]] = [
        noises,
        warming,
        searches,
        errors,
        families,
        gate,
    ]
    found = [line for part in parts for line in part(random.Random(f"{seed}/{part.__name__}"), trials)]
    found += tails(random.Random(f"{seed}/tails"), max(trials // 5, 40))
    return [*found, *cheats(random.Random(f"{seed}/cheats"))]
