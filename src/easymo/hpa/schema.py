"""The Kubernetes schema of an object, for the version that a cluster has (packaged in ``kubernetes-validate``)."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any

from easymo.hpa.errors import HpaError, QuantityError
from easymo.hpa.quantity import milli

DEFAULT_VERSION = "1.34"
SINCE = {"tolerance": "1.33", "containerResource": "1.20", "sleep": "1.29", "behavior": "1.18"}
"""Fields that an older cluster does not have, with the version that brought them."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_BUILT_IN = re.compile(r"(apps|batch|autoscaling|policy|extensions|v1|networking\.k8s\.io|rbac\..*)(/.*)?")


def schema_problem(content: dict[str, Any], version: str) -> tuple[tuple[str | int, ...], str] | None:
    """Field and reason of what the strict schema of Kubernetes ``version`` refuses first; None when nothing is.

    An object of a kind that Kubernetes itself does not have (a custom resource) is not judged.

    Raises:
        HpaError: for a version that there is no schema of.
    """
    from jsonschema.exceptions import best_match  # type: ignore[import-untyped]

    known = versions()
    if version not in known:
        raise HpaError(f"There is no schema of Kubernetes {version!r}. Known: {known[0]} to {known[-1]}.")
    validator = _validator(content["kind"], content["apiVersion"], version)
    if validator is None:
        gone = _BUILT_IN.fullmatch(content["apiVersion"])
        reason = f"Kubernetes {version} has no {content['kind']} in {content['apiVersion']}"
        return (("apiVersion",), reason) if gone else None
    error = best_match(islice((e for e in validator.iter_errors(content) if not _is_lenient(content, e)), 20))
    if error is None:
        empty = next(_empty_items(content, ()), None)
        return None if empty is None else (empty, "an item of this list is empty")
    message = str(error.message)
    unexpected = re.search(r"'(\w+)' was unexpected", message)
    if unexpected and (since := SINCE.get(unexpected[1])):
        message += f"; Kubernetes has it since {since}"
    return tuple(error.absolute_path), message if len(message) <= 300 else f"{message[:300]}…"


def _is_lenient(content: dict[str, Any], error: Any) -> bool:
    """Whether the server takes this in an autoscaler: half a status, and a selector of metrics of any form."""
    is_hpa = content["kind"] == "HorizontalPodAutoscaler"
    field = error.absolute_path
    return is_hpa and error.validator == "required" and ("matchExpressions" in field or list(field)[:1] == ["status"])


def _empty_items(value: Any, field: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Empty items where an object has to stand; a text may be empty."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        if isinstance(key, int) and item is None and field[-1:] and field[-1] not in _MAY_BE_EMPTY:
            yield *field, key
        yield from _empty_items(item, (*field, key))


_MAY_BE_EMPTY = ("args", "command", "values", "finalizers", "matchExpressions", "conditions")


@cache
def _validator(kind: str, api_version: str, version: str) -> Any:
    """None for what Kubernetes does not have."""
    from jsonschema import FormatChecker  # type: ignore[import-untyped]  # slow to import: only who checks needs it
    from jsonschema.validators import Draft202012Validator, extend  # type: ignore[import-untyped]
    from kubernetes_validate.utils import schema_contents  # type: ignore[import-untyped]  # an extra
    from referencing import Resource

    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    if not re.fullmatch(r"[\w-]+", kind + group, re.ASCII):
        return None
    try:
        schema = schema_contents(f"kubernetes-json-schema/{_folder(version)}/{kind.lower()}-{group}.json", version)
    except OSError:
        return None
    if not _is_exactly(schema, kind):
        return None
    formats = FormatChecker(formats=())
    for name, check in _FORMATS.items():
        formats.checks(name)(check)
    registry = Resource.from_contents(schema) @ _definitions(version)
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, v: type(v) is int)  # 3.0 is none to Go
    return extend(Draft202012Validator, type_checker=types)(schema, registry=registry, format_checker=formats)


def _is_quantity(value: Any) -> bool:
    try:
        return isinstance(milli(value), int)
    except QuantityError:
        return False


_FORMATS: dict[str, Callable[[Any], bool]] = {
    "int32": lambda value: not isinstance(value, int) or -(2**31) <= value < 2**31,
    "int64": lambda value: not isinstance(value, int) or -(2**63) <= value < 2**63,
    "date-time": lambda value: not isinstance(value, str) or bool(_TIME.fullmatch(value)),
    "quantity": _is_quantity,
}


def _is_exactly(schema: Any, kind: str) -> bool:
    """The file's name is in small letters, the kind is not."""
    return any(
        kind in (part.get("kind"), *(part.get("enum") or ()))
        for part in [
            *(schema.get("x-kubernetes-group-version-kind") or ()),
            schema.get("properties", {}).get("kind") or {},
        ]
    )


@cache
def _definitions(version: str) -> Any:
    from kubernetes_validate.utils import schema_contents
    from referencing import Registry, Resource

    contents = schema_contents(f"kubernetes-json-schema/{_folder(version)}/_definitions.json", version)
    contents["$defs"]["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {
        "type": ["string", "number"],
        "format": "quantity",
    }
    return Resource.from_contents(contents) @ Registry()


@cache
def _folder(version: str) -> str:
    from kubernetes_validate.utils import all_versions, major_minor

    return next(f"v{full}-local-strict" for full in reversed(all_versions()) if major_minor(full) == version)


@cache
def versions() -> tuple[str, ...]:
    """Those that there is a schema of, oldest first."""
    from kubernetes_validate.utils import all_versions, major_minor

    return tuple(dict.fromkeys(major_minor(full) for full in all_versions()))
