"""The Kubernetes schema of an object, for the version that a cluster has (packaged in ``kubernetes-validate``)."""

from functools import cache
from typing import Any

from easymo.hpa.errors import HpaError

DEFAULT_VERSION = "1.34"


def schema_problem(content: dict[str, Any], version: str) -> tuple[tuple[str | int, ...], str] | None:
    """Field and reason of what the strict schema of Kubernetes ``version`` refuses first; None when nothing is.

    An object of a kind that Kubernetes itself does not have (a custom resource) is not judged.

    Raises:
        HpaError: for a version that there is no schema of.
    """
    import kubernetes_validate  # type: ignore[import-untyped]  # an extra, and slow: only who checks needs it

    known = _versions()
    if version not in known:
        raise HpaError(f"There is no schema of Kubernetes {version!r}. Known: {known[0]} to {known[-1]}.")
    try:
        kubernetes_validate.validate(content, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return tuple(error.absolute_path), error.message
    except kubernetes_validate.SchemaNotFoundError:
        return None
    return None


@cache
def _versions() -> tuple[str, ...]:
    from kubernetes_validate.utils import all_versions, major_minor  # type: ignore[import-untyped]

    return tuple(major_minor(version) for version in all_versions())
