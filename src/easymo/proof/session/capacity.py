"""Finds the highest rate that each side holds, by playing steps of rising load: several searches, in drawn order."""

import random
from collections.abc import Callable, Sequence

from easymo.proof.session.rounds import Player
from easymo.proof.session.sides import Side
from easymo.proof.verdict import search
from easymo.proof.verdict.measurement import CapacityStep
from easymo.proof.verdict.search import Capacity

#: After a failed step, requests at a low rate for so many seconds show whether a backlog is left.
BACKLOG_S = 1.0


async def find_capacity(
    player: Player,
    side: Side,
    limits: Capacity,
    start_rps: float,
    *,
    step_s: float,
    resolution: float,
    note: Callable[[str], None],
    growth: float = 2.0,
) -> float:
    """One search; the highest rate held, in requests/s (0 when none was). It is added to the player's measurements."""
    steps: list[CapacityStep] = []
    while (rate := search.next_rate(steps, start_rps, limits.limit_rps, resolution, growth)) is not None:
        step = search.judge_step(await player.play(side, "capacity", rate, step_s), limits)
        steps.append(step)
        how = "held" if step.held else f"failed: {step.why}"
        note(f"{side.name}: {rate:.0f}/s {how} (P95 {step.p95_ms:.0f} ms)")
        if not step.held:
            await _drain(player, side, limits, min(rate, start_rps) / 2)
    found = search.bounds(steps)
    player.measured.capacity.setdefault(side.name, []).append(found)
    return found.held_rps


async def _drain(player: Player, side: Side, limits: Capacity, rate_rps: float) -> None:
    """Restart a side whose failed step left a backlog, and warm it: a restart for nothing would make it cold."""
    again = search.judge_step(await player.play(side, "warm", rate_rps, BACKLOG_S), limits)
    if not again.held:
        await side.restart()
        await player.warm([side], rate_rps, BACKLOG_S)


async def find_again(
    player: Player,
    sides: Sequence[Side],
    limits: Capacity,
    *,
    times: int,
    step_s: float,
    resolution: float,
    note: Callable[[str], None],
) -> None:
    """More searches of sides that had one, in drawn order; each begins where the first one ended, in smaller steps."""
    lot = random.Random(f"{player.load.seed}/searches")
    for _ in range(times):
        for side in lot.sample(list(sides), len(sides)):
            held = player.measured.capacity[side.name][0].held_rps
            if held > 0:
                given = {"step_s": step_s, "resolution": resolution, "growth": resolution**2}
                await find_capacity(player, side, limits, held, note=note, **given)
