"""Two autoscalers of the same pods."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.rivals import KINDS, rivals_of


def check(cluster: Cluster) -> Iterator[Report]:
    for document in cluster.documents:
        if document.kind not in KINDS:
            continue
        rivals = [
            r for r in rivals_of(document, cluster.documents) if (r.kind, r.name) != (document.kind, document.name)
        ]
        if rivals:
            others = ", ".join(f"{rival.kind} {rival.name}" for rival in rivals)
            yield Report(
                document,
                "spec.scaleTargetRef",
                f"{document.name} scales pods that {others} scales, too. Kubernetes sets the condition "
                "AmbiguousSelector on both, and neither acts.",
                "Keep one autoscaler for each workload, with the metrics of both, and give workloads selectors "
                "of their own.",
            )


RULE = Rule("two-autoscalers-one-workload", Severity.ERROR, check)
