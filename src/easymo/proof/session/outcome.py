"""From what a run found to `verdict.json`: arms summed up, promises judged."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from math import expm1, isfinite, log
from pathlib import Path
from statistics import fmean
from typing import Any

from easymo.load.answers import add_answers
from easymo.load.distribution import Distribution, add
from easymo.proof.errors import ProofError, RunVoid
from easymo.proof.session.change import change_of
from easymo.proof.session.experiment import Findings
from easymo.proof.session.plan import Lengths
from easymo.proof.system.acceptance import Acceptance, Beside
from easymo.proof.system.arms import BASELINE, TREATED
from easymo.proof.system.machine import describe_machine, git_revision
from easymo.proof.system.write_cost import write_cost
from easymo.proof.verdict import estimates, guards, judge, statistics
from easymo.proof.verdict.file import (
    SCHEMA,
    ArmResult,
    Cold,
    Mode,
    RequestResult,
    Rollback,
    Scale,
    TriedRate,
    VerdictFile,
)
from easymo.proof.verdict.index_check import IndexCheck, read_index_check
from easymo.proof.verdict.measurement import ArmCapacity, Measurements, Round
from easymo.proof.verdict.metrics import METRICS
from easymo.proof.verdict.no_worse import or_no_worse
from easymo.proof.verdict.promises import Promise
from easymo.proof.verdict.simulated import Simulated, simulate_arms


def verdict_file(**found: Any) -> VerdictFile:
    """A verdict file of now; what is not said is as it is where nothing was changed."""
    given = {"valid": True, "git": None, "baseline_indexes": [], "rollback": Rollback(0.0, True), **found}
    return VerdictFile(schema=SCHEMA, created=datetime.now(UTC).isoformat(timespec="seconds"), **given)


def judged(
    promises: list[Promise], measured: Measurements, before: str, after: str, confidence: float
) -> dict[str, Any]:
    """The verdicts on given and implicit promises, and what was seen of every request and over time."""
    rows, harm = guards.implicit(measured, before, after)
    verdicts = judge.judge(promises, measured, before, after, confidence)
    return {
        "promises": [*guards.without_harmed_gains(verdicts, harm), *rows],
        "answers": measured.answers,
        "requests": {arm: _requests(measured, arm, harm if arm == after else None) for arm in (before, after)},
        "trends": {arm: found for arm in (before, after) if (found := _trend(measured, arm)) is not None},
    }


def conclude(
    findings: Findings, acceptance: Acceptance, root: Path, lengths: Lengths, *, mode: Mode, scale: str, seconds: float
) -> VerdictFile:
    """The verdict file of a finished run."""
    if findings.rollback is None:
        raise RunVoid("The run ended before the treatments were taken back, so it has no verdict. Run it again.")
    measured = findings.measured
    measured.once = _once(findings)
    promises = or_no_worse(acceptance.promises, measured.rounds)
    simulated, index_check, missing = _beside(measured, acceptance.report, root)
    return verdict_file(
        mode=mode,
        valid=findings.rollback.schema_restored,
        git=git_revision(root),
        machine=describe_machine(*findings.versions),
        scale=Scale(scale, acceptance.system.seed, findings.rows),
        baseline_indexes=findings.baseline_indexes,
        arms={arm: arm_result(measured, arm, findings.rate_rps) for arm in findings.arms},
        rollback=findings.rollback,
        system=acceptance.system.name,
        applied=findings.applied.get(TREATED),
        aa=aa_intervals(measured, BASELINE, TREATED),
        attribution=_attribution(measured, findings.arms),
        notes=[*_notes(findings), *missing],
        seconds=seconds,
        break_even=findings.break_even,
        write_cost=write_cost(measured, findings.counters, acceptance.load.writes),
        cold=_cold(measured, promises, lengths),
        cache_reads=findings.cache_reads,
        simulated=simulated,
        index_check=index_check,
        names={BASELINE: "without", TREATED: f"with {' + '.join(acceptance.treatments)}"},
        change=change_of(acceptance, root),
        **judged(promises, measured, BASELINE, TREATED, findings.confidence),
    )


def _once(findings: Findings) -> dict[str, float]:
    """What the run measured once."""
    found: dict[str, float] = {}
    if findings.rollback is not None:
        found["take_back_s"] = findings.rollback.seconds
    if (applied := findings.applied.get(TREATED)) is not None:
        found["apply_s"] = applied.seconds
    if reads := sum(rate.reads for rate in findings.cache_reads.values()):
        found["cache_hit_ratio"] = sum(r.reads * r.hit_ratio for r in findings.cache_reads.values()) / reads
    return found


def _beside(
    measured: Measurements, shown: Beside, root: Path
) -> tuple[dict[str, Simulated], IndexCheck | None, list[str]]:
    """What the report shows beside the verdicts, and why something of it is missing: that spoils no measurement."""
    notes: list[str] = []
    simulated: dict[str, Simulated] = {}
    index_check: IndexCheck | None = None
    try:
        if shown.autoscaling is not None:
            capacities = {arm: judge.held(searches) for arm, searches in measured.capacity.items()}
            simulated = simulate_arms(shown.autoscaling, root, capacities)
        if shown.index_check:
            index_check = read_index_check(root / shown.index_check)
    except ProofError as error:
        notes.append(str(error))
    return simulated, index_check, notes


def _cold(measured: Measurements, promises: list[Promise], lengths: Lengths) -> Cold | None:
    """The rounds that began with an emptied cache, on the metrics of the promises; None when none were played."""
    if not lengths.cold_pairs:
        return None
    latency = {
        arm: _percentiles(add(r.load.latency_ms for r in measured.of(arm, "cold"))) for arm in (BASELINE, TREATED)
    }
    changes = {}
    for promise in promises:
        if judge.is_paired(promise):
            change = estimates.change_between(measured, BASELINE, TREATED, promise.of, "cold")
            if change is not None:
                changes[promise.metric] = change
    return Cold(lengths.cold_pairs, lengths.round_s, latency, changes)


def arm_result(measured: Measurements, name: str, rate_rps: float) -> ArmResult:
    """One arm over its rounds, of which the comparison's were played at `rate_rps`."""
    rounds = measured.of(name, "compare")
    searches = measured.capacity.get(name, [])
    stress: dict[str, list[float]] = {}
    for round_ in measured.of(name, "stress"):
        stress.setdefault(f"{round_.rate_rps:g}", []).append(round_.load.error_ratio)
    failed = [search.failed_rps for search in searches if search.failed_rps is not None]
    return ArmResult(
        capacity_rps=judge.held(searches) if searches else None,
        capacity_failed_rps=max(failed) if len(failed) == len(searches) and failed else None,
        latency_ms=_percentiles(add(r.load.latency_ms for r in rounds)),
        at_rps=rate_rps or None,
        error_ratio={rate: fmean(ratios) for rate, ratios in stress.items()},
        db_statements_per_request=_mean(rounds, "db_statements_per_request"),
        cpu_ratio=_mean(rounds, "cpu_ratio"),
        rss_bytes=_peak(rounds, "rss_bytes"),
        db_connections=_peak(rounds, "db_connections"),
        cpu_parts=_cpu_parts(rounds),
        repeat_read_ratio=fmean(r.load.repeat_read_ratio for r in rounds) if rounds else None,
        statuses=_statuses(rounds),
        capacity_steps=[step for search in searches for step in _tried(search)],
    )


def _percentiles(latency: Distribution | None) -> dict[str, float]:
    return {} if latency is None else {"p50": latency.p50, "p95": latency.p95, "p99": latency.p99}


def _requests(measured: Measurements, arm: str, harm: guards.Harm | None) -> dict[str, RequestResult]:
    rounds = measured.of(arm, "compare")
    found = {}
    for name in dict.fromkeys(name for r in rounds for name in r.load.per_request):
        tallies = [r.load.per_request[name] for r in rounds if name in r.load.per_request]
        answers = add_answers([r.load.answers[name] for r in rounds if name in r.load.answers])
        found[name] = RequestResult(
            requests=sum(tally.requests for tally in tallies),
            errors=sum(tally.errors for tally in tallies),
            latency_ms=_percentiles(add(tally.latency_ms for tally in tallies)),
            statuses={str(code): count for code, count in answers.statuses.items()},
            answers_differ=harm.answers.get(name, "") if harm is not None else "",
        )
    return found


def _trend(measured: Measurements, arm: str) -> float | None:
    """By how much the P50 of the arm changed from its first to its last round; None where that is chance."""
    values = [value for r in measured.of(arm, "compare") if (value := r.value(METRICS["latency_p50"])) is not None]
    if len(values) < estimates.TREND_PAIRS:
        return None
    logs = [log(value) for value in values]
    line = statistics.trend(logs)
    return expm1(line.slope * (len(logs) - 1)) if line.p < estimates.TREND_P / 8 else None


def _tried(capacity: ArmCapacity) -> list[TriedRate]:
    """The steps of a search as they are written: JSON has no infinity, which is the P95 of no answer at all."""
    return [
        TriedRate(step.rate_rps, step.held, step.why, step.p95_ms if isfinite(step.p95_ms) else None, step.error_ratio)
        for step in capacity.steps
    ]


def _cpu_parts(rounds: list[Round]) -> dict[str, float]:
    parts = rounds[0].resources.cpu_parts if rounds else {}
    return {part: fmean(r.resources.cpu_parts[part] for r in rounds) for part in parts}


def _mean(rounds: list[Round], resource: str) -> float | None:
    values = [getattr(r.resources, resource) for r in rounds]
    return fmean(values) if values and None not in values else None


def _peak(rounds: list[Round], resource: str) -> int | None:
    values = [getattr(r.resources, resource) for r in rounds]
    return max(values) if values and None not in values else None


def _statuses(rounds: list[Round]) -> dict[str, int]:
    total = Counter[str]()
    for round_ in rounds:
        total.update(round_.load.statuses | round_.load.errors)
    return dict(total)


def aa_intervals(measured: Measurements, *arms: str) -> dict[str, list[float]]:
    """Interval of a side against itself, per metric."""
    noise = measured.against_itself(*arms)
    found = {name: estimates.paired(noise, METRICS[name]) for name in ("latency_p50", "latency_p95")}
    changes = {name: one.change.change() for name, one in found.items() if one is not None}
    return {name: [change.lo, change.hi] for name, change in changes.items()}


def _attribution(measured: Measurements, arms: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    metrics = ("latency_p50", "latency_p95", "db_statements_per_request", "cpu_ratio")
    return {
        arm: {
            name: change
            for name in metrics
            if (change := estimates.change_between(measured, BASELINE, arm, METRICS[name])) is not None
        }
        for arm in arms
        if arm != BASELINE
    }


def _notes(findings: Findings) -> list[str]:
    notes = [*findings.notes, *notes_on_rounds(findings.measured)]
    if not findings.statements_counted:
        notes.append("Statements could not be counted: the server has no pg_stat_statements.")
    if findings.no_break_even:
        notes.append(f"Break-even could not be measured: {findings.no_break_even}")
    return notes


def notes_on_rounds(measured: Measurements) -> list[str]:
    """How many rounds were void, and the generator's priority."""
    void = sum(r.load.void is not None for r in measured.rounds)
    notes = [f"{void} of {len(measured.rounds)} rounds were void (generator late) and do not count."] if void else []
    return [*notes, f"Load generator priority: {', '.join(sorted({r.load.priority for r in measured.rounds}))}."]
