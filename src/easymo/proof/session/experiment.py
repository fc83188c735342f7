"""The run itself: data, arms, answers, capacity, comparison, stress, and everything taken back."""

import asyncio
import contextlib
import time
from pathlib import Path

import asyncpg
from msgspec import Struct

from easymo import indexes
from easymo.proof.errors import AcceptanceError, ProofError, RunVoid
from easymo.proof.report import wording
from easymo.proof.session import match
from easymo.proof.session.answers import SCRATCH, ask_arms
from easymo.proof.session.break_even import find_break_even
from easymo.proof.session.capacity import find_again, find_capacity
from easymo.proof.session.match import Match
from easymo.proof.session.plan import ANSWERS_STEP, COLD_STEP, Lengths
from easymo.proof.session.progress import StepProgress
from easymo.proof.session.rounds import Player, load_of
from easymo.proof.system import cache_reads
from easymo.proof.system.acceptance import Acceptance
from easymo.proof.system.arms import BASELINE, TREATED, Arm, arms_of
from easymo.proof.system.cache_reads import Reads
from easymo.proof.system.template import clone, fill_template, row_counts
from easymo.proof.system.testbed import Testbed, open_testbed
from easymo.proof.system.treatments import index_definitions, schema_of
from easymo.proof.system.write_cost import UpdateCounters, checkpoint, read_counters
from easymo.proof.verdict.file import Applied, BreakEven, HitRate, Mode, Rollback
from easymo.proof.verdict.judge import Verdict, judge
from easymo.proof.verdict.measurement import Measurements
from easymo.proof.verdict.no_worse import or_no_worse


class Findings(Struct):
    """What a run found, before anybody judges it."""

    measured: Measurements
    arms: list[str]
    rate_rps: float = 0.0
    confidence: float = 0.95
    baseline_indexes: list[str] = []
    applied: dict[str, Applied] = {}
    rollback: Rollback | None = None
    versions: tuple[str, str] = ("", "")
    rows: dict[str, int] = {}
    statements_counted: bool = True
    counters: dict[str, tuple[UpdateCounters, UpdateCounters]] = {}
    break_even: BreakEven | None = None
    no_break_even: str = ""
    cache_reads: dict[str, HitRate] = {}
    notes: list[str] = []


class Experiment:
    """One run over its arms, the baseline first."""

    def __init__(
        self, acceptance: Acceptance, root: Path, folder: Path, *, scale: str, lengths: Lengths, mode: Mode
    ) -> None:
        self._acceptance, self._root, self._folder, self._scale = acceptance, root, folder, scale
        self._lengths = lengths
        self._treatments = arms_of(acceptance, full=mode == "full")
        self._grid = acceptance.break_even if mode == "full" else None
        self.findings = Findings(Measurements(), list(self._treatments))

    async def run(self, progress: StepProgress) -> Findings:
        """Do it all; raises :class:`RunVoid` when it cannot be finished. Nothing is left running either way."""
        async with open_testbed([*self._treatments, SCRATCH], self._root) as testbed:
            with progress.step("servers, data and one copy per arm"):
                await self._prepare(testbed)
                progress.note(wording.rows(self.findings.rows))
            player = Player(load_of(self._acceptance, self._root, self._scale), self._folder / "rounds.jsonl")
            self.findings.measured = player.measured
            with progress.step(ANSWERS_STEP):
                treated = self._treatments[TREATED]
                player.measured.answers = await ask_arms(
                    testbed, self._acceptance, self._root, self._folder, player.load, treated
                )
            arms = [Arm(name, given, self._acceptance, testbed) for name, given in self._treatments.items()]
            async with player, contextlib.AsyncExitStack() as running:
                for arm in arms:
                    arm.prepare(self._acceptance, self._root, self._folder / "logs")
                    await running.enter_async_context(arm.system)
                await self._measure_and_take_back(arms, player, progress, testbed)
        if self._grid is not None:
            try:
                self.findings.break_even = await find_break_even(
                    self._acceptance, self._grid, self._root, self._folder, self._lengths, progress
                )
            except RunVoid as error:  # the verdicts are complete without it
                self.findings.no_break_even = str(error)
                progress.note(f"break-even is given up: {error}")
        return self.findings

    async def _prepare(self, testbed: Testbed) -> None:
        self.findings.versions = await testbed.versions()
        self.findings.statements_counted = testbed.counts_statements
        log = self._folder / "prepare.log"
        await fill_template(testbed, self._acceptance, self._root, self._scale, log)
        self.findings.notes = testbed.notes
        self.findings.rows = await row_counts(testbed, "template")
        for arm in self._treatments:
            await clone(testbed, arm)
        self.findings.baseline_indexes = await index_definitions(testbed.database_url(BASELINE))

    async def _measure_and_take_back(
        self, arms: list[Arm], player: Player, progress: StepProgress, testbed: Testbed
    ) -> None:
        schemas = {arm.name: await schema_of(arm.database_url) for arm in arms}
        try:
            await self._measure(arms, player, progress)
        except BaseException:
            try:
                await asyncio.shield(self._take_back(arms, schemas, progress, testbed))
            except (ProofError, indexes.IndexesError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                progress.note(f"not taken back ({error}); the scratch databases are removed all the same")
            raise
        await self._take_back(arms, schemas, progress, testbed)

    async def _measure(self, arms: list[Arm], player: Player, progress: StepProgress) -> None:
        limits, lengths = self._acceptance.capacity, self._lengths
        search = {"step_s": lengths.step_s, "resolution": lengths.resolution}
        with progress.step("starting the system in each arm"):
            await player.warm(arms, limits.start_rps / 2, lengths.warm_s)
            self._refuse_unknown_writes(player)
        with progress.step("capacity before"):
            held = await find_capacity(player, arms[0], limits, limits.start_rps, note=progress.note, **search)
        if held <= 0:
            raise RunVoid(
                "The baseline held no rate at all (P95 and errors within their limits), so there is nothing to"
                " compare with. Lower start_rps or raise p95_below_ms in [capacity], use a smaller --scale, or look"
                " into logs/ of the run."
            )
        self.findings.rate_rps = float(round(held / 2) or held / 2)
        with progress.step("applying the treatments under load"):
            for arm in arms[1:]:
                self.findings.applied[arm.name] = await self._apply(player, arm, float(round(held / 4) or held / 4))
        with progress.step("capacity after"):
            for arm in arms[1:]:
                await find_capacity(player, arm, limits, 2 * held, note=progress.note, **search)
            await find_again(player, arms, limits, times=lengths.searches - 1, note=progress.note, **search)
        await self._compare(player, arms, progress)

    def _refuse_unknown_writes(self, player: Player) -> None:
        """What the scenario's requests are called is known once it was asked."""
        known = player.measured.answers.names if player.measured.answers is not None else []
        for name in self._acceptance.load.writes:
            if name not in known:
                problem = f"it has no request named {name!r}, which [load] writes names."
                raise AcceptanceError(self._acceptance.load.scenario, None, problem, ", ".join(known))

    async def _apply(self, player: Player, arm: Arm, rate_rps: float) -> Applied:
        """Build what the treatments want while the arm serves, so that their own cost is part of the record."""
        load = asyncio.create_task(player.play(arm, "apply", rate_rps, self._lengths.apply_s))
        began = time.monotonic()
        built = []
        try:
            for treatment in arm.treatments.values():
                built += await arm.apply(treatment)
            seconds = time.monotonic() - began
            round_ = await load
        except BaseException:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
            raise
        found = round_.load.latency_ms
        latency = {} if found is None else {"p50": found.p50, "p95": found.p95, "p99": found.p99, "max": found.max}
        return Applied(seconds, built, rate_rps, latency, round_.load.error_ratio)

    async def _compare(self, player: Player, arms: list[Arm], progress: StepProgress) -> None:
        lengths, ends = self._lengths, [arms[0], arms[-1]]
        played = Match(player, arms, lengths.rules(self.findings.rate_rps))
        with progress.step(match.WARM):
            await checkpoint(arms[0].database_url)
            await played.warm_alike()
        with progress.step(match.ITSELF):
            await played.against_itself()
        before = {arm.name: await read_counters(arm.database_url) for arm in arms}
        reads = await self._cache_reads(arms[-1])
        await played.compare(self._judge, progress)
        self.findings.confidence = played.confidence
        self.findings.counters = {arm.name: (before[arm.name], await read_counters(arm.database_url)) for arm in arms}
        if (asked := self._acceptance.report.cache_counters) is not None:
            self.findings.cache_reads = cache_reads.hit_rates(asked, reads, await self._cache_reads(arms[-1]))
        if lengths.cold_pairs:
            with progress.step(COLD_STEP):
                await played.play_pairs(range(lengths.cold_pairs), "cold", ends)
        with progress.step(match.STRESS):
            await played.stress(self._acceptance.stress.rates, lengths.stress_s, lengths.stress_rounds)

    def _judge(self, measured: Measurements, confidence: float) -> list[Verdict]:
        promises = or_no_worse(self._acceptance.promises, measured.rounds)
        paired = [promise for promise in promises if promise.of.how == "pairs"]
        return judge(paired, measured, BASELINE, TREATED, confidence)

    async def _cache_reads(self, arm: Arm) -> Reads:
        """What the arm's processes have counted so far; nothing where the acceptance file does not say where."""
        asked = self._acceptance.report.cache_counters
        return {} if asked is None else await cache_reads.read_counters(asked, arm.system.targets().values())

    async def _take_back(
        self, arms: list[Arm], schemas: dict[str, indexes.Schema], progress: StepProgress, testbed: Testbed
    ) -> None:
        """Take every treatment back; the seconds are those of the arm that has them all."""
        with progress.step("taking everything back"):
            testbed.check()
            seconds, restored = 0.0, True
            for arm in arms[1:]:
                began = time.monotonic()
                await arm.restart(treated=False)
                for treatment in reversed(list(arm.treatments.values())):
                    await arm.take_back(treatment)
                seconds = time.monotonic() - began
                restored = restored and await schema_of(arm.database_url) == schemas[arm.name]
            self.findings.rollback = Rollback(seconds, restored)
        progress.note(f"taken back in {seconds:.1f} s, schema {'equal' if restored else 'NOT equal'}")
