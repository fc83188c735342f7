"""Which rate to offer next in the search for an arm's capacity, and when a step counts as held: pure."""

import math
from collections.abc import Sequence

from easymo.load.distribution import add
from easymo.proof.system.acceptance import Capacity
from easymo.proof.verdict.measurement import ArmCapacity, CapacityStep, Round

#: A queue that builds up during a step shows as a rising P95: last third against first third of the step. It must
#: have risen by this factor, and by this part of the P95's limit: among a hundred requests a few slow ones double a P95
#: of 30 ms by chance, while a tenth more load than a system can do makes its requests wait 200 ms longer within 3 s.
STATIONARY = 1.5
STATIONARY_PART = 0.2


def next_rate(steps: Sequence[CapacityStep], start_rps: float, limit_rps: float, resolution: float) -> float | None:
    """Rate of the next step, or None when the search is over: doubling until a step fails, then halving the gap.

    It is over when the lowest failed rate is at most ``resolution`` times the highest held one.
    """
    if not steps:
        return min(start_rps, limit_rps)
    found = bounds(steps)
    if found.failed_rps is None:
        return None if found.held_rps >= limit_rps else min(found.held_rps * 2, limit_rps)
    if found.held_rps == 0:
        return found.failed_rps / 2 if found.failed_rps > 2 else None
    between = float(round(math.sqrt(found.held_rps * found.failed_rps)))
    close = found.failed_rps <= found.held_rps * resolution
    return None if close or not found.held_rps < between < found.failed_rps else between


def bounds(steps: Sequence[CapacityStep]) -> ArmCapacity:
    """Highest held rate below every failed one, and the lowest failed one."""
    failed = min((step.rate_rps for step in steps if not step.held), default=None)
    held = max((s.rate_rps for s in steps if s.held and (failed is None or s.rate_rps < failed)), default=0.0)
    return ArmCapacity(held_rps=held, failed_rps=failed, steps=list(steps))


def judge_step(round_: Round, limits: Capacity) -> CapacityStep:
    """Whether the offered rate held: P95 and errors below their limits, and no queue building up."""
    p95, errors = round_.latency_ms("p95"), round_.load.error_ratio
    why = ""
    if errors >= limits.errors_below:
        why = f"{errors:.1%} errors"
    elif p95 >= limits.p95_below_ms:
        why = f"P95 {p95:.0f} ms"
    elif growth := _growth(round_, STATIONARY_PART * limits.p95_below_ms):
        why = f"P95 grew {growth} during the step"
    elif round_.load.void:
        why = round_.load.void
    return CapacityStep(rate_rps=round_.rate_rps, held=not why, why=why, p95_ms=p95, error_ratio=errors)


def _growth(round_: Round, tolerated_ms: float) -> str:
    """From where to where the P95 rose between the first and the last third of the step; empty when it did not."""
    seconds = round_.load.timeline
    third = max(1, len(seconds) // 3)
    first, last = (add(s.latency_ms for s in part) for part in (seconds[:third], seconds[-third:]))
    if first is None or last is None or last.p95 <= max(first.p95 * STATIONARY, first.p95 + tolerated_ms):
        return ""
    return f"from {first.p95:.0f} to {last.p95:.0f} ms"
