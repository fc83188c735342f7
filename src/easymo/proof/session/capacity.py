"""Finds the highest rate that an arm holds, by playing steps of rising load."""

from collections.abc import Callable

from easymo.proof.session import search
from easymo.proof.session.rounds import Player
from easymo.proof.system.acceptance import Capacity
from easymo.proof.system.arms import Arm
from easymo.proof.verdict.measurement import CapacityStep


async def find_capacity(
    player: Player,
    arm: Arm,
    limits: Capacity,
    start_rps: float,
    *,
    step_s: float,
    resolution: float,
    note: Callable[[str], None],
) -> float:
    """The highest rate held, in requests/s (0 when none was); all steps are kept in ``player.measured.capacity``."""
    steps: list[CapacityStep] = []
    while (rate := search.next_rate(steps, start_rps, limits.limit_rps, resolution)) is not None:
        step = search.judge_step(await player.play(arm, "capacity", rate, step_s), limits)
        if not step.held and step.why.startswith("P95 grew"):
            # Few requests make the P95 of a third of a step jump by itself: a queue shows again, noise does not.
            step = search.judge_step(await player.play(arm, "capacity", rate, step_s), limits)
        steps.append(step)
        how = "held" if step.held else f"failed: {step.why}"
        note(f"{arm.name}: {rate:.0f}/s {how} (P95 {step.p95_ms:.0f} ms)")
        if not step.held:
            await arm.restart()
    found = search.bounds(steps)
    player.measured.capacity[arm.name] = found
    return found.held_rps
