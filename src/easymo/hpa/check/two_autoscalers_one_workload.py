"""Two autoscalers of the same pods."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Scaling, Severity
from easymo.hpa.manifests import Document
from easymo.hpa.rivals import KINDS, rivals_of


def check(cluster: Cluster) -> Iterator[Report]:
    workloads = {id(scaling.document): scaling.workload.document for scaling in cluster.scalings()}
    for document, near in _near(cluster):
        those = [document, *near]
        known = [workloads[id(d)] for d in those if id(d) in workloads]
        found = rivals_of(document, [*those, *known])
        others = [f"{rival.kind} {rival.name}" for rival in found if (rival.kind, rival.name) != _identity(document)]
        if others:
            yield Report(
                document,
                "spec.scaleTargetRef",
                f"{document.name} scales pods that {', '.join(others[:5])} scales, too. Kubernetes sets the condition "
                "AmbiguousSelector on both, and neither acts.",
                "Keep one autoscaler for each workload, with the metrics of both, and give workloads selectors "
                "of their own.",
            )


def _identity(document: Document) -> tuple[str, str]:
    return document.kind, document.name


def _near(cluster: Cluster) -> Iterator[tuple[Document, list[Document]]]:
    """Each autoscaler with those that may be rivals: of its target's name, or with a label of its pods."""
    autoscalers = [document for document in cluster.documents if document.kind in KINDS]
    scalings = {id(scaling.document): scaling for scaling in cluster.scalings()}
    common = Counter(item for scaling in scalings.values() for item in scaling.workload.selector.items())
    groups: dict[object, dict[int, Document]] = defaultdict(dict)
    for document in autoscalers:
        groups[_target(document)][id(document)] = document
        selector = scalings[id(document)].workload.selector.items() if id(document) in scalings else ()
        if selector:
            groups[min(selector, key=lambda item: common[item])][id(document)] = document
    for document in autoscalers:
        keys = [_target(document), *_labels(scalings.get(id(document)))]
        near = {place: other for key in keys for place, other in groups.get(key, {}).items() if other is not document}
        if near:
            yield document, list(near.values())[:100]


def _target(document: Document) -> str:
    return str(document.content["spec"]["scaleTargetRef"].get("name"))


def _labels(scaling: Scaling | None) -> list[tuple[str, str]]:
    return [] if scaling is None else list(scaling.workload.labels.items())


RULE = Rule("two-autoscalers-one-workload", Severity.ERROR, check)
