"""What an autoscaler scales: a Deployment (or alike) and what its pods ask for."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from easymo.hpa.manifests import Document
from easymo.hpa.quantity import milli

DEFAULT_GRACE_S = 30
"""``terminationGracePeriodSeconds`` of a pod that sets none."""


class Workload(Struct, frozen=True):
    """A document with a pod template."""

    document: Document

    @property
    def name(self) -> str:
        """Its name."""
        return self.document.name

    @property
    def pod(self) -> dict[str, Any]:
        """The spec of its pods."""
        return self._template.get("spec") or {}

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its pods."""
        return (self._template.get("metadata") or {}).get("labels") or {}

    @property
    def selector(self) -> dict[str, str]:
        """The labels by which it finds its pods."""
        return ((self.document.content.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}

    @property
    def _template(self) -> dict[str, Any]:
        return (self.document.content.get("spec") or {}).get("template") or {}

    @property
    def containers(self) -> list[dict[str, Any]]:
        """The containers that run all the time: the regular ones, then init containers that are restarted."""
        staying = [c for c in self.pod.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
        return [*(self.pod.get("containers") or []), *staying]

    @property
    def grace_s(self) -> int:
        """Seconds between SIGTERM and SIGKILL."""
        return int(self.pod.get("terminationGracePeriodSeconds", DEFAULT_GRACE_S))

    def request_m(self, resource: str) -> int | None:
        """What one pod requests of ``resource`` in thousandths; None when one container requests nothing."""
        whole = request_in(self.pod, resource)
        if whole is not None:
            return whole
        parts = [request_in(container, resource) for container in self.containers]
        return None if None in parts or not parts else sum(part for part in parts if part is not None)

    def requests_m(self) -> dict[str, int]:
        """Requests of one pod by resource, and of its containers by ``resource/container``."""
        found = {resource: self.request_m(resource) for resource in ("cpu", "memory")}
        for container in self.containers:
            for resource in ("cpu", "memory"):
                found[f"{resource}/{container['name']}"] = request_in(container, resource)
        return {key: request for key, request in found.items() if request is not None}

    def variable(self, name: str) -> str | None:
        """The value of an environment variable that a container sets in place."""
        for container in self.containers:
            for variable in container.get("env") or []:
                if variable.get("name") == name and "value" in variable:
                    return str(variable["value"])
        return None


def request_in(owner: dict[str, Any], resource: str) -> int | None:
    """Request of a container (or of a pod as a whole) in thousandths; a limit alone is its request too."""
    resources = owner.get("resources") or {}
    for kind in ("requests", "limits"):
        if resource in (resources.get(kind) or {}):
            return milli(resources[kind][resource])
    return None


def workloads(documents: Sequence[Document]) -> list[Workload]:
    """Everything among ``documents`` that has a pod template and a number of pods."""
    kinds = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController", "Rollout")
    return [Workload(document) for document in documents if document.kind in kinds]


def workload_of(hpa: Document, documents: Sequence[Document]) -> Workload | None:
    """What ``hpa`` scales, if it is among ``documents``. A document without a namespace is in any."""
    ref = (hpa.content.get("spec") or {}).get("scaleTargetRef") or {}
    for workload in workloads(documents):
        document = workload.document
        same_namespace = "" in (hpa.namespace, document.namespace) or hpa.namespace == document.namespace
        if (document.kind, document.name) == (ref.get("kind") or "Deployment", ref.get("name")) and same_namespace:
            return _with_template(workload, documents)
    return None


def _with_template(workload: Workload, documents: Sequence[Document]) -> Workload:
    """The Deployment whose pod template an Argo Rollout refers to, or `workload` itself."""
    ref = workload.document.content["spec"].get("workloadRef") if workload.document.kind == "Rollout" else None
    same = [w for w in workloads(documents) if ref and (w.document.kind, w.name) == (ref.get("kind"), ref.get("name"))]
    return same[0] if same else workload
