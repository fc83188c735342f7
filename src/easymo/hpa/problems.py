"""Everything that would keep the API server from storing an object, with the line of each field."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from easymo.hpa.defaults import default_spec
from easymo.hpa.errors import ManifestError
from easymo.hpa.manifests import Document
from easymo.hpa.old_versions import GONE
from easymo.hpa.schema import DEFAULT_VERSION, schema_problem
from easymo.hpa.validation import validate

_IS = {
    "Required": "is missing",
    "Invalid": "is invalid",
    "NotSupported": "is not supported",
    "Forbidden": "is forbidden here",
}


class Problem(NamedTuple):
    """What is refused, at which line, and whether the schema (rule ``schema``) or the server's own check refuses it."""

    rule: str
    line: int
    message: str


def problems(document: Document, version: str = DEFAULT_VERSION, *, scale_to_zero: bool = False) -> Iterator[Problem]:
    """What Kubernetes ``version`` would refuse in ``document``. A namespace may be missing: kubectl fills it in."""
    content = document.content
    written = document.written or content
    is_hpa = document.kind == "HorizontalPodAutoscaler"
    if is_hpa and (converted := written["apiVersion"]) not in ("autoscaling/v1", "autoscaling/v2"):
        why = GONE.get(converted, "no Kubernetes has it. Write autoscaling/v2")
        yield Problem("schema", document.line("apiVersion"), f"apiVersion {converted}: {why}")
        return
    found = _shape_problem(content) or schema_problem(written, version)
    if found is None and document.written is not None:
        found = schema_problem(content, version)  # what its annotations say
    if found is None and document.kind == "Rollout":
        found = _template_problem(document, version)
    if found is not None:
        field, message = found
        where = ".".join(str(part) for part in field) or document.kind
        yield Problem("schema", document.line(field), f"{where}: {message}")
    elif is_hpa:
        metadata = {"namespace": "default", **content.get("metadata", {})}
        stored = {**content, "metadata": metadata, "spec": default_spec(content.get("spec", {}))}
        for error in validate(stored, scale_to_zero=scale_to_zero, target_group=True):
            yield Problem("api-server", document.line(error.field), f"{error.field} {_IS[error.type]}: {error.detail}")


READ = {
    "HorizontalPodAutoscaler": "autoscaling",
    "ScaledObject": "keda.sh",
    "Deployment": "apps",
    "StatefulSet": "apps",
    "ReplicaSet": "apps",
    "ReplicationController": "v1",
    "Rollout": "argoproj.io",
    "PodDisruptionBudget": "policy",
    "ConfigMap": "v1",
}
"""The kinds that rules read, and their API group: a foreign kind of the same name may have any form."""


def is_read(document: Document) -> bool:
    """Whether rules may look at `document`."""
    return READ.get(document.kind) == str(document.content["apiVersion"]).partition("/")[0]


def _shape_problem(content: dict[str, Any]) -> tuple[tuple[str | int, ...], str] | None:
    """What no schema says of custom resources and every rule relies on."""
    if not isinstance(content.get("metadata", {}), dict):
        return ("metadata",), "it must have fields"
    if content["kind"] == "ScaledObject":
        spec = content.get("spec")
        if not isinstance(spec, dict) or not isinstance(spec.get("scaleTargetRef"), dict):
            return ("spec",), "a ScaledObject needs a spec with a scaleTargetRef"
    return None


def _template_problem(document: Document, version: str) -> tuple[tuple[str | int, ...], str] | None:
    """What is wrong with the parts of an Argo Rollout that a Deployment has, too."""
    spec = document.content.get("spec")
    if not isinstance(spec, dict):
        return ("spec",), "a Rollout needs a spec"
    shared = {key: spec[key] for key in ("replicas", "template", "selector") if key in spec}
    if isinstance(spec.get("workloadRef"), dict):
        shared = {"template": {}, "selector": {}, **shared}
    metadata = document.content.get("metadata", {})
    return schema_problem(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": shared}, version
    )


def accepted_autoscalers(documents: Sequence[Document]) -> list[Document]:
    """The autoscalers among ``documents``, none of which the API server would refuse.

    Raises:
        ManifestError: for the first problem, with its line, and when there is no autoscaler.
    """
    found = [document for document in documents if document.kind == "HorizontalPodAutoscaler"]
    if not found:
        raise no_autoscaler(documents)
    for document in found:
        refuse_problems(document)
    return found


def no_autoscaler(documents: Sequence[Document]) -> ManifestError:
    """That there is none among `documents`."""
    path = documents[0].path if documents else "-"
    kinds = ", ".join(sorted({document.kind for document in documents})) or "no object"
    return ManifestError(path, 0, f"there is no HorizontalPodAutoscaler here, only {kinds}. Name its manifest too.")


def refuse_problems(document: Document) -> None:
    """Raise :class:`ManifestError` for the first problem of ``document``."""
    for problem in problems(document, scale_to_zero=True):  # what is simulated may be of a cluster that has the gate
        raise ManifestError(document.path, problem.line, f"{problem.message}. `easymo hpa check` lists everything.")
