"""From what a run found to ``verdict.json``: arms summed up, promises judged."""

from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from statistics import fmean

from easymo.load.distribution import add
from easymo.proof.errors import ProofError, RunVoid
from easymo.proof.session.experiment import Findings
from easymo.proof.session.plan import Lengths
from easymo.proof.system.acceptance import Acceptance, Beside
from easymo.proof.system.arms import BASELINE, TREATED
from easymo.proof.system.machine import describe_machine, git_revision
from easymo.proof.system.write_cost import write_cost
from easymo.proof.verdict import judge
from easymo.proof.verdict.file import SCHEMA, ArmResult, Cold, Mode, Scale, TriedRate, VerdictFile
from easymo.proof.verdict.index_check import IndexCheck, read_index_check
from easymo.proof.verdict.measurement import ArmCapacity, Measurements, Round
from easymo.proof.verdict.no_worse import few_errors, latencies_no_longer
from easymo.proof.verdict.promises import Promise
from easymo.proof.verdict.simulated import Simulated, simulate_arms


def conclude(
    findings: Findings, acceptance: Acceptance, root: Path, lengths: Lengths, *, mode: Mode, scale: str, seconds: float
) -> VerdictFile:
    """The verdict file of a finished run."""
    if findings.rollback is None:
        raise RunVoid("The run ended before the treatments were taken back, so it has no verdict. Run it again.")
    measured = findings.measured
    measured.once = _once(findings)
    wanted = wanted_of(acceptance, measured)
    promises = judge.judge(wanted, measured, BASELINE, TREATED, lengths.confidence)
    simulated, index_check, missing = _beside(measured, acceptance.report, root)
    return VerdictFile(
        schema=SCHEMA,
        mode=mode,
        valid=findings.rollback.schema_restored,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        git=git_revision(root),
        machine=describe_machine(*findings.versions),
        scale=Scale(scale, acceptance.system.seed, findings.rows),
        baseline_indexes=findings.baseline_indexes,
        arms={arm: arm_result(measured, arm, findings.rate_rps) for arm in findings.arms},
        promises=promises,
        rollback=findings.rollback,
        system=acceptance.system.name,
        applied=findings.applied.get(TREATED),
        aa=aa_intervals(measured, BASELINE),
        attribution=_attribution(measured, findings.arms),
        notes=[*_notes(findings), *missing],
        seconds=seconds,
        break_even=findings.break_even,
        write_cost=write_cost(measured, findings.counters, acceptance.load.writes),
        cold=_cold(measured, wanted, lengths),
        cache_reads=findings.cache_reads,
        simulated=simulated,
        index_check=index_check,
    )


def wanted_of(acceptance: Acceptance, measured: Measurements) -> list[Promise]:
    """What was promised; where nothing was, that nothing gets worse."""
    return acceptance.promises or [*latencies_no_longer(measured.rounds), *few_errors()]


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
            capacities = {arm: found.held_rps for arm, found in measured.capacity.items()}
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
    latency: dict[str, dict[str, float]] = {}
    for arm in (BASELINE, TREATED):
        total = add(r.load.latency_ms for r in measured.of(arm, "cold"))
        latency[arm] = {} if total is None else {"p50": total.p50, "p95": total.p95, "p99": total.p99}
    changes = {}
    for metric in dict.fromkeys(p.metric for p in promises if judge.is_paired(p)):
        if (estimate := judge.change_between(measured, BASELINE, TREATED, metric, "cold")) is not None:
            changes[metric] = [estimate.value, estimate.lo, estimate.hi]
    return Cold(lengths.cold_pairs, lengths.round_s, latency, changes)


def arm_result(measured: Measurements, name: str, rate_rps: float) -> ArmResult:
    """One arm over its rounds, of which the comparison's were played at ``rate_rps``."""
    rounds = measured.of(name, "compare")
    capacity = measured.capacity.get(name)
    total = add(r.load.latency_ms for r in rounds)
    stress: dict[str, list[float]] = {}
    for round_ in measured.of(name, "stress"):
        stress.setdefault(f"{round_.rate_rps:g}", []).append(round_.load.error_ratio)
    return ArmResult(
        capacity_rps=capacity.held_rps if capacity else None,
        capacity_failed_rps=capacity.failed_rps if capacity else None,
        latency_ms={} if total is None else {"p50": total.p50, "p95": total.p95, "p99": total.p99},
        at_rps=rate_rps or None,
        error_ratio={rate: fmean(ratios) for rate, ratios in stress.items()},
        db_statements_per_request=_mean(rounds, "db_statements_per_request"),
        cpu_ratio=_mean(rounds, "cpu_ratio"),
        rss_bytes=_peak(rounds, "rss_bytes"),
        db_connections=_peak(rounds, "db_connections"),
        cpu_parts=_cpu_parts(rounds),
        repeat_read_ratio=fmean(r.load.repeat_read_ratio for r in rounds) if rounds else None,
        statuses=_statuses(rounds),
        capacity_steps=_tried(capacity) if capacity else [],
    )


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
    total: dict[str, int] = {}
    for round_ in rounds:
        for status, count in (round_.load.statuses | round_.load.errors).items():
            total[status] = total.get(status, 0) + count
    return total


def aa_intervals(measured: Measurements, arm: str) -> dict[str, list[float]]:
    """Interval of the arm against itself, per metric."""
    found = {metric: judge.aa_interval(measured, arm, metric) for metric in ("latency_p50", "latency_p95")}
    return {metric: [estimate.lo, estimate.hi] for metric, estimate in found.items() if estimate is not None}


def _attribution(measured: Measurements, arms: list[str]) -> dict[str, dict[str, list[float]]]:
    metrics = ("latency_p50", "latency_p95", "db_statements_per_request", "cpu_ratio")
    found: dict[str, dict[str, list[float]]] = {arm: {} for arm in arms if arm != BASELINE}
    for arm, changes in found.items():
        for metric in metrics:
            if (estimate := judge.change_between(measured, BASELINE, arm, metric)) is not None:
                changes[metric] = [estimate.value, estimate.lo, estimate.hi]
    return found


def _notes(findings: Findings) -> list[str]:
    notes = list(findings.notes)
    void = [r for r in findings.measured.rounds if r.load.void]
    if void:
        notes.append(
            f"{len(void)} of {len(findings.measured.rounds)} rounds were void (generator late) and do not count."
        )
    if not findings.statements_counted:
        notes.append("Statements could not be counted: the server has no pg_stat_statements.")
    if findings.no_break_even:
        notes.append(f"Break-even could not be measured: {findings.no_break_even}")
    priorities = sorted({r.load.priority for r in findings.measured.rounds})
    notes.append(f"Load generator priority: {', '.join(priorities)}.")
    return notes
