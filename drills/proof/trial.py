"""``make demo-judge``, or ``python -m drills.proof.trial [--seed N]``: the judge on trial, on rounds really played.

Every trial is a whole comparison: four A/A pairs, then ten pairs in drawn order, and ten more where a promise is
undecided and the run has two looks. Its rounds are neighbours in the recording, so that the machine's drift and bursts
are in them, and every round's requests are drawn anew from that round. The arms are the same system, unless a change is
planted. Then the same judge on simulated machines (`drills.proof.simulated`).
"""

import argparse
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import correlation, median, stdev

from msgspec import Struct

from drills.proof import recorded_rounds, simulated
from drills.proof.simulated import Finding
from easymo.load import Distribution, LoadResult
from easymo.proof.session.match import Rules
from easymo.proof.verdict import estimates, judge
from easymo.proof.verdict.judge import Verdict
from easymo.proof.verdict.measurement import AA_PHASES, Measurements, Phase, Resources, Round
from easymo.proof.verdict.metrics import METRICS
from easymo.proof.verdict.promises import Promise

SEED, TRIALS = 20251129, 200
PAIRS, AA_PAIRS = 10, 4
PERCENTILES = ("p50", "p95", "p99")
#: Gains that a note might promise: after / before - 1 at most so much.
GAINS = (-0.01, -0.05, -0.20, -0.48)
FALSE_ALARMS_ALLOWED, FOUND_AT_LEAST = 0.05, 0.80
SLOWER = 1.20
#: Noise up to which ten pairs see 20 % in four of five trials and more.
QUIET = 0.14


class Drawer:
    """Draws a round's requests anew: its recorded latencies, each as often as chance has it."""

    def __init__(self, recorded: recorded_rounds.Recorded) -> None:
        self._latencies = recorded.latencies_us()

    def draw(self, rng: random.Random, factor: float) -> Distribution:
        """Percentiles of as many requests as the round had, every latency times ``factor``.

        Where the k-th of n draws lies is beta-distributed, and the later ones again in what is left, so that three
        numbers do for the whole round.
        """
        count, place, rank, values = len(self._latencies), 0.0, 0, []
        for share in (0.50, 0.95, 0.99):
            wanted = math.ceil(count * share)
            place += (1 - place) * rng.betavariate(wanted - rank, count - wanted + 1)
            rank = wanted
            values.append(self._latencies[int(place * count)] * factor / 1000)
        p50, p95, p99 = values
        return Distribution(count, p50, p95, p99, p99, p99, p50, "")


class Outcome(Struct, frozen=True):
    """One trial with one number of looks: per percentile whether it was called changed, and the promises kept."""

    changed: dict[str, bool]
    kept: set[str]


def gains() -> list[Promise]:
    """One promise per percentile and gain; each is judged alone, without Holm's help."""
    return [
        Promise(
            id=f"{percentile} {gain:+.0%}",
            claim="a gain",
            source="the trial",
            metric=f"latency_{percentile}",
            kind="change",
            at_most=gain,
        )
        for percentile in PERCENTILES
        for gain in GAINS
    ]


def a_round(arm: str, phase: Phase, pair: int, latency: Distribution, void: str | None = None) -> Round:
    """A round as the judge reads it; what the trial does not look at is empty."""
    load = LoadResult(
        seed=pair,
        duration_s=recorded_rounds.ROUND_S,
        salt="",
        requests=latency.count,
        sent=latency.count,
        errors={},
        statuses={"2xx": latency.count},
        latency_ms=latency,
        service_ms=None,
        lateness_ms=None,
        void=void,
        per_request={},
        timeline=[],
        reads=0,
        repeated_reads=0,
        cpu_s=0.0,
        priority="normal",
    )
    return Round(arm, phase, pair, recorded_rounds.RATE_RPS, load, Resources(None, None, None, None))


class Trials:
    """Trials on one recording."""

    def __init__(self, recorded: Sequence[recorded_rounds.Recorded], seed: int) -> None:
        self.ordinary = [Drawer(r) for r in recorded if not r.stalled]
        self.stalled = [Drawer(r) for r in recorded if r.stalled]
        self._rng = random.Random(seed)

    def measure(self, pairs: int, *, factor: float = 1.0, stalled: bool = False) -> Measurements:
        """A/A and comparison rounds from a stretch of the recording that begins anywhere."""
        needed = 2 * (AA_PAIRS + pairs)
        first = len(self.ordinary) - needed if stalled else self._rng.randrange(len(self.ordinary) - needed + 1)
        rounds = iter(self.ordinary[first : first + needed])
        measured = Measurements()
        for pair in range(AA_PAIRS):
            for phase in AA_PHASES if pair % 2 == 0 else reversed(AA_PHASES):
                measured.rounds.append(a_round("none", phase, pair, next(rounds).draw(self._rng, 1.0)))
        for pair in range(pairs):
            for arm in self._rng.sample(("none", "both"), 2):
                drawer = next(rounds)
                if stalled and arm == "both":
                    drawer = self.stalled[pair % len(self.stalled)]
                latency = drawer.draw(self._rng, factor if arm == "both" else 1.0)
                measured.rounds.append(a_round(arm, "compare", pair, latency))
        return measured


def at_looks(measured: Measurements, looks: int) -> Outcome:
    """What a run with so many looks says: a second look only counts where the first left something undecided."""
    rules = Rules(recorded_rounds.RATE_RPS, recorded_rounds.ROUND_S, [PAIRS, 2 * PAIRS][:looks])
    confidence = rules.confidence(0)
    seen = Measurements([r for r in measured.rounds if r.phase != "compare" or r.pair < PAIRS])
    found = [judge_alone(p, seen, confidence) for p in gains()]
    if looks == 2 and any(v.verdict == "inconclusive" for v in found):
        seen, confidence = measured, rules.confidence(1)
        found = [judge_alone(p, seen, confidence) for p in gains()]
    changed = {percentile: called_changed(seen, percentile, confidence) for percentile in PERCENTILES}
    return Outcome(changed, {v.id for v in found if v.verdict == "kept"})


def judge_alone(promise: Promise, measured: Measurements, confidence: float) -> Verdict:
    """The verdict of the judge that `easymo prove` asks."""
    [verdict] = judge.judge([promise], measured, "none", "both", confidence)
    return verdict


def called_changed(measured: Measurements, percentile: str, confidence: float) -> bool:
    """Whether a reader is told of a change: a gain of 1 % is kept, or "no longer" broken."""
    metric = f"latency_{percentile}"
    gain = simulated.promise("gain", metric, at_most=GAINS[0])
    loss = simulated.promise("loss", metric, at_most=0.0)
    kept, broken = (judge_alone(asked, measured, confidence).verdict for asked in (gain, loss))
    return kept == "kept" or broken == "broken"


def false_alarms(trials: Trials, count: int, looks: int) -> list[Finding]:
    """The same system twice: how often it is called changed, and how often a promised gain is kept."""
    outcomes = [at_looks(trials.measure(PAIRS * looks), looks) for _ in range(count)]
    mode = "one look" if looks == 1 else "two looks"
    most = int(FALSE_ALARMS_ALLOWED * count)
    found = []
    for percentile in PERCENTILES:
        changed = sum(outcome.changed[percentile] for outcome in outcomes)
        asked = f"same system twice, {mode}: {percentile.upper()} called changed"
        found.append(Finding(asked, changed, count, f"≤ {FALSE_ALARMS_ALLOWED:.0%}", changed <= most))
    for gain in GAINS:
        kept = max(sum(f"{p} {gain:+.0%}" in outcome.kept for outcome in outcomes) for p in PERCENTILES)
        asked = f"same system twice, {mode}: a promise of {gain:+.0%} kept (worst percentile)"
        found.append(Finding(asked, kept, count, f"≤ {FALSE_ALARMS_ALLOWED:.0%}", kept <= most))
    return found


def planted(trials: Trials, count: int) -> list[Finding]:
    """A slow-down of every request, and a server that stops for a moment in every round."""
    slower = sum(slower_found(trials) for _ in range(count))
    stalls = sum(stall_found(trials) for _ in range(count))
    needed = FOUND_AT_LEAST * count
    return [
        Finding(f"{SLOWER - 1:.0%} slower, one look: P50 called changed", slower, count, "≥ 80 %", slower >= needed),
        Finding("stopped for 80 ms a round: P99 called higher", stalls, count, "≥ 80 %", stalls >= needed),
    ]


def slower_found(trials: Trials) -> bool:
    """Whether one trial sees that the second arm is slower."""
    return at_looks(trials.measure(PAIRS, factor=SLOWER), 1).changed["p50"]


def stall_found(trials: Trials) -> bool:
    """Whether one trial sees the stops in P99, upwards."""
    p99 = METRICS["latency_p99"]
    change = estimates.change_between(trials.measure(PAIRS, stalled=True), "none", "both", p99)
    return change is not None and change[1] > 0


def saturated_generator(url: str) -> Finding:
    """Ten pairs that a generator could not send in time: the judge must not read them."""
    result = recorded_rounds.play_starved(url)
    assert result.latency_ms is not None
    measured = Measurements(
        [a_round(arm, "compare", n, result.latency_ms, result.void) for n in range(PAIRS) for arm in ("none", "both")]
    )
    judged = [judge_alone(promise, measured, 0.95) for promise in gains()]
    refused = sum(v.verdict == "inconclusive" and v.interval is None for v in judged)
    return Finding("generator without CPU: verdicts refused", refused, len(judged), "all", refused == len(judged))


def noise(recorded: Sequence[recorded_rounds.Recorded]) -> float:
    """How much the P50 of neighbouring rounds differs: standard deviation of the log ratio."""
    logs = _log_p50s(recorded)
    return stdev(b - a for a, b in zip(logs[::2], logs[1::2], strict=False))


def autocorrelation(recorded: Sequence[recorded_rounds.Recorded]) -> float:
    """Lag-1 autocorrelation of the rounds' P50 (log): what the machine's drift makes of neighbours."""
    logs = _log_p50s(recorded)
    return correlation(logs[:-1], logs[1:])


def _log_p50s(recorded: Sequence[recorded_rounds.Recorded]) -> list[float]:
    return [math.log(median(r.latencies_us())) for r in recorded if not r.stalled]


def table(findings: Sequence[Finding]) -> str:
    """The findings as a Markdown table."""
    rows = ["| Asked | Happened | Allowed | Holds |", "|---|---:|---:|---|"]
    rows += [
        f"| {f.asked} | {f.happened} of {f.trials} | {f.allowed} | {'yes' if f.holds else 'NO'} |" for f in findings
    ]
    return "\n".join(rows)


def main() -> int:
    """Try the judge; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--rounds", type=Path, default=recorded_rounds.FILE)
    parser.add_argument("--out", type=Path, help="write the table there too")
    given = parser.parse_args()
    recorded = recorded_rounds.read(given.rounds)
    trials = Trials(recorded, given.seed)
    findings = [f for looks in (1, 2) for f in false_alarms(trials, given.trials, looks)]
    findings += planted(trials, given.trials)
    findings += simulated.all_of(given.seed, given.trials)
    with recorded_rounds.shop() as (url, _):
        findings.append(saturated_generator(url))
    text = (
        f"# The judge on trial\n\n{sum(f.holds for f in findings)} of {len(findings)} lines hold."
        f" Seed {given.seed}, {given.trials} trials from {len(trials.ordinary)} recorded rounds"
        f" of one server and {len(trials.stalled)} of the same server with stops. The P50 of neighbouring rounds"
        f" differs by {noise(recorded):.0%} (standard deviation of the log ratio), their autocorrelation is"
        f" {autocorrelation(recorded):+.2f}.\n\n{table(findings)}\n\nAgain: `make demo-judge`. New rounds, on an idle"
        f" machine: `make judge-rounds`. The 20 % and the stops can only be found where neighbours differ by less than"
        f" {QUIET:.0%}.\n"
    )
    print(text)
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")
    return 0 if all(f.holds for f in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
