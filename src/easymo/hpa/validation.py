"""What the API server refuses in an autoscaling/v2 HorizontalPodAutoscaler, beyond what its schema says.

Field names and kinds of error are those of Kubernetes' own validation (pkg/apis/autoscaling/validation, 1.34).
"""

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from easymo.hpa.errors import QuantityError
from easymo.hpa.quantity import milli
from easymo.hpa.spec import SOURCE_KEY

MAX_WINDOW_S = 3600
MAX_PERIOD_S = 1800
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_STANDARD = re.compile(r"cpu|memory|ephemeral-storage|hugepages-.+")
"""Resources that a container can have without a domain in their name."""
_TARGET_TYPES = ("Utilization", "Value", "AverageValue")


class FieldError(NamedTuple):
    """One refused field, as the API server names it, and why."""

    field: str
    type: Literal["Required", "Invalid", "NotSupported", "Forbidden"]
    detail: str


def validate(manifest: dict[str, Any], *, scale_to_zero: bool = False, target_group: bool = False) -> list[FieldError]:
    """Everything that the API server would refuse in a defaulted ``manifest``; empty when it would store it.

    ``scale_to_zero``: whether the feature gate HPAScaleToZero is on. `target_group`: whether the target needs an API
    group, as Kubernetes 1.36 wants it; older servers store one without, and their controllers do not find it.
    """
    spec = manifest.get("spec") or {}
    return [
        *_metadata(manifest.get("metadata") or {}),
        *_bounds(spec, scale_to_zero),
        *_target_ref("spec.scaleTargetRef", spec.get("scaleTargetRef") or {}, target_group),
        *(error for i, m in enumerate(spec.get("metrics") or []) for error in _metric(f"spec.metrics[{i}]", m)),
        *_behavior(spec.get("behavior") or {}),
    ]


def _metadata(metadata: dict[str, Any]) -> Iterator[FieldError]:
    name, generated = metadata.get("name") or "", metadata.get("generateName") or ""
    if not name and not generated:
        yield FieldError("metadata.name", "Required", "an object needs a name")
    elif name and not _SUBDOMAIN.fullmatch(name):
        yield FieldError("metadata.name", "Invalid", "only lower-case letters, digits, '-' and '.' make a name")
    if generated and not _SUBDOMAIN.fullmatch(f"{generated.removesuffix('-')}a"):
        yield FieldError("metadata.generateName", "Invalid", "no name can begin like this")
    namespace = metadata.get("namespace") or ""
    if not namespace:
        yield FieldError("metadata.namespace", "Required", "an autoscaler lives in a namespace")
    elif not _LABEL.fullmatch(namespace):
        yield FieldError("metadata.namespace", "Invalid", "not a name that a namespace can have")
    for part in ("labels", "annotations"):
        for key, value in (metadata.get(part) or {}).items():
            if not is_qualified(key if part == "labels" else key.lower()):
                yield FieldError(
                    f"metadata.{part}", "Invalid", f"{key!r} is not [DOMAIN/]NAME of at most 63 characters"
                )
            if part == "labels" and value and not _NAME.fullmatch(value):
                yield FieldError(
                    f"metadata.labels.{key}", "Invalid", f"{value!r}: letters, digits and -_. make a value"
                )
    for index, finalizer in enumerate(metadata.get("finalizers") or []):
        if not is_qualified(finalizer):
            yield FieldError(f"metadata.finalizers[{index}]", "Invalid", f"{finalizer!r} is not DOMAIN/NAME")


def is_qualified(key: str) -> bool:
    """Whether `key` is a name, or a domain and a name with `/` between."""
    domain, slash, name = key.rpartition("/")
    return bool(_NAME.fullmatch(name)) and (not slash or bool(_SUBDOMAIN.fullmatch(domain)))


def _bounds(spec: dict[str, Any], scale_to_zero: bool) -> Iterator[FieldError]:
    minimum, maximum = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    lowest = 0 if scale_to_zero else 1
    if minimum is not None and minimum < lowest:
        yield FieldError("spec.minReplicas", "Invalid", f"at least {lowest}")
    if maximum < 1:
        yield FieldError("spec.maxReplicas", "Invalid", "at least 1")
    if minimum is not None and maximum < minimum:
        yield FieldError("spec.maxReplicas", "Invalid", f"at least minReplicas, which is {minimum}")
    if minimum == 0 and scale_to_zero:
        kinds = {metric.get("type") for metric in spec.get("metrics") or []}
        if not kinds & {"Object", "External"}:
            yield FieldError("spec.metrics", "Forbidden", "zero pods need an Object or External metric to come back")


def _target_ref(field: str, ref: dict[str, Any], needs_group: bool = False) -> Iterator[FieldError]:
    for part in ("kind", "name"):
        value = ref.get(part) or ""
        if not value:
            yield FieldError(f"{field}.{part}", "Required", f"the {part} of what is scaled or described is missing")
        elif value in (".", "..") or "/" in value or "%" in value:
            yield FieldError(f"{field}.{part}", "Invalid", f"{value!r} cannot be part of a path")
    version = ref.get("apiVersion") or ""
    if version.count("/") > 1:
        yield FieldError(f"{field}.apiVersion", "Invalid", f"{version!r} is not GROUP/VERSION")
    elif needs_group and "/" not in version[1:] and (version, ref.get("kind")) not in _CORE:
        yield FieldError(f"{field}.apiVersion", "Invalid", "it must have the API group, such as apps/v1")


_CORE = (("v1", "ReplicationController"),)
"""What can be scaled and has no group."""


def _metric(field: str, metric: dict[str, Any]) -> Iterator[FieldError]:
    kind = metric.get("type") or ""
    if not kind:
        yield FieldError(f"{field}.type", "Required", "a metric needs a type")
    if kind not in SOURCE_KEY:
        yield FieldError(f"{field}.type", "NotSupported", f"{kind!r} is none of {', '.join(SOURCE_KEY)}")
    filled = [key for key in _SOURCES if metric.get(key) is not None]
    for key in filled[:1]:  # with several sources only the first is looked into
        yield from _SOURCES[key](f"{field}.{key}", metric[key])
    wanted = SOURCE_KEY.get(kind)
    if wanted is not None and wanted not in filled:
        yield FieldError(f"{field}.{wanted}", "Required", f"a metric of type {kind} is described under {wanted!r}")
    if len(filled) > 1:
        for key in filled:
            if key != wanted:
                yield FieldError(f"{field}.{key}", "Forbidden", f"a metric of type {kind} has no {key!r}")


def _resource(field: str, source: dict[str, Any]) -> Iterator[FieldError]:
    if not source.get("name"):
        yield FieldError(f"{field}.name", "Required", "which resource: cpu or memory")
    target = source.get("target") or {}
    yield from _target(f"{field}.target", target)
    percent, average = target.get("averageUtilization"), target.get("averageValue")
    if percent is None and average is None:
        yield FieldError(f"{field}.target.averageUtilization", "Required", "a percentage, or an averageValue")
    if percent is not None and average is not None:
        yield FieldError(f"{field}.target.averageValue", "Forbidden", "beside averageUtilization it is one too many")


def _container_resource(field: str, source: dict[str, Any]) -> Iterator[FieldError]:
    container = source.get("container") or ""
    if not container:
        yield FieldError(f"{field}.container", "Required", "whose resource is meant")
    elif not _LABEL.fullmatch(container):
        yield FieldError(f"{field}.container", "Invalid", "not a name that a container can have")
    name = source.get("name") or ""
    if name and not (is_qualified(name) and (_STANDARD.fullmatch(name) or "/" in name)):
        yield FieldError(f"{field}.name", "Invalid", f"{name!r} is no resource of a container")
    yield from _resource(field, source)


def _pods(field: str, source: dict[str, Any]) -> Iterator[FieldError]:
    yield from _identifier(field, source)
    target = source.get("target") or {}
    yield from _target(f"{field}.target", target)
    if not _positive(target.get("averageValue")):
        yield FieldError(f"{field}.target.averageValue", "Required", "a positive value per pod")


def _object(field: str, source: dict[str, Any]) -> Iterator[FieldError]:
    yield from _target_ref(f"{field}.describedObject", source.get("describedObject") or {})
    yield from _whole_or_per_pod(field, source)


def _external(field: str, source: dict[str, Any]) -> Iterator[FieldError]:
    yield from _whole_or_per_pod(field, source)
    target = source.get("target") or {}
    if target.get("value") is not None and target.get("averageValue") is not None:
        yield FieldError(f"{field}.target.value", "Forbidden", "either for the whole (value) or per pod (averageValue)")


def _whole_or_per_pod(field: str, source: dict[str, Any]) -> Iterator[FieldError]:
    yield from _identifier(field, source)
    target = source.get("target") or {}
    yield from _target(f"{field}.target", target)
    if target.get("value") is None and target.get("averageValue") is None:
        yield FieldError(f"{field}.target.averageValue", "Required", "a value in all, or an averageValue per pod")


_SOURCES = {
    "object": _object,
    "external": _external,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _container_resource,
}
"""In the order in which the API server looks for them."""


def _identifier(field: str, source: dict[str, Any]) -> Iterator[FieldError]:
    name = (source.get("metric") or {}).get("name") or ""
    if not name:
        yield FieldError(f"{field}.metric.name", "Required", "which metric")
    elif name in (".", "..") or "/" in name or "%" in name:
        yield FieldError(f"{field}.metric.name", "Invalid", f"{name!r} cannot be part of a path")


def _target(field: str, target: dict[str, Any]) -> Iterator[FieldError]:
    kind = target.get("type") or ""
    if not kind:
        yield FieldError(f"{field}.type", "Required", "a target needs a type")
    if kind not in _TARGET_TYPES:
        yield FieldError(f"{field}.type", "Invalid", f"{kind!r} is none of {', '.join(_TARGET_TYPES)}")
    for key in ("value", "averageValue"):
        if target.get(key) is not None and not _positive(target[key]):
            yield FieldError(f"{field}.{key}", "Invalid", f"{target[key]!r} is not a positive quantity")
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        yield FieldError(f"{field}.averageUtilization", "Invalid", "at least 1 percent")


def _positive(quantity: Any) -> bool:
    try:
        return quantity is not None and milli(quantity) > 0
    except QuantityError:
        return False


def _behavior(behavior: dict[str, Any]) -> Iterator[FieldError]:
    for direction in ("scaleUp", "scaleDown"):
        rules = behavior.get(direction)
        if rules is not None:
            yield from _rules(f"spec.behavior.{direction}", rules)


def _rules(field: str, rules: dict[str, Any]) -> Iterator[FieldError]:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and not 0 <= window <= MAX_WINDOW_S:
        yield FieldError(f"{field}.stabilizationWindowSeconds", "Invalid", f"from 0 to {MAX_WINDOW_S} seconds")
    select = rules.get("selectPolicy")
    if select is not None and select not in ("Max", "Min", "Disabled"):
        yield FieldError(f"{field}.selectPolicy", "NotSupported", f"{select!r} is none of Max, Min, Disabled")
    if not rules.get("policies"):
        yield FieldError(f"{field}.policies", "Required", "at least one policy")
    for index, policy in enumerate(rules.get("policies") or []):
        yield from _policy(f"{field}.policies[{index}]", policy)
    tolerance = rules.get("tolerance")
    if tolerance is not None and not _not_negative(tolerance):
        yield FieldError(f"{field}.tolerance", "Invalid", "0 or more")


def _policy(field: str, policy: dict[str, Any]) -> Iterator[FieldError]:
    if policy.get("type") not in ("Pods", "Percent"):
        yield FieldError(f"{field}.type", "NotSupported", f"{policy.get('type')!r} is neither Pods nor Percent")
    if (policy.get("value") or 0) <= 0:
        yield FieldError(f"{field}.value", "Invalid", "greater than 0")
    period = policy.get("periodSeconds") or 0
    if not 0 < period <= MAX_PERIOD_S:
        yield FieldError(f"{field}.periodSeconds", "Invalid", f"from 1 to {MAX_PERIOD_S} seconds")


def _not_negative(quantity: Any) -> bool:
    try:
        return milli(quantity) >= 0
    except QuantityError:
        return False
