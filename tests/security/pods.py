"""What manifests say about pods, whoever makes them: a Deployment or a Job."""

from collections.abc import Iterable
from typing import Any

from easymo.hpa.manifests import Document


def pods(documents: Iterable[Document]) -> list[tuple[str, dict[str, Any]]]:
    """Name of each object with a pod template, and the spec of its pods."""
    specs = [(document.name, document.content.get("spec") or {}) for document in documents]
    return [(name, spec["template"]["spec"]) for name, spec in specs if "template" in spec]


def containers(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """Every container."""
    return [container for _, pod in pods(documents) for container in pod["containers"]]


def references(documents: Iterable[Document]) -> list[dict[str, str]]:
    """The key of a Secret, with its name, that a variable of a container asks for."""
    variables = [variable for container in containers(documents) for variable in container.get("env", ())]
    return [variable["valueFrom"]["secretKeyRef"] for variable in variables if "valueFrom" in variable]
