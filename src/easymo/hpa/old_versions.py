"""Autoscalers of older API versions: autoscaling/v1 as autoscaling/v2 holds it, and what became of the others.

The API server still serves autoscaling/v1. What it has no field for stands in two annotations as JSON.
"""

import json
from typing import Any

GONE = {
    "autoscaling/v2beta1": "Kubernetes removed it in 1.25. Write autoscaling/v2, where targets stand under `target`",
    "autoscaling/v2beta2": "Kubernetes removed it in 1.26. Change it to autoscaling/v2; the fields are the same",
}
_ANNOTATION = "autoscaling.alpha.kubernetes.io/"
_SOURCES = ("resource", "containerResource", "pods", "object", "external")


def as_v2(content: dict[str, Any]) -> dict[str, Any]:
    """`content` converted if it is an autoscaler of autoscaling/v1 that has the right shape, else `content` itself."""
    spec, metadata = content.get("spec"), content.get("metadata", {})
    if (content["kind"], content["apiVersion"]) != ("HorizontalPodAutoscaler", "autoscaling/v1"):
        return content
    annotations = metadata.get("annotations", {}) if isinstance(metadata, dict) else None
    if not isinstance(spec, dict) or not isinstance(annotations, dict):
        return content
    new = {key: value for key, value in spec.items() if key != "targetCPUUtilizationPercentage"}
    listed = _json(annotations, "metrics")
    metrics = [_metric(metric) for metric in listed if isinstance(metric, dict)] if isinstance(listed, list) else []
    if (percent := spec.get("targetCPUUtilizationPercentage")) is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        new["metrics"] = metrics
    if isinstance(behavior := _json(annotations, "behavior"), dict):
        new["behavior"] = behavior
    kept = {key: value for key, value in annotations.items() if not key.startswith(_ANNOTATION)}
    return {**content, "apiVersion": "autoscaling/v2", "metadata": {**metadata, "annotations": kept}, "spec": new}


def _json(annotations: dict[str, Any], name: str) -> Any:
    """An annotation that cannot be read is none, as the server's conversion has it."""
    try:
        return json.loads(annotations[_ANNOTATION + name])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _metric(metric: dict[str, Any]) -> dict[str, Any]:
    new: dict[str, Any] = {"type": metric.get("type")}
    for key in _SOURCES:
        if isinstance(old := metric.get(key), dict):
            new[key] = _source(key, old)
    return new


def _source(key: str, old: dict[str, Any]) -> dict[str, Any]:
    amounts = {
        "averageUtilization": old.get("targetAverageUtilization"),
        "averageValue": old.get("averageValue", old.get("targetAverageValue")),
        "value": old.get("targetValue"),
    }
    target = {name: amount for name, amount in amounts.items() if amount is not None}
    first = next(iter(target), "value")
    target["type"] = {"averageUtilization": "Utilization", "averageValue": "AverageValue"}.get(first, "Value")
    if key in ("resource", "containerResource"):
        return {**{name: old[name] for name in ("name", "container") if name in old}, "target": target}
    selector = old.get("metricSelector", old.get("selector"))
    metric = {"name": old.get("metricName"), **({} if selector is None else {"selector": selector})}
    described = {"describedObject": old["target"]} if key == "object" and "target" in old else {}
    return {"metric": metric, "target": target, **described}
