"""The conditions of an autoscaler's status, as `kubectl describe hpa` shows them after a sync."""

from collections.abc import Mapping, Sequence

from easymo.hpa.controller import Decision
from easymo.hpa.spec import MetricType

Condition = tuple[bool, str]
"""Whether it is true, and the reason."""


def status_after(
    before: Mapping[str, Condition],
    decision: Decision,
    current: int,
    proposal: int | None,
    failed: Sequence[MetricType] = (),
    *,
    has_behavior: bool = False,
    scale_to_zero: bool = False,
) -> dict[str, Condition]:
    """The conditions by type after one sync that found `current` pods; a type that the sync does not touch stays.

    `proposal` is what the metrics asked for, `failed` are the types of those that failed. `has_behavior`: the
    manifest sets one; `scale_to_zero`: the feature gate HPAScaleToZero is on.
    """
    found = {**before, "AbleToScale": (True, "SucceededGetScale")}
    reason = decision.reason
    if reason in ("ScalingDisabled", "AmbiguousSelector"):
        found["ScalingActive"] = (False, reason)
    elif reason == "MetricError":
        found["ScalingActive"] = (False, f"FailedGet{failed[0]}Metric" if failed else "InvalidMetricSourceType")
    elif decision.stabilized is not None:
        found["ScalingActive"] = (True, "ValidMetricFound")
        found["AbleToScale"] = (True, "ReadyForNewScale")
        if decision.stabilized != proposal and proposal is not None:
            direction = "Up" if has_behavior and proposal >= current else "Down"
            found["AbleToScale"] = (True, f"Scale{direction}Stabilized")
        found["ScalingLimited"] = (reason != "DesiredWithinRange", reason)
    if decision.replicas != current:
        found["AbleToScale"] = (True, "SucceededRescale")
        if scale_to_zero:
            found["ScaledToZero"] = (not decision.replicas, "NotScaledToZero" if decision.replicas else "ScaledToZero")
    return found
