"""A scale-down window without a policy beside it."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity


def check(cluster: Cluster) -> Iterator[Report]:
    for document, hpa in cluster.autoscalers:
        behavior = document.content["spec"].get("behavior") or {}
        rules = behavior.get("scaleDown") or {}
        window_s = rules.get("stabilizationWindowSeconds")
        if window_s is not None and not rules.get("policies") and rules.get("selectPolicy") != "Disabled":
            yield Report(
                document,
                "spec.behavior.scaleDown.stabilizationWindowSeconds",
                f"The window waits {window_s} s, then the default policy (100 % in 15 s) applies: {hpa.name} drops "
                f"from {hpa.max_replicas} to {hpa.min_replicas} pods in one step.",
                "Add a policy, for instance {type: Pods, value: 1, periodSeconds: 60}.",
            )


RULE = Rule("window-without-rate", Severity.WARNING, check)
