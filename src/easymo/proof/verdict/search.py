"""Which rate to offer next in a search for a capacity, and when a step counts as held: pure.

The rate grows until a step fails, then the gap between the highest rate held and the lowest failed is halved. A rate
has failed when it failed twice: once the gap is closed, its upper end is offered again, and when it holds then, the
search goes on from there. So one hiccup of the machine costs a step and no verdict.
"""

import math
from collections.abc import Sequence

from msgspec import Struct

from easymo.load.distribution import add
from easymo.proof.verdict.measurement import ArmCapacity, CapacityStep, Round

#: A queue that builds up during a step shows as a rising P95: last third against first third of the step. It must
#: have risen by this factor, and by this part of the P95's limit: among a hundred requests a few slow ones double a P95
#: of 30 ms by chance, while a tenth more load than a system can do makes its requests wait 200 ms longer within 3 s.
STATIONARY = 1.5
STATIONARY_PART = 0.2


class Capacity(Struct, frozen=True, forbid_unknown_fields=True):
    """When a step of the capacity search counts as held, and where the search starts and stops (requests/s)."""

    p95_below_ms: float = 500.0
    errors_below: float = 0.01
    step_s: float = 3.0
    start_rps: float = 40.0
    limit_rps: float = 5000.0


def next_rate(
    steps: Sequence[CapacityStep], start_rps: float, limit_rps: float, resolution: float, growth: float = 2.0
) -> float | None:
    """Rate of the next step, or None when the search is over; a held one grows by the factor `growth`.

    It is over when the lowest rate that failed twice is at most `resolution` times the highest held one.
    """
    if not steps:
        return min(start_rps, limit_rps)
    found = bounds(steps)
    if found.failed_rps is None:
        return None if found.held_rps >= limit_rps else min(float(round(found.held_rps * growth)), limit_rps)
    if found.held_rps == 0 and found.failed_rps > 1:
        return found.failed_rps / 2
    between = float(round(math.sqrt(found.held_rps * found.failed_rps)))
    close = found.failed_rps <= found.held_rps * resolution
    if not close and found.held_rps < between < found.failed_rps:
        return between
    return found.failed_rps if _failures(steps, found.failed_rps) < 2 else None


def bounds(steps: Sequence[CapacityStep]) -> ArmCapacity:
    """The lowest rate that failed and did not hold at another try, and the highest held one below it."""
    held = {step.rate_rps for step in steps if step.held}
    failed = min((step.rate_rps for step in steps if not step.held and step.rate_rps not in held), default=None)
    highest = max((rate for rate in held if failed is None or rate < failed), default=0.0)
    return ArmCapacity(held_rps=highest, failed_rps=failed, steps=list(steps))


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


def _failures(steps: Sequence[CapacityStep], rate_rps: float) -> int:
    return sum(step.rate_rps == rate_rps and not step.held for step in steps)


def _growth(round_: Round, tolerated_ms: float) -> str:
    """From where to where the P95 rose between the first and the last third of the step; empty when it did not."""
    seconds = round_.load.timeline
    third = max(1, len(seconds) // 3)
    first, last = (add(s.latency_ms for s in part) for part in (seconds[:third], seconds[-third:]))
    if first is None or last is None or last.p95 <= max(first.p95 * STATIONARY, first.p95 + tolerated_ms):
        return ""
    return f"from {first.p95:.0f} to {last.p95:.0f} ms"
