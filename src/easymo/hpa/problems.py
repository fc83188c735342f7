"""Everything that would keep the API server from storing an autoscaler, with the line of each field."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from easymo.hpa.defaults import default_spec
from easymo.hpa.errors import ManifestError
from easymo.hpa.manifests import Document, autoscalers
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
    found = schema_problem(document.content, version)
    if found is not None:
        field, message = found
        where = ".".join(str(part) for part in field) or document.kind
        yield Problem("schema", document.line(field), f"{where}: {message}")
    elif document.kind == "HorizontalPodAutoscaler":
        metadata = {"namespace": "default", **document.content.get("metadata", {})}
        stored = {**document.content, "metadata": metadata, "spec": default_spec(document.content["spec"])}
        for error in validate(stored, scale_to_zero=scale_to_zero):
            yield Problem("api-server", document.line(error.field), f"{error.field} {_IS[error.type]}: {error.detail}")


def accepted_autoscalers(documents: Sequence[Document]) -> list[Document]:
    """The autoscalers among ``documents``, none of which the API server would refuse.

    Raises:
        ManifestError: for the first problem, with its line, and when there is no autoscaler of autoscaling/v2.
    """
    found = autoscalers(documents)
    for document in found:
        refuse_problems(document)
    return found


def refuse_problems(document: Document) -> None:
    """Raise :class:`ManifestError` for the first problem of ``document``."""
    for problem in problems(document, scale_to_zero=True):  # what is simulated may be of a cluster that has the gate
        raise ManifestError(document.path, problem.line, f"{problem.message}. `easymo hpa check` lists everything.")
