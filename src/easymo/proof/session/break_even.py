"""Break-even: the comparison in short form at several data sizes and settings of the scenario, to see where it turns.

Every size gets servers of its own, with the baseline and the arm that has all treatments, at half of the rate that the
baseline holds at that size. The main run's verdicts know nothing of this.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from easymo.proof.session.capacity import find_capacity
from easymo.proof.session.match import Match, Rules
from easymo.proof.session.plan import Lengths, break_even_step
from easymo.proof.session.progress import StepProgress
from easymo.proof.session.rounds import Player, load_of
from easymo.proof.system.acceptance import Acceptance, Grid
from easymo.proof.system.arms import BASELINE, TREATED, Arm, arms_of
from easymo.proof.system.template import clone, fill_template, row_counts
from easymo.proof.system.testbed import Testbed, open_testbed
from easymo.proof.verdict import estimates, judge
from easymo.proof.verdict.file import BreakEven, GridCell
from easymo.proof.verdict.flips import find_flips, outcome_of
from easymo.proof.verdict.measurement import ArmCapacity, Measurements
from easymo.proof.verdict.promises import Promise

#: A capacity is enclosed between the held rate and this multiple of it: enough to choose a rate and to see a promise
#: of twice the throughput turn.
RESOLUTION = 1.5


async def find_break_even(
    acceptance: Acceptance, grid: Grid, root: Path, folder: Path, lengths: Lengths, progress: StepProgress
) -> BreakEven:
    """Play the whole grid, size by size; the rounds go to `break-even.jsonl`. Nothing is left of a size after it."""
    cells: list[GridCell] = []
    for scale in grid.scales:
        with progress.step(break_even_step(scale)):
            async with open_testbed([BASELINE, TREATED], root) as testbed:
                cells += await _Size(acceptance, grid, root, folder, lengths, testbed, scale).play(progress)
    return BreakEven(
        grid.scales,
        grid.repeat_read,
        grid.pairs,
        grid.round_s,
        cells,
        find_flips(cells, grid.scales, grid.repeat_read),
        outcome_of(cells),
    )


class _Size:
    """All cells of one data size."""

    def __init__(
        self,
        acceptance: Acceptance,
        grid: Grid,
        root: Path,
        folder: Path,
        lengths: Lengths,
        testbed: Testbed,
        scale: str,
    ) -> None:
        self._acceptance, self._grid, self._lengths = acceptance, grid, lengths
        self._root, self._folder, self._testbed, self._scale = root, folder, testbed, scale

    async def play(self, progress: StepProgress) -> list[GridCell]:
        """The cells in the order of the settings; none when the baseline holds no rate at this size."""
        testbed, logs = self._testbed, self._folder / "logs"
        log = self._folder / "prepare.log"
        await fill_template(testbed, self._acceptance, self._root, self._scale, log)
        rows = await row_counts(testbed, "template")
        given = arms_of(self._acceptance, full=False)
        arms = [Arm(name, treatments, self._acceptance, testbed) for name, treatments in given.items()]
        async with contextlib.AsyncExitStack() as running:
            for arm in arms:
                await clone(testbed, arm.name)
                arm.prepare(self._acceptance, self._root, logs / f"size-{self._scale}")
                for treatment in arm.treatments.values():
                    await arm.apply(treatment)
                await running.enter_async_context(arm.system)
            capacity = await self._capacities(arms, progress)
            rate = max(1.0, round(capacity[BASELINE][0].held_rps / 2))
            if capacity[BASELINE][0].held_rps <= 0:
                progress.note(f"the baseline held no rate at size {self._scale}, so there is nothing to compare with")
                return []
            return [await self._cell(arms, setting, rate, rows, capacity) for setting in self._grid.repeat_read]

    async def _capacities(self, arms: list[Arm], progress: StepProgress) -> dict[str, list[ArmCapacity]]:
        limits = self._acceptance.capacity
        start = limits.start_rps
        async with self._player(None) as player:
            await player.warm(arms, limits.start_rps / 2, self._lengths.warm_s)
            for arm in arms:
                held = await find_capacity(
                    player,
                    arm,
                    limits,
                    start,
                    step_s=self._lengths.step_s,
                    resolution=RESOLUTION,
                    note=progress.note,
                )
                if held <= 0:
                    break
                start = 2 * held
        return player.measured.capacity

    async def _cell(
        self,
        arms: list[Arm],
        setting: float,
        rate_rps: float,
        rows: dict[str, int],
        capacity: dict[str, list[ArmCapacity]],
    ) -> GridCell:
        async with self._player(setting) as player:
            rules = Rules(rate_rps, self._grid.round_s, [self._grid.pairs], warm_s=self._lengths.warm_s)
            played = Match(player, arms, rules)
            await played.warm_alike()
            await played.play_pairs(range(self._grid.pairs))
        measured = player.measured
        measured.capacity = capacity
        rounds = [r for arm in arms for r in measured.of(arm.name, "compare")]
        changes, decisions = judge_cell(self._acceptance.promises, measured)
        return GridCell(
            scale=self._scale,
            repeat_read=setting,
            rows=rows,
            rate_rps=rate_rps,
            repeat_read_ratio=fmean(r.load.repeat_read_ratio for r in rounds) if rounds else None,
            capacity_rps={arm: judge.held(found) for arm, found in capacity.items()},
            changes=changes,
            verdicts=decisions,
        )

    def _player(self, setting: float | None) -> Player:
        load = load_of(self._acceptance, self._root, self._scale, setting)
        return Player(load, self._folder / "break-even.jsonl", salt=f"{self._scale}/{setting}/")


def judge_cell(
    promises: Sequence[Promise], measured: Measurements
) -> tuple[dict[str, list[float | None]], dict[str, judge.Decision]]:
    """Changes per metric and verdicts per promise. Each promise is judged by its own interval, without adjustment for
    the others: a cell shows where a verdict turns, it is not the verdict. What needs more than pairs and capacities, as
    errors under stress do, is left out."""
    changes: dict[str, list[float | None]] = {}
    decisions: dict[str, judge.Decision] = {}
    for promise in promises:
        if promise.of.how not in ("pairs", "capacity"):
            continue
        (verdict,) = judge.judge([promise], measured, BASELINE, TREATED)
        decisions[promise.id] = verdict.verdict
        if promise.kind == "change" and verdict.interval is not None:
            changes[promise.metric] = [verdict.change, *verdict.interval]
        elif judge.is_paired(promise):
            change = estimates.change_between(measured, BASELINE, TREATED, promise.of)
            changes |= {promise.metric: [*change]} if change is not None else {}
    return changes, decisions
