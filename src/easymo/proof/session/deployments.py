"""Two deployments that already run: the same load on both in turns. Nothing is started, nothing is changed."""

import os
import secrets
import signal
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from easymo.load import Job, LoadError, LoadResult, ScenarioError, Stage, parse_targets, run_process
from easymo.proof.errors import CannotCompare, RunVoid
from easymo.proof.session.experiment import COMPLETE_PAIRS
from easymo.proof.session.folder import Stopped, new_folder, write_evidence
from easymo.proof.session.outcome import aa_intervals, arm_result
from easymo.proof.session.progress import Plan, StepProgress
from easymo.proof.session.rounds import COMPARED, RETRIES
from easymo.proof.session.terms import Terms
from easymo.proof.system.machine import describe_machine
from easymo.proof.verdict import judge
from easymo.proof.verdict.file import SCHEMA, Mode, Rollback, Scale, VerdictFile
from easymo.proof.verdict.measurement import AA_PHASES, Measurements, Phase, Resources, Round
from easymo.proof.verdict.no_worse import few_errors, latencies_no_longer
from easymo.proof.verdict.promises import Promise

BEFORE, AFTER = "before", "after"
ARMS = (BEFORE, AFTER)
WARM_AT_MOST_S = 2.0
#: A deployment that answers more than this share of its warm-up with errors is not the one that the scenario is for.
ANSWERING = 0.5
_UNSEEN = Resources(None, None, None, None)


def compare_deployments(
    before: Sequence[str], after: Sequence[str], terms: Terms, out: Path | None, *, mode: Mode
) -> tuple[VerdictFile, Path]:
    """Compare and judge; returns the verdicts and the folder that holds the evidence.

    ``before`` and ``after`` are URLs, ``NAME=URL`` each where the scenario names several processes. Raises
    :class:`CannotCompare`, :class:`RunVoid` or :class:`Stopped`.
    """
    try:
        urls = {arm: {name: t.url for name, t in parse_targets(given).items()} for arm, given in _sides(before, after)}
    except ScenarioError as error:
        raise CannotCompare(str(error)) from error
    folder = new_folder(out, Path())
    comparison = _Comparison(terms, urls, folder / "rounds.jsonl")
    began = time.monotonic()
    try:
        with StepProgress(comparison.plan()) as progress:
            comparison.run(progress)
    except KeyboardInterrupt:
        raise Stopped(signal.SIGINT) from None
    result = comparison.conclude(mode, time.monotonic() - began)
    write_evidence(result, folder)
    return result, folder


def _sides(before: Sequence[str], after: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    return [(BEFORE, before), (AFTER, after)]


class _Comparison:
    """One comparison; every round is kept in ``measured`` and appended to ``file`` at once."""

    def __init__(self, terms: Terms, urls: Mapping[str, Mapping[str, str]], file: Path) -> None:
        self._terms, self._urls, self._file = terms, urls, file
        # Idempotency keys of an earlier run are still in the deployments' databases.
        self._salt = secrets.token_hex(4)
        self._played = 0
        self.measured = Measurements()

    @property
    def _promises(self) -> list[Promise]:
        if self._terms.promises is not None:
            return self._terms.promises
        return [*latencies_no_longer(self.measured.rounds), *few_errors()]

    def plan(self) -> Plan:
        """Steps with the seconds they are expected to take."""
        terms = self._terms
        round_s = terms.round_s + terms.warm_up_s + 0.7
        return [
            ("warming up", 2 * round_s),
            ("the deployment before against itself", 2 * terms.aa_pairs * round_s),
            *((look, 2 * terms.pairs * round_s) for look in _looks(terms)),
            *((_stress_step(rate), 2 * (terms.stress_s + terms.warm_up_s + 1)) for rate in terms.stress),
        ]

    def run(self, progress: StepProgress) -> None:
        """Play every round; raises :class:`RunVoid` or :class:`CannotCompare`."""
        terms = self._terms
        with progress.step("warming up"):
            for arm in ARMS:
                self._check_answers(self._play(arm, "warm", terms.rate_rps, min(terms.round_s, WARM_AT_MOST_S)))
        with progress.step("the deployment before against itself"):
            for pair in range(terms.aa_pairs):
                for phase in AA_PHASES if pair % 2 == 0 else reversed(AA_PHASES):
                    self._play(BEFORE, phase, terms.rate_rps, terms.round_s, pair, 10_000 + pair)
        for number, look in enumerate(_looks(terms)):
            if number and not self._undecided():
                break
            with progress.step(look):
                self._compare(range(number * terms.pairs, (number + 1) * terms.pairs))
        for rate in terms.stress:
            with progress.step(_stress_step(rate)):
                for arm in ARMS:
                    self._play(arm, "stress", float(rate), terms.stress_s, 0, 30_000 + rate)

    def _compare(self, pairs: range) -> None:
        for pair in pairs:
            for arm in ARMS if pair % 2 == 0 else reversed(ARMS):
                self._play(arm, "compare", self._terms.rate_rps, self._terms.round_s, pair, 20_000 + pair)
        counted = [{r.pair for r in self.measured.of(arm, "compare")} for arm in ARMS]
        complete = len(counted[0] & counted[1])
        if complete < COMPLETE_PAIRS * pairs.stop:
            raise RunVoid(
                f"Only {complete} of {pairs.stop} pairs count: in the others the load generator could not send in time,"
                " so its numbers would be wrong. Lower --rate, or run it on a quieter machine."
            )

    def _undecided(self) -> bool:
        judged = judge.judge(self._promises, self.measured, BEFORE, AFTER, self._terms.confidence)
        return any(v.verdict == "inconclusive" and v.interval is not None for v in judged)

    def _play(self, arm: str, phase: Phase, rate_rps: float, seconds: float, pair: int = 0, seed: int = 0) -> Round:
        for _ in range(1 + (RETRIES if phase in COMPARED else 0)):
            load = self._generate(arm, rate_rps, seconds, seed)
            round_ = Round(arm, phase, pair, rate_rps, load, _UNSEEN)
            self.measured.rounds.append(round_)
            with self._file.open("ab") as file:
                file.write(msgspec.json.encode(round_) + b"\n")
            if not load.void:
                break
        return round_

    def _generate(self, arm: str, rate_rps: float, seconds: float, seed: int) -> LoadResult:
        self._played += 1
        job = Job(
            scenario=str(self._terms.scenario),
            urls=self._urls[arm],
            stages=[Stage(rate_rps, seconds)],
            seed=self._terms.seed + seed,
            salt=f"{self._salt}-{self._played}",
            warm_up_s=self._terms.warm_up_s,
        )
        try:
            # What the caller has exported comes first: the keys of acceptance.toml are those of scratch systems.
            return run_process(job, environment={**self._terms.environment, **os.environ})
        except ScenarioError as error:
            raise CannotCompare(str(error)) from error
        except LoadError as error:
            raise RunVoid(f"The deployment {arm}: {error}") from error

    def _check_answers(self, warm: Round) -> None:
        if warm.load.error_ratio > ANSWERING:
            kinds = ", ".join(f"{count} × {kind}" for kind, count in warm.load.errors.items())
            raise RunVoid(
                f"The deployment {warm.arm} answered {warm.load.error_ratio:.0%} of the warm-up with errors ({kinds}),"
                " so a comparison would be one of error pages. Check the URL, the scenario and its keys."
            )

    def conclude(self, mode: Mode, seconds: float) -> VerdictFile:
        """The verdict file."""
        terms, measured = self._terms, self.measured
        return VerdictFile(
            schema=SCHEMA,
            mode=mode,
            valid=True,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            git=None,
            machine=describe_machine("database not asked", "cache not asked"),
            scale=Scale("", terms.seed, {}),
            baseline_indexes=[],
            arms={arm: arm_result(measured, arm, terms.rate_rps) for arm in ARMS},
            promises=judge.judge(self._promises, measured, BEFORE, AFTER, self._terms.confidence),
            rollback=Rollback(0.0, True),
            system=terms.system,
            aa=aa_intervals(measured, BEFORE),
            notes=self._notes(),
            seconds=seconds,
            compared="deployments",
        )

    def _notes(self) -> list[str]:
        rounds = self.measured.rounds
        named = {arm: [f"{name}={url}" if name else url for name, url in self._urls[arm].items()] for arm in ARMS}
        notes = [f"{arm}: {', '.join(urls)}." for arm, urls in named.items()]
        notes.append("Nothing was started, changed or taken back; what the scenario writes stays.")
        if self._terms.left_out:
            notes.append(f"Not visible from outside, so not judged: {', '.join(self._terms.left_out)}.")
        if void := sum(r.load.void is not None for r in rounds):
            notes.append(f"{void} of {len(rounds)} rounds were void (generator late) and do not count.")
        notes.append(f"Load generator priority: {', '.join(sorted({r.load.priority for r in rounds}))}.")
        return notes


def _stress_step(rate: int) -> str:
    return f"both at the promised {rate} requests/s"


def _looks(terms: Terms) -> list[str]:
    return ["before against after", "before against after, second look"][: terms.looks]
