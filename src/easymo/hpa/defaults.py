"""What the API server fills in before an autoscaler is stored."""

from typing import Any

_UP: dict[str, Any] = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_DOWN: dict[str, Any] = {
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}
_CPU_80: dict[str, Any] = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
}


def default_rules(direction: str, rules: dict[str, Any] | None) -> dict[str, Any]:
    """``rules`` of ``scaleUp`` or ``scaleDown`` with each absent field filled; a given one replaces its default alone.

    ``scaleDown`` gets no window: where it is unset the controller's flag applies.
    """
    filled = {**(_UP if direction == "scaleUp" else _DOWN)}
    filled.update({key: value for key, value in (rules or {}).items() if value is not None})
    return filled


def default_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """``spec`` as the API server stores it. An absent ``behavior`` stays absent: it has rules of its own."""
    filled = {**spec, "minReplicas": 1 if spec.get("minReplicas") is None else spec["minReplicas"]}
    if not spec.get("metrics"):
        filled["metrics"] = [_CPU_80]
    behavior = spec.get("behavior")
    if behavior is not None:
        filled["behavior"] = {
            direction: default_rules(direction, behavior.get(direction)) for direction in ("scaleUp", "scaleDown")
        }
    return filled
