"""Two objects of one kind and name."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.manifests import Document
from easymo.hpa.rivals import KINDS


def check(cluster: Cluster) -> Iterator[Report]:
    first: dict[tuple[str, str, str], Document] = {}
    read = {id(workload.document) for workload in cluster.workloads}
    for document in cluster.documents:
        if document.kind not in KINDS and id(document) not in read:
            continue
        before = first.setdefault((document.kind, document.namespace, document.name), document)
        if before is not document:
            yield Report(
                document,
                "metadata.name",
                f"{before.path}:{before.line('metadata.name')} has a {document.kind} {document.name}, too. The "
                "one that is applied last replaces the other.",
                "Remove one, or rename it.",
            )


RULE = Rule("doubled-name", Severity.WARNING, check)
