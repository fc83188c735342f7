"""Autoscalers that scale the same pods: Kubernetes lets neither act (`AmbiguousSelector`)."""

from collections.abc import Sequence

from easymo.hpa.manifests import Document
from easymo.hpa.workload import Workload, workload_of

KINDS = ("HorizontalPodAutoscaler", "ScaledObject")


def rivals_of(autoscaler: Document, documents: Sequence[Document]) -> list[Document]:
    """The other autoscalers among `documents` that scale pods of `autoscaler`, by target or by overlapping selectors.

    The controller asks for each pod of an autoscaler which autoscalers' selectors match its labels.
    """
    own = workload_of(autoscaler, documents)
    rivals = []
    for other in documents:
        if other is autoscaler or other.kind not in KINDS or not _same_namespace(autoscaler, other):
            continue
        theirs = workload_of(other, documents)
        if _target(other) == _target(autoscaler) or (own and theirs and _overlap(own, theirs)):
            rivals.append(other)
    return rivals


def _target(document: Document) -> tuple[str, str]:
    ref = (document.content.get("spec") or {}).get("scaleTargetRef") or {}
    return str(ref.get("kind") or "Deployment"), str(ref.get("name"))


def _same_namespace(one: Document, other: Document) -> bool:
    return "" in (one.namespace, other.namespace) or one.namespace == other.namespace


def _overlap(own: Workload, theirs: Workload) -> bool:
    selectors = own.selector, theirs.selector
    return all(selectors) and any(
        all(labels.get(key) == value for selector in selectors for key, value in selector.items())
        for labels in (own.labels, theirs.labels)
    )
