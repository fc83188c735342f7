"""A scaled workload without a PodDisruptionBudget."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity


def check(cluster: Cluster) -> Iterator[Report]:
    selectors = [
        ((document.content.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        for document in cluster.documents
        if document.kind == "PodDisruptionBudget"
    ]
    for _, _, workload in cluster.scalings():
        labels = workload.labels.items()
        if not any(selector and selector.items() <= labels for selector in selectors):
            yield Report(
                workload.document,
                "metadata.name",
                f"No PodDisruptionBudget covers {workload.name}: draining a node may take all its pods at once, and "
                "the autoscaler only sees it afterwards.",
                f"Add a PodDisruptionBudget that selects the pods of {workload.name}.",
            )


RULE = Rule("no-disruption-budget", Severity.WARNING, check)
