"""KEDA: the autoscaler that a ScaledObject makes, and what KEDA itself does between 0 and 1.

Source: KEDA's documentation of ScaledObjects, cron and the scalers named below (2.17). Between 1 and the maximum the
HorizontalPodAutoscaler decides; KEDA sets 0, or the idle size, and takes the workload from there.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from easymo.hpa.defaults import default_spec
from easymo.hpa.errors import ManifestError, QuantityError
from easymo.hpa.manifests import Document
from easymo.hpa.quantity import milli
from easymo.hpa.spec import Hpa, behavior_from, metric_from
from easymo.trace.series import Series

WEEKDAYS, MONTHS = "sun mon tue wed thu fri sat", "- jan feb mar apr may jun jul aug sep oct nov dec"
THRESHOLDS = {
    "prometheus": ("threshold", "activationThreshold"),
    "rabbitmq": ("value", "activationValue"),
    "kafka": ("lagThreshold", "activationLagThreshold"),
    "aws-sqs-queue": ("queueLength", "activationQueueLength"),
    "redis": ("listLength", "activationListLength"),
    "postgresql": ("targetQueryValue", "activationTargetQueryValue"),
    "metrics-api": ("targetValue", "activationTargetValue"),
    "mysql": ("queryValue", "activationQueryValue"),
    "redis-streams": ("pendingEntriesCount", "activationLagCount"),
    "nats-jetstream": ("lagThreshold", "activationLagThreshold"),
    "loki": ("threshold", "activationThreshold"),
    "aws-cloudwatch": ("targetMetricValue", "activationTargetMetricValue"),
    "azure-queue": ("queueLength", "activationQueueLength"),
    "azure-servicebus": ("messageCount", "activationMessageCount"),
    "gcp-pubsub": ("value", "activationValue"),
}
"""Trigger → the keys of its target and of the value above which it is active."""


class Cron(Struct, frozen=True):
    """Between `start` and `end`, which are cron expressions, `replicas` are wanted; 1 otherwise."""

    start: str
    end: str
    zone: str
    replicas: int

    def series(self, start_s: float, end_s: float) -> Series:
        """The metric over time, which begins with what the last week left it at."""
        zone, value = ZoneInfo(self.zone), 1.0
        times, values = [start_s], [1.0]
        minute = int(start_s // 60 - 7 * 24 * 60) * 60
        while minute < end_s:
            moment = datetime.fromtimestamp(minute, UTC).astimezone(zone)
            if _matches(self.end, moment):
                value = 1.0
            if _matches(self.start, moment):
                value = float(self.replicas)
            if minute <= start_s:
                values[0] = value
            elif value != values[-1]:
                times.append(float(minute))
                values.append(value)
            minute += 60
        return Series(tuple(times), tuple(values), end_s)


class Keda(Struct, frozen=True):
    """What KEDA does beside the autoscaler that it makes. `activations` are thresholds in thousandths by metric."""

    minimum: int
    idle: int | None
    polling_s: float
    cooldown_s: float
    activations: dict[str, int]
    crons: dict[str, Cron]

    @property
    def rests_at(self) -> int | None:
        """The size without activity; None: KEDA leaves the workload to the autoscaler."""
        if not self.activations:
            return None
        return 0 if self.idle is None and self.minimum == 0 else self.idle


def scaled_object(document: Document) -> tuple[Hpa, Keda]:
    """The autoscaler that the ScaledObject in `document` makes, and what KEDA does.

    Raises:
        ManifestError: for a trigger that is not known or a field that is missing.
    """
    spec = document.content.get("spec") or {}
    metrics, activations, crons = [], {}, {}
    for index, trigger in enumerate(spec.get("triggers") or []):
        try:
            metric, activation = _metric(index, trigger)
            if trigger["type"] == "cron":
                crons[metric["external"]["metric"]["name"]] = _cron(trigger["metadata"])
        except (KeyError, TypeError, ValueError, QuantityError, ZoneInfoNotFoundError) as error:
            line = document.line(("spec", "triggers", index))
            raise ManifestError(document.path, line, f"the trigger cannot be simulated: {_reason(error)}.") from error
        metrics.append(metric)
        if activation is not None:
            activations[metric["external"]["metric"]["name"]] = activation
    ref = spec.get("scaleTargetRef") or {}
    if not metrics or not ref.get("name"):
        raise ManifestError(
            document.path, document.line(("spec",)), "a ScaledObject needs scaleTargetRef and triggers."
        )
    settings = (spec.get("advanced") or {}).get("horizontalPodAutoscalerConfig") or {}
    minimum, maximum = spec.get("minReplicaCount") or 0, spec.get("maxReplicaCount") or 100
    filled = default_spec({"minReplicas": max(minimum, 1), "metrics": metrics, "behavior": settings.get("behavior")})
    hpa = Hpa(
        name=settings.get("name") or f"keda-hpa-{document.name}",
        namespace=document.namespace or "default",
        target_kind=ref.get("kind") or "Deployment",
        target_name=ref["name"],
        min_replicas=max(minimum, 1),
        max_replicas=maximum,
        metrics=tuple(metric_from(metric) for metric in filled["metrics"]),
        behavior=behavior_from(filled.get("behavior")),
    )
    polling_s, cooldown_s = spec.get("pollingInterval") or 30, spec.get("cooldownPeriod", 300)
    return hpa, Keda(minimum, spec.get("idleReplicaCount"), polling_s, cooldown_s, activations, crons)


def _metric(index: int, trigger: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    kind, data = trigger["type"], trigger["metadata"]
    if kind in ("cpu", "memory"):
        target: dict[str, Any] = {"averageUtilization": int(data["value"])}
        if trigger.get("metricType", data.get("type", "Utilization")) == "AverageValue":
            target = {"averageValue": data["value"]}
        if "containerName" in data:
            source = {"name": kind, "container": data["containerName"], "target": target}
            return {"type": "ContainerResource", "containerResource": source}, None
        return {"type": "Resource", "resource": {"name": kind, "target": target}}, None
    name = trigger.get("name") or data.get("metricName") or f"s{index}-{kind}"
    if kind == "cron":
        value, activation = "1", 1000  # active while more than 1 is wanted
    else:
        key, active_key = THRESHOLDS[kind]
        value, activation = str(data[key]), milli(data.get(active_key, 0))
    field = "value" if trigger.get("metricType") == "Value" else "averageValue"
    return {"type": "External", "external": {"metric": {"name": name}, "target": {field: value}}}, activation


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError) and error.args[0] not in ("type", "metadata"):
        known = ", ".join(["cpu", "memory", "cron", *THRESHOLDS])
        return f"{error.args[0]!r} is neither a field that it has nor a trigger known here ({known})"
    return str(error).rstrip(".")


def _cron(data: dict[str, Any]) -> Cron:
    cron = Cron(data["start"], data["end"], data["timezone"], int(data["desiredReplicas"]))
    noon = datetime(2026, 1, 1, 12, tzinfo=ZoneInfo(cron.zone))
    _matches(cron.start, noon), _matches(cron.end, noon)
    return cron


def _matches(expression: str, moment: datetime) -> bool:
    """Whether a cron expression of five fields names the minute of `moment`."""
    fields = expression.split()
    if len(fields) != 5:
        raise ValueError(f"{expression!r} is no cron expression of five fields")
    weekday = moment.isoweekday() % 7
    actual = (moment.minute, moment.hour, moment.day, moment.month, weekday)
    ranges = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
    hits = [value in set(_values(field, *r)) for field, value, r in zip(fields, actual, ranges, strict=True)]
    hits[4] = hits[4] or (weekday == 0 and 7 in set(_values(fields[4], 0, 7)))
    days = hits[2] or hits[4] if "*" not in (fields[2][0], fields[4][0]) else hits[2] and hits[4]
    return hits[0] and hits[1] and hits[3] and days


def _values(field: str, low: int, high: int) -> Iterator[int]:
    names = (
        "sun mon tue wed thu fri sat" if high == 7 else "- jan feb mar apr may jun jul aug sep oct nov dec"
    ).split()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin, end = (names.index(x) if x in names else int(x) if x not in ("", "*") else None for x in (first, last))
        start = low if begin is None else begin
        stop = end if end is not None else high if begin is None or step else start
        yield from range(start, stop + 1, int(step or 1))
