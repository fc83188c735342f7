"""A workload that names its own size although an autoscaler sets it."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity


def check(cluster: Cluster) -> Iterator[Report]:
    for _, hpa, workload in cluster.scalings():
        replicas = (workload.document.content.get("spec") or {}).get("replicas")
        if replicas is not None and hpa.target_kind == workload.document.kind:  # else a Rollout's template: it keeps 0
            yield Report(
                workload.document,
                "spec.replicas",
                f"{hpa.name} sets the size of {workload.name}, and every kubectl apply puts it back to {replicas}: in "
                "the middle of a peak that removes pods.",
                "Remove spec.replicas.",
            )


RULE = Rule("replicas-in-scaled-workload", Severity.WARNING, check)
