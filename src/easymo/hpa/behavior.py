"""How fast a size may change: stabilization windows, scaling policies and the events they look back on.

Times are seconds on one clock; every function uses one ``now`` for a whole sync.
"""

from collections.abc import Iterable
from math import ceil
from typing import Literal, NamedTuple

from easymo.hpa.spec import ScalingRules

Reason = Literal[
    "DesiredWithinRange",
    "TooManyReplicas",
    "TooFewReplicas",
    "ScaleUpLimit",
    "ScaleDownLimit",
    "ScalingDisabled",
    "AboveMax",
    "BelowMin",
    "MetricError",
    "AmbiguousSelector",
]

Log = list[tuple[float, int]]
"""Recommendations as (time, size). Slots are reused, so that the list stays as long as the windows ask for."""


class Event:
    """A change of size that the autoscaler made."""

    __slots__ = ("change", "outdated", "time_s")

    def __init__(self, change: int, time_s: float) -> None:
        self.change, self.time_s, self.outdated = change, time_s, False


class Limited(NamedTuple):
    """A size within all limits, and which limit it met."""

    replicas: int
    reason: Reason


def stabilize(log: Log, proposal: int, current: int, up_window_s: float, down_window_s: float, now: float) -> int:
    """``current`` moved no further than every recommendation of the windows agrees to; ``proposal`` joins ``log``.

    The answer clamps the current size, not the proposal: while it lies between the lowest recent recommendation of the
    up window and the highest of the down window, it stays.
    """
    lowest = highest = proposal
    up_since, down_since = now - up_window_s, now - down_window_s
    oldest = -1
    for slot, (time_s, size) in enumerate(log):
        if time_s > down_since:
            if size > highest:
                highest = size
        elif time_s < down_since and time_s < up_since:
            oldest = slot
        if size < lowest and time_s > up_since:
            lowest = size
    if oldest >= 0:
        log[oldest] = (now, proposal)
    else:
        log.append((now, proposal))
    size = max(current, lowest)
    return min(size, highest)


def stabilize_down(log: Log, proposal: int, window_s: float, now: float) -> int:
    """The window of an autoscaler without ``behavior``: only downwards, and an age equal to the window still counts."""
    highest = proposal
    since = now - window_s
    oldest = -1
    for slot, (time_s, size) in enumerate(log):
        if time_s < since:
            oldest = slot
        elif size > highest:
            highest = size
    if oldest >= 0:
        log[oldest] = (now, proposal)
    else:
        log.append((now, proposal))
    return highest


def limit_rate(
    current: int,
    desired: int,
    bounds: tuple[int, int],
    rules: tuple[ScalingRules, ScalingRules],
    events: tuple[list[Event], list[Event]],
    now: float,
) -> Limited:
    """``desired`` cut to what the policies and ``bounds`` (min, max) allow; ``rules`` and ``events`` are (up, down)."""
    minimum, maximum = bounds
    if desired > current:
        allowed = max(_up_limit(current, rules[0], events, now), current)
        if desired > min(allowed, maximum):
            return Limited(min(allowed, maximum), "ScaleUpLimit" if allowed < maximum else "TooManyReplicas")
    elif desired < current:
        allowed = min(_down_limit(current, rules[1], events, now), current)
        if desired < max(allowed, minimum):
            return Limited(max(allowed, minimum), "ScaleDownLimit" if allowed > minimum else "TooFewReplicas")
    return Limited(desired, "DesiredWithinRange")


def limit_without_behavior(current: int, desired: int, minimum: int, maximum: int) -> Limited:
    """The limit of an autoscaler without ``behavior``: twice the size, at least 4, upwards; none downwards."""
    allowed = max(2 * current, 4)
    if desired < minimum:
        return Limited(minimum, "TooFewReplicas")
    if desired > min(allowed, maximum):
        return Limited(min(allowed, maximum), "ScaleUpLimit" if allowed < maximum else "TooManyReplicas")
    return Limited(desired, "DesiredWithinRange")


def _up_limit(current: int, rules: ScalingRules, events: tuple[list[Event], list[Event]], now: float) -> int:
    if rules.select == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        start = _size_at_start(current, events, policy.period_s, now)
        if policy.type == "Pods":
            limits.append(start + policy.value)
        else:
            limits.append(ceil(start * (1 + policy.value / 100)))
    return max(limits) if rules.select == "Max" else min(limits)


def _down_limit(current: int, rules: ScalingRules, events: tuple[list[Event], list[Event]], now: float) -> int:
    if rules.select == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        start = _size_at_start(current, events, policy.period_s, now)
        if policy.type == "Pods":
            limits.append(start - policy.value)
        else:
            limits.append(int(start * (1 - policy.value / 100)))
    # Max selects the policy that changes most, which downwards is the smallest size.
    return min(limits) if rules.select == "Max" else max(limits)


def _size_at_start(current: int, events: tuple[list[Event], list[Event]], period_s: float, now: float) -> int:
    return current - change_within(events[0], period_s, now) + change_within(events[1], period_s, now)


def change_within(events: Iterable[Event], period_s: float, now: float) -> int:
    """Pods added or removed by ``events`` younger than ``period_s``."""
    since = now - period_s
    return sum(event.change for event in events if event.time_s > since)


def store_event(events: list[Event], change: int, rules: ScalingRules | None, now: float) -> None:
    """Remember a change of ``change`` pods. Without rules (no ``behavior``) nothing is remembered."""
    if rules is None:
        return
    since = now - max((policy.period_s for policy in rules.policies), default=0)
    oldest = -1
    for slot, event in enumerate(events):
        event.outdated = event.outdated or event.time_s < since
        if event.outdated:
            oldest = slot
    if oldest >= 0:
        events[oldest] = Event(change, now)
    else:
        events.append(Event(change, now))
