"""A field that the API server drops because its feature gate is off."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity


def check(cluster: Cluster) -> Iterator[Report]:
    if cluster.settings.has_gate("HPAConfigurableTolerance"):
        return
    for document, hpa in cluster.autoscalers:
        behavior = document.content["spec"].get("behavior") or {}
        for direction in ("scaleUp", "scaleDown"):
            if "tolerance" in (behavior.get(direction) or {}):
                yield Report(
                    document,
                    f"spec.behavior.{direction}.tolerance",
                    f"Kubernetes {cluster.settings.version} has the gate HPAConfigurableTolerance off (on since 1.35): "
                    f"it drops the field, and {hpa.name} has the tolerance of the controller, 10 %.",
                    "Turn the gate on and pass --feature-gate HPAConfigurableTolerance, or remove the field.",
                )


RULE = Rule("field-without-gate", Severity.WARNING, check)
