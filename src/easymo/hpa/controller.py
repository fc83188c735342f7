"""One autoscaler over time: what it remembers, and what it decides at each sync."""

from typing import NamedTuple

from easymo.hpa.behavior import Event, Log, Reason, limit_rate, limit_without_behavior, stabilize, stabilize_down
from easymo.hpa.behavior import store_event as store
from easymo.hpa.replicas import Tolerance
from easymo.hpa.spec import DEFAULT_TOLERANCE, Behavior

SYNC_PERIOD_S = 15.0
"""``--horizontal-pod-autoscaler-sync-period``."""

DOWNSCALE_WINDOW_S = 300.0
"""``--horizontal-pod-autoscaler-downscale-stabilization``: the scale-down window where a manifest sets none."""


class Decision(NamedTuple):
    """The size after a sync, the size that the windows asked for (None: not reached), and what limited it."""

    replicas: int
    stabilized: int | None
    reason: Reason


class Controller:
    """The controller's memory of one autoscaler. A new object is what a restarted controller is: it knows nothing."""

    def __init__(
        self,
        minimum: int,
        maximum: int,
        behavior: Behavior | None,
        downscale_window_s: float = DOWNSCALE_WINDOW_S,
    ) -> None:
        self.minimum, self.maximum, self.behavior = minimum, maximum, behavior
        self.recommendations: Log | None = None
        self.events: tuple[list[Event], list[Event]] = ([], [])
        self._window_s = downscale_window_s
        self._up_window_s = 0.0
        self._down_window_s = downscale_window_s
        if behavior is not None:
            self._up_window_s = behavior.up.window_s or 0
            if behavior.down.window_s is not None:
                self._down_window_s = behavior.down.window_s

    def sync(self, now: float, current: int, proposal: int | None, *, ambiguous: bool = False) -> Decision:
        """Decide at `now` with `current` pods wanted so far.

        `proposal` None: the metrics gave no size. `ambiguous`: another autoscaler scales the same pods.
        """
        if self.recommendations is None:
            self.recommendations = [(now, current)]
        if current == 0 and self.minimum > 0:
            return Decision(0, None, "ScalingDisabled")
        if current > self.maximum:
            return self._decide(now, current, self.maximum, None, "AboveMax")
        if current < self.minimum:
            return self._decide(now, current, self.minimum, None, "BelowMin")
        if ambiguous:
            return Decision(current, None, "AmbiguousSelector")
        if proposal is None:
            return Decision(current, None, "MetricError")
        log = self.recommendations
        if self.behavior is None:
            stabilized = stabilize_down(log, proposal, self._window_s, now)
            limited = limit_without_behavior(current, stabilized, self.minimum, self.maximum)
        else:
            stabilized = stabilize(log, proposal, current, self._up_window_s, self._down_window_s, now)
            rules = (self.behavior.up, self.behavior.down)
            limited = limit_rate(current, stabilized, (self.minimum, self.maximum), rules, self.events, now)
        return self._decide(now, current, limited.replicas, stabilized, limited.reason)

    def _decide(self, now: float, current: int, size: int, stabilized: int | None, reason: Reason) -> Decision:
        if self.behavior is not None and size != current:
            if size > current:
                store(self.events[0], size - current, self.behavior.up, now)
            else:
                store(self.events[1], current - size, self.behavior.down, now)
        return Decision(size, stabilized, reason)


def tolerance_of(behavior: Behavior | None, default: float = DEFAULT_TOLERANCE) -> Tolerance:
    """The tolerance of an autoscaler: its own where it sets one, else the controller's flag."""
    if behavior is None:
        return Tolerance(default, default)
    up, down = behavior.up.tolerance, behavior.down.tolerance
    return Tolerance(default if up is None else up, default if down is None else down)
