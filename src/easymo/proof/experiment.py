"""The run itself: data, arms, capacity, comparison, stress, and everything taken back."""

import asyncio
import time
from pathlib import Path
from typing import Any

from msgspec import Struct

from easymo.proof import search, wording
from easymo.proof.acceptance import Acceptance
from easymo.proof.arms import BASELINE, TREATED, Arm
from easymo.proof.errors import RunVoid
from easymo.proof.measurement import CapacityStep, Measurements, Phase
from easymo.proof.progress import Plan, StepProgress
from easymo.proof.rounds import Player
from easymo.proof.testbed import Testbed, clone, fill_template, open_testbed, row_counts
from easymo.proof.treatments import apply_files, index_definitions, schema_of, take_back
from easymo.proof.verdict_file import Applied, Rollback

AA_PHASES: tuple[Phase, Phase] = ("aa-1", "aa-2")
#: Share of the pairs that must be complete (no void round) for the run to say anything.
COMPLETE_PAIRS = 0.6
KEEP_FREE_BYTES = 2_000_000_000


class Lengths(Struct, frozen=True):
    """How long the parts of a run take: seconds and counts."""

    pairs: int
    aa_pairs: int
    round_s: float
    step_s: float
    stress_s: float
    apply_s: float
    warm_s: float


class Findings(Struct):
    """What a run found, before anybody judges it."""

    measured: Measurements
    rate_rps: float = 0.0
    baseline_indexes: list[str] = []
    applied: Applied | None = None
    rollback: Rollback | None = None
    versions: tuple[str, str] = ("", "")
    rows: dict[str, int] = {}
    statements_counted: bool = True


def lengths_of(acceptance: Acceptance, *, quick: bool) -> Lengths:
    """Lengths of a default run (at most 5 minutes on 2 cores) or of a quick one (at most 90 s)."""
    load = acceptance.load
    if quick:
        return Lengths(min(load.pairs, 3), 0, min(load.round_s, 2.0), 1.2, 2.0, 3.0, 1.0)
    return Lengths(
        load.pairs, load.aa_pairs, load.round_s, acceptance.capacity.step_s, acceptance.stress.seconds, 8.0, 2.0
    )


def plan_of(lengths: Lengths, acceptance: Acceptance) -> Plan:
    """Steps with the seconds they are expected to take, for the progress line."""
    round_s = lengths.round_s + acceptance.load.warm_up_s + 0.5
    step_s = lengths.step_s + acceptance.load.warm_up_s + 1.2
    return [
        ("servers, data and one copy per arm", 14),
        ("starting the system in each arm", 2 * lengths.warm_s + 4),
        ("capacity before", 7 * step_s),
        ("applying the treatments under load", lengths.apply_s + 2),
        ("capacity after", 6 * step_s),
        ("the same arm against itself", 2 * lengths.aa_pairs * round_s),
        ("before against after", 2 * lengths.pairs * round_s + 2 * lengths.warm_s),
        ("stress at the promised rates", 2 * len(acceptance.stress.rates) * (lengths.stress_s + 3)),
        ("taking everything back", 4),
    ]


class Experiment:
    """One run over two arms: the baseline, and all treatments together."""

    def __init__(self, acceptance: Acceptance, root: Path, folder: Path, scale: str, lengths: Lengths) -> None:
        self._acceptance, self._root, self._folder, self._scale = acceptance, root, folder, scale
        self._lengths = lengths
        self.findings = Findings(Measurements())

    async def run(self, progress: StepProgress) -> Findings:
        """Do it all; raises :class:`RunVoid` when it cannot be finished. Nothing is left running either way."""
        async with open_testbed([BASELINE, TREATED], KEEP_FREE_BYTES) as testbed:
            with progress.step("servers, data and one copy per arm"):
                await self._prepare(testbed)
                progress.note(wording.rows(self.findings.rows))
            before = Arm(BASELINE, {}, self._acceptance, testbed)
            after = Arm(TREATED, self._acceptance.treatments, self._acceptance, testbed)
            player = Player(self._acceptance, self._root, self._scale, testbed, self._folder)
            self.findings.measured = player.measured
            for arm in (before, after):
                arm.prepare(self._acceptance, self._root, self._folder / "logs")
            try:
                async with before.system, after.system:
                    await self._measure(before, after, player, progress, testbed)
            finally:
                self._folder.mkdir(exist_ok=True)
        return self.findings

    async def _prepare(self, testbed: Testbed) -> None:
        self.findings.versions = await testbed.versions()
        self.findings.statements_counted = testbed.counts_statements
        log = self._folder / "data.log"
        await fill_template(testbed, self._acceptance, self._root, self._scale, log)
        self.findings.rows = await row_counts(testbed, "template")
        for arm in (BASELINE, TREATED):
            await clone(testbed, arm)
        self.findings.baseline_indexes = await index_definitions(testbed.database_url(BASELINE))

    async def _measure(self, before: Arm, after: Arm, player: Player, progress: StepProgress, testbed: Testbed) -> None:
        url = testbed.database_url(after.name)
        schema = await schema_of(url)
        try:
            with progress.step("starting the system in each arm"):
                await self._warm(player, before, after)
            with progress.step("capacity before"):
                held = await self._capacity(player, before, self._acceptance.capacity.start_rps, progress)
            if held <= 0:
                raise RunVoid(
                    "The baseline held no rate at all (P95 and errors within their limits), so there is nothing to"
                    " compare with. Use a smaller --scale, or look into logs/ of the run."
                )
            self.findings.rate_rps = max(1.0, round(held / 2))
            with progress.step("applying the treatments under load"):
                self.findings.applied = await self._apply(player, after, url, max(1.0, round(held / 4)))
            with progress.step("capacity after"):
                await self._capacity(player, after, 2 * held, progress)
            await self._compare(player, before, after, progress)
            with progress.step("stress at the promised rates"):
                await self._stress(player, before, after)
        finally:
            with progress.step("taking everything back"):
                self.findings.rollback = await asyncio.shield(self._take_back(after, url, schema, testbed))
        restored = self.findings.rollback
        progress.note(
            f"taken back in {restored.seconds:.1f} s, schema {'equal' if restored.schema_restored else 'NOT equal'}"
        )

    async def _warm(self, player: Player, *arms: Arm) -> None:
        for arm in arms:
            await player.play(arm, "warm", self._acceptance.capacity.start_rps / 2, self._lengths.warm_s)

    async def _capacity(self, player: Player, arm: Arm, start_rps: float, progress: StepProgress) -> float:
        limits = self._acceptance.capacity
        steps: list[CapacityStep] = []
        while (rate := search.next_rate(steps, start_rps, limits.limit_rps)) is not None:
            step = search.judge_step(await player.play(arm, "capacity", rate, self._lengths.step_s), limits)
            if not step.held and step.why.startswith("P95 grew"):
                # Few requests make the P95 of a third of a step jump by itself: a queue shows again, noise does not.
                step = search.judge_step(await player.play(arm, "capacity", rate, self._lengths.step_s), limits)
            steps.append(step)
            progress.note(
                f"{arm.name}: {rate:.0f}/s {'held' if step.held else 'failed: ' + step.why} (P95 {step.p95_ms:.0f} ms)"
            )
            if not step.held:
                await arm.restart()
        found = search.bounds(steps)
        player.measured.capacity[arm.name] = found
        return found.held_rps

    async def _apply(self, player: Player, arm: Arm, url: str, rate_rps: float) -> Applied:
        """Build what the treatments want while the arm serves, so that their own cost is part of the record."""
        load = asyncio.create_task(player.play(arm, "apply", rate_rps, self._lengths.apply_s))
        began = time.monotonic()
        built = []
        try:
            for treatment in arm.treatments.values():
                built += await apply_files(treatment, self._root, url)
            seconds = time.monotonic() - began
            round_ = await load
        finally:
            load.cancel()
        found = round_.load.latency_ms
        latency = {} if found is None else {"p50": found.p50, "p95": found.p95, "p99": found.p99, "max": found.max}
        return Applied(seconds, built, rate_rps, latency, round_.load.error_ratio)

    async def _compare(self, player: Player, before: Arm, after: Arm, progress: StepProgress) -> None:
        rate, seconds = self.findings.rate_rps, self._lengths.round_s
        with progress.step("the same arm against itself"):
            await self._warm(player, before, after)
            for pair in range(self._lengths.aa_pairs):
                for phase in AA_PHASES if pair % 2 == 0 else reversed(AA_PHASES):
                    await player.play(before, phase, rate, seconds, pair=pair, seed=10_000 + pair)
        with progress.step("before against after"):
            for pair in range(self._lengths.pairs):
                for arm in (before, after) if pair % 2 == 0 else (after, before):
                    await player.play(arm, "compare", rate, seconds, pair=pair, seed=20_000 + pair)
        counted = [{r.pair for r in player.measured.of(arm.name, "compare")} for arm in (before, after)]
        complete = len(counted[0] & counted[1])
        if complete < COMPLETE_PAIRS * self._lengths.pairs:
            raise RunVoid(
                f"Only {complete} of {self._lengths.pairs} pairs count: in the others the load generator could not send"
                " in time, so its numbers would be wrong. Run it on a quieter machine."
            )

    async def _stress(self, player: Player, before: Arm, after: Arm) -> None:
        for rate in self._acceptance.stress.rates:
            for arm in (before, after):
                await player.play(arm, "stress", float(rate), self._lengths.stress_s, seed=30_000 + rate)
                await arm.restart()

    async def _take_back(self, arm: Arm, url: str, schema: Any, testbed: Testbed) -> Rollback:
        testbed.check()
        began = time.monotonic()
        await arm.restart(treated=False)
        for treatment in reversed(list(arm.treatments.values())):
            await take_back(treatment, self._root, url)
        seconds = time.monotonic() - began
        return Rollback(seconds, await schema_of(url) == schema)
