"""A target that no file has, among files that have others."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity

_UNSCALABLE = ("DaemonSet", "Pod", "Job", "CronJob")


def check(cluster: Cluster) -> Iterator[Report]:
    found = {id(scaling.document) for scaling in cluster.scalings()}
    for document, hpa in cluster.autoscalers:
        target = f"{hpa.target_kind} {hpa.target_name}"
        version = document.content["spec"]["scaleTargetRef"].get("apiVersion", "")
        if hpa.target_kind in _UNSCALABLE or version.startswith(("extensions/", "apps/v1beta")):
            yield Report(
                document,
                "spec.scaleTargetRef",
                f"Kubernetes cannot scale {target} of {version}: {hpa.name} is stored and never acts.",
                "Name a Deployment or a StatefulSet of apps/v1, or another object with a scale subresource.",
            )
        elif id(document) not in found and cluster.workloads:
            yield Report(
                document,
                "spec.scaleTargetRef",
                f"{hpa.name} scales {target}, which is not in these files. If it is nowhere, the autoscaler "
                "never acts.",
                "Correct the name, kind or namespace, or check the manifest of the target, too.",
            )


RULE = Rule("target-not-in-files", Severity.WARNING, check)
