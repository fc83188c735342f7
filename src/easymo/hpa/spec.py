"""An autoscaler as autoscaling/v2 describes it, in the form that the arithmetic uses."""

from typing import Any, Literal

from msgspec import Struct

from easymo.hpa.defaults import default_spec
from easymo.hpa.quantity import milli

MetricType = Literal["Resource", "ContainerResource", "Pods", "Object", "External"]
TargetType = Literal["Utilization", "AverageValue", "Value"]
SOURCE_KEY = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}
"""Metric type → the key of ``spec.metrics[]`` that holds its source."""

DEFAULT_TOLERANCE = 0.1
"""``--horizontal-pod-autoscaler-tolerance`` of kube-controller-manager."""


class ScalingPolicy(Struct, frozen=True):
    """At most ``value`` pods or percent within ``period_s`` seconds."""

    type: Literal["Pods", "Percent"]
    value: int
    period_s: int


class ScalingRules(Struct, frozen=True):
    """One direction of ``behavior``. ``window_s`` None: the controller's own flag applies."""

    window_s: int | None
    select: Literal["Max", "Min", "Disabled"]
    policies: tuple[ScalingPolicy, ...]
    tolerance: float | None = None


class Behavior(Struct, frozen=True):
    """Both directions; the API server fills in the one that is not written."""

    up: ScalingRules
    down: ScalingRules


class Metric(Struct, frozen=True):
    """One metric and its target: percent for Utilization, thousandths for the other target types."""

    type: MetricType
    name: str
    target: TargetType
    amount: int
    container: str | None = None


class Hpa(Struct, frozen=True):
    """One HorizontalPodAutoscaler after defaulting. ``behavior`` stays None when the manifest has none."""

    name: str
    namespace: str
    target_kind: str
    target_name: str
    min_replicas: int
    max_replicas: int
    metrics: tuple[Metric, ...]
    behavior: Behavior | None = None


def hpa_from(manifest: dict[str, Any]) -> Hpa:
    """The autoscaler of a ``manifest`` that :func:`easymo.hpa.validation.validate` accepts."""
    spec = default_spec(manifest["spec"])
    return Hpa(
        name=manifest["metadata"]["name"],
        namespace=manifest["metadata"].get("namespace", "default"),
        target_kind=spec["scaleTargetRef"]["kind"],
        target_name=spec["scaleTargetRef"]["name"],
        min_replicas=spec["minReplicas"],
        max_replicas=spec["maxReplicas"],
        metrics=tuple(metric_from(metric) for metric in spec["metrics"]),
        behavior=behavior_from(spec.get("behavior")),
    )


def metric_from(metric: dict[str, Any]) -> Metric:
    """One entry of ``spec.metrics``. Which target counts is decided by the filled field, as the controller does."""
    source = metric[SOURCE_KEY[metric["type"]]]
    name = source["name"] if metric["type"] in ("Resource", "ContainerResource") else source["metric"]["name"]
    target = source["target"]
    kind: TargetType
    if "averageUtilization" in target:
        kind, amount = "Utilization", int(target["averageUtilization"])
    elif "averageValue" in target:
        kind, amount = "AverageValue", milli(target["averageValue"])
    else:
        kind, amount = "Value", milli(target["value"])
    return Metric(metric["type"], name, kind, amount, source.get("container"))


def behavior_from(behavior: dict[str, Any] | None) -> Behavior | None:
    """Both directions of a defaulted ``behavior``."""
    if behavior is None:
        return None
    return Behavior(rules_from(behavior["scaleUp"]), rules_from(behavior["scaleDown"]))


def rules_from(rules: dict[str, Any]) -> ScalingRules:
    """One defaulted direction."""
    tolerance = rules.get("tolerance")
    return ScalingRules(
        window_s=rules.get("stabilizationWindowSeconds"),
        select=rules["selectPolicy"],
        policies=tuple(ScalingPolicy(p["type"], p["value"], p["periodSeconds"]) for p in rules["policies"]),
        tolerance=None if tolerance is None else milli(tolerance) / 1000,
    )
