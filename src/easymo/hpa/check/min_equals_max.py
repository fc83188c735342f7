"""An autoscaler that cannot move."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity


def check(cluster: Cluster) -> Iterator[Report]:
    for document, hpa in cluster.autoscalers:
        if hpa.min_replicas == hpa.max_replicas:
            yield Report(
                document,
                "spec.maxReplicas",
                f"{hpa.name} can only have {hpa.max_replicas} pods: it scales nothing.",
                "Raise maxReplicas, or remove the autoscaler and set replicas.",
            )


RULE = Rule("min-equals-max", Severity.WARNING, check)
