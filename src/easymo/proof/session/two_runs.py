"""Two runs at different times, from their `verdict.json`: unpaired, so that they deserve less trust than one run."""

import math
import time
from pathlib import Path
from statistics import geometric_mean

import msgspec
from msgspec.structs import replace

from easymo.proof.errors import CannotCompare
from easymo.proof.session.folder import new_folder, write_evidence
from easymo.proof.session.outcome import verdict_file
from easymo.proof.verdict import estimates, judge, statistics
from easymo.proof.verdict.file import Mode, VerdictFile, read_verdict
from easymo.proof.verdict.judge import Decision, Verdict
from easymo.proof.verdict.measurement import ArmCapacity, Measurements, Round
from easymo.proof.verdict.no_worse import few_errors, latencies_no_longer, resources_no_worse
from easymo.proof.verdict.promises import MARGIN, Promise

BEFORE, AFTER = "before", "after"
UNPAIRED = (
    "These are two runs at different times. Nothing pairs their rounds, so whatever else changed in between (machine,"
    " neighbours, data) is in the numbers too: they deserve less trust than one run that compares both."
)
_NO_ROUNDS = "no rounds.jsonl beside one of the files, so there is no interval"
#: Latencies at rates that differ more are of different loads.
RATES_WITHIN = 0.2
SIGNIFICANCE = 0.05


class _Run(msgspec.Struct, frozen=True):
    """A verdict file with its rounds. `control` is its first arm, `subject` its last one."""

    verdict: VerdictFile
    rounds: list[Round]

    @property
    def control(self) -> str:
        return next(iter(self.verdict.arms))

    @property
    def subject(self) -> str:
        return list(self.verdict.arms)[-1]

    def compared(self, arm: str) -> list[Round]:
        return [r for r in self.rounds if r.arm == arm and r.phase == "compare" and not r.load.void]


def compare_runs(before: Path, after: Path, out: Path | None) -> tuple[VerdictFile, Path]:
    """Judge whether the later run's system got worse; returns the verdicts and the folder that holds the evidence.

    Of each run the arm with every treatment (of deployments the one after) is compared; the arm without any shows what
    moved though nobody changed it. Raises :class:`CannotCompare` or :class:`ProofError` for other files.
    """
    began = time.monotonic()
    runs = _read(before), _read(after)
    measured = _measured(*runs)
    modes: tuple[Mode, Mode] = (runs[0].verdict.mode, runs[1].verdict.mode)
    folder = new_folder(out, Path())
    with (folder / "rounds.jsonl").open("wb") as file:
        file.writelines(msgspec.json.encode(round_) + b"\n" for round_ in measured.rounds)
    later = runs[1].verdict
    result = verdict_file(
        mode="quick" if "quick" in modes else later.mode,
        valid=runs[0].verdict.valid and later.valid,
        git=later.git,
        machine=later.machine,
        scale=later.scale,
        arms={side: run.verdict.arms[run.subject] for side, run in zip((BEFORE, AFTER), runs, strict=True)},
        promises=_judge(measured, *runs),
        system=f"{later.system}, two runs",
        notes=[UNPAIRED, *_notes(*runs)],
        seconds=time.monotonic() - began,
        compared="runs",
    )
    write_evidence(result, folder)
    return result, folder


def _read(path: Path) -> _Run:
    verdict = read_verdict(path)
    if verdict.compared == "runs" or len(verdict.arms) < 2:
        raise CannotCompare(f"{path} is no run of a system but a comparison of runs. Name the runs themselves.")
    rounds = path.with_name("rounds.jsonl")
    if not rounds.is_file():
        return _Run(verdict, [])
    try:
        return _Run(verdict, [msgspec.json.decode(line, type=Round) for line in rounds.read_bytes().splitlines()])
    except msgspec.DecodeError as error:
        raise CannotCompare(f"{rounds} holds something else than rounds: {error}. Take the run's own file.") from error


def _measured(first: _Run, second: _Run) -> Measurements:
    """Rounds and capacities of both subjects, as those of one arm before and one after."""
    measured = Measurements()
    for side, run in ((BEFORE, first), (AFTER, second)):
        measured.rounds += [replace(r, arm=side) for r in run.rounds if r.arm == run.subject]
        arm = run.verdict.arms[run.subject]
        if arm.capacity_rps is not None:
            measured.capacity[side] = [ArmCapacity(arm.capacity_rps, arm.capacity_failed_rps, [])]
    return measured


def _judge(measured: Measurements, first: _Run, second: _Run) -> list[Verdict]:
    arms = first.verdict.arms[first.subject], second.verdict.arms[second.subject]
    rates = [f"error_ratio@{rate}" for rate in arms[0].error_ratio if rate in arms[1].error_ratio]
    stressed = few_errors(rates) if rates else few_errors()
    wanted = [*latencies_no_longer(measured.rounds), *resources_no_worse()]
    paired = [promise for promise in wanted if judge.is_paired(promise)]
    others = [*(promise for promise in wanted if not judge.is_paired(promise)), *stressed]
    found = [_unpaired(promise, measured, first, second) for promise in paired]
    adjusted = iter(statistics.holm([p for _, p in found if p is not None]))
    judged = [verdict if p is None else _after_holm(verdict, next(adjusted)) for verdict, p in found]
    strange = _strange(first, second)
    return judged + [
        replace(verdict, verdict="inconclusive", reason=strange) if strange else verdict
        for verdict in judge.judge(others, measured, BEFORE, AFTER)
    ]


def _unpaired(promise: Promise, measured: Measurements, first: _Run, second: _Run) -> tuple[Verdict, float | None]:
    """The verdict before Holm's adjustment, and the p to adjust; no p where nothing could be decided."""
    rounds = [measured.of(side, "compare") for side in (BEFORE, AFTER)]
    values = [_values(side, promise) for side in rounds]
    if min(map(len, values)) < 2:
        many = list(zip(*rounds, strict=False))
        why = estimates.why_not(promise.of, many) if all(rounds) else _NO_ROUNDS
        return judge.verdict_of(promise, "inconclusive", why), None
    change = statistics.of_unpaired(*values)
    levels = [geometric_mean(side) for side in values]
    reason = f"unpaired: {len(values[0])} and {len(values[1])} rounds"
    doubt = _strange(first, second) or _other_load(promise, first, second) or _moved_control(promise, first, second)
    decision: Decision = "inconclusive" if doubt else judge.decide(promise, change.change())
    verdict = judge.verdict_of(
        promise,
        decision,
        doubt or reason,
        before=levels[0],
        after=levels[1],
        interval=change.change(),
        n=min(map(len, values)),
    )
    return verdict, None if doubt else change.p(math.log1p(promise.limit))


def _values(rounds: list[Round], promise: Promise) -> list[float]:
    """The metric of each round; a percentile that a round has too few requests for comes from a few rounds together.

    Empty where it cannot be had.
    """
    values = [round_.value(promise.of) for round_ in rounds]
    if all(value is not None for value in values):
        return [value for value in values if value is not None]
    return estimates.in_groups(rounds, promise.of)


def _after_holm(verdict: Verdict, p: float) -> Verdict:
    if p <= SIGNIFICANCE or verdict.verdict == "inconclusive":
        return verdict
    reason = f"{verdict.reason}; not decided after Holm's adjustment (p = {p:.3f})"
    return replace(verdict, verdict="inconclusive", reason=reason)


def _strange(first: _Run, second: _Run) -> str | None:
    """Why no level of the two runs can be compared at all."""
    if first.verdict.compared != "treatments" or second.verdict.compared != "treatments":
        return None  # what runs elsewhere is not described by the machine that sent the load
    for name in ("cpu", "cores", "memory_bytes"):
        old, new = (getattr(run.verdict.machine, name) for run in (first, second))
        if old != new:
            return f"the runs were on different machines ({name}: {old} and {new})"
    old, new = ((run.verdict.scale.name, run.verdict.scale.seed) for run in (first, second))
    return None if old == new else f"the runs had different data (scale and seed: {old} and {new})"


def _other_load(promise: Promise, first: _Run, second: _Run) -> str | None:
    rates = [run.verdict.arms[run.subject].at_rps for run in (first, second)]
    if promise.of.share is None or None in rates:
        return None
    low, high = sorted(rate for rate in rates if rate)
    if high <= low * (1 + RATES_WITHIN):
        return None
    return f"latencies of different loads: {rates[0]:g} and {rates[1]:g} requests/s"


def _moved_control(promise: Promise, first: _Run, second: _Run) -> str | None:
    """The rule of the A/A rounds, for runs: the arm that nobody treated must not differ from itself for certain."""
    if first.verdict.compared != "treatments" or second.verdict.compared != "treatments":
        return None
    sides = [_values(run.compared(run.control), promise) for run in (first, second)]
    if min(map(len, sides)) < 2:
        return None
    moved = statistics.of_unpaired(*sides).change()
    if moved.lo <= MARGIN and moved.hi >= -MARGIN:
        return None
    return (
        f"the arm {first.control!r}, which no treatment touched, differs by {moved.lo:+.0%} to {moved.hi:+.0%}:"
        " machine or system changed between the runs"
    )


def _notes(first: _Run, second: _Run) -> list[str]:
    notes = [
        f"{side}: arm {run.subject!r} of the {run.verdict.mode} run of {run.verdict.created},"
        f" commit {run.verdict.git or 'unknown'}."
        for side, run in ((BEFORE, first), (AFTER, second))
    ]
    then = {v.id: v for v in first.verdict.promises}
    notes += [
        f"Promise {now.id!r} ({now.claim}): {then[now.id].verdict} before, {now.verdict} after."
        for now in second.verdict.promises
        if now.id in then and then[now.id].verdict != now.verdict
    ]
    if not (first.verdict.valid and second.verdict.valid):
        notes.append("One of the runs is void, so this comparison is too.")
    return notes
