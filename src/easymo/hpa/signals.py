"""What each metric of an autoscaler shows while demand is replayed: from the demand, a trace of its own, or nothing."""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from easymo.hpa.errors import HpaError
from easymo.hpa.fleet import Fleet
from easymo.hpa.replicas import PodLoad, Proposal, Tolerance, average_value, total_average_value, total_value
from easymo.hpa.replicas import utilization as of_utilization
from easymo.hpa.spec import Hpa, Metric
from easymo.trace.series import Series


class Constant(Struct, frozen=True):
    """A metric that each pod shows whatever the load, in percent of its request: a heap that does not shrink."""

    percent: float


Values = Series | Literal["demand", "queue", "jobs"]
Source = Values | Constant | Literal["failing"]
"""Where a metric gets its values: a series of its own, a constant, the demand itself, the queue that is simulated from
it (``queue``: what waits; ``jobs``: what waits or is worked on, one at a time by each pod), or an API that never
answers."""

NORMAL_REQUEST_M = 1000
"""Request of a pod when only the share of it that is used is known."""


class View:
    """What the metrics API would show at one sync: samples are those of ``sample_s``."""

    __slots__ = ("arriving", "busy", "current", "fleet", "now", "sample_s", "served_per_pod", "waiting", "window_s")

    def __init__(self, fleet: Fleet, window_s: float) -> None:
        self.fleet, self.window_s = fleet, window_s
        self.now = self.sample_s = self.arriving = self.served_per_pod = self.waiting = self.busy = 0.0
        self.current = 0


Signal = Callable[[View], Proposal | None]
"""The proposal of one metric at a sync; None when it has no value."""


def signals(
    hpa: Hpa,
    sources: Mapping[str, Source],
    *,
    capacity: float,
    full_percent: float,
    tolerance: Tolerance,
    requests_m: Mapping[str, int] | None = None,
) -> tuple[list[tuple[str, Signal]], list[str]]:
    """Name and signal of each metric of ``hpa`` in the order of its spec, and a note for each that is left out.

    ``sources`` overrides by metric name what is derived from the demand: cpu is the served share of ``capacity`` times
    ``full_percent`` of the request, a metric with ``request``, ``queue`` or ``jobs`` in its name is what that word
    says. ``requests_m`` are what a pod requests by resource, and its containers by ``resource/container``; a resource
    that has a series, or a target in absolute terms, needs them.

    Raises:
        HpaError: for a metric that has no source, and for a source that no metric has.
    """
    known = {metric.name for metric in hpa.metrics}
    if unknown := sorted(set(sources) - known):
        raise HpaError(f"{hpa.name} has no metric {unknown[0]!r}. Its metrics: {', '.join(sorted(known))}.")
    found: list[tuple[str, Signal]] = []
    notes: list[str] = []
    for metric in hpa.metrics:
        source = sources.get(metric.name)
        if source == "failing":
            found.append((metric.name, _failing))
        elif metric.type not in ("Resource", "ContainerResource"):
            found.append((metric.name, _custom(hpa, metric, source, tolerance)))
        elif source is None and metric.name != "cpu":
            notes.append(_left_out(metric))
        else:
            key = metric.name if metric.container is None else f"{metric.name}/{metric.container}"
            request_m = (requests_m or {}).get(key) or _unknown_request_m(hpa, metric, source)
            full_use = full_percent / 100 * request_m / capacity
            use = _resource_use(metric, source, request_m, full_use)
            found.append((metric.name, _resource(metric, use, request_m, tolerance)))
    if not found:
        raise HpaError(f"{hpa.name}: every metric is left out, so nothing would move it. Give one a source: --metric.")
    return found, notes


def _unknown_request_m(hpa: Hpa, metric: Metric, source: Values | Constant | None) -> int:
    """A request for arithmetic in shares of it; absolute amounts cannot do with one that is made up."""
    if metric.target == "Utilization" and (source is None or isinstance(source, Constant)):
        return NORMAL_REQUEST_M
    if metric.target != "Utilization" and not (source is None or isinstance(source, Constant)):
        return NORMAL_REQUEST_M  # both sides are absolute: the request has no part in it
    raise HpaError(
        f"{hpa.name}: the {metric.name} request of {hpa.target_kind} {hpa.target_name} is not known, so amounts and "
        "shares of it cannot be told from each other. Give its manifest too."
    )


def _resource_use(
    metric: Metric, source: Values | Constant | None, request_m: int, full_use: float
) -> Callable[[View], int]:
    """Thousandths that each serving pod uses; ``full_use`` is that of one request per second."""
    if source is None:
        return lambda view: int(view.served_per_pod * full_use)
    if isinstance(source, Constant):
        steady_m = round(source.percent * request_m / 100)
        return lambda view: steady_m
    return _per_pod(source, shared=metric.name == "cpu")


def _resource(metric: Metric, use: Callable[[View], int], request_m: int, tolerance: Tolerance) -> Signal:
    calculate = of_utilization if metric.target == "Utilization" else average_value
    return lambda view: _of(calculate, _load(view, use(view), request_m, metric.name), metric, view, tolerance)


def _left_out(metric: Metric) -> str:
    return (
        f"{metric.name} is left out, since requests/s do not tell it: --metric {metric.name}=60% holds it at a share "
        f"of the request, --metric {metric.name}=SERIES replays a series."
    )


def _custom(hpa: Hpa, metric: Metric, source: Values | Constant | None, tolerance: Tolerance) -> Signal:
    values = source or _told_by_name(metric)
    if values is None or isinstance(values, Constant):
        raise HpaError(
            f"{hpa.name}: nothing tells the metric {metric.name!r}. Say --metric {metric.name} when the trace holds "
            f"it, --metric {metric.name}=SERIES for a series of the trace, or {metric.name}=failing."
        )
    if metric.type == "Pods":
        use = _per_pod(values, shared=True)
        return lambda view: _of(average_value, _load(view, use(view), 0, None), metric, view, tolerance)
    total = _total(values)
    if metric.target == "AverageValue":
        return lambda view: total_average_value(total(view), metric.amount, view.current, tolerance)
    return lambda view: total_value(total(view), metric.amount, view.current, view.fleet.serving, tolerance)


def _told_by_name(metric: Metric) -> Values | None:
    words: dict[str, Values] = {"queue": "queue", "jobs": "jobs", "request": "demand"}
    return next((source for word, source in words.items() if word in metric.name), None)


def _failing(view: View) -> None:
    return None


def _total(source: Values) -> Callable[[View], int]:
    """Thousandths of the whole: what arrives, not what is served."""
    if isinstance(source, Series):
        return lambda view: round(source.at(view.sample_s) * 1000)
    if source == "demand":
        return lambda view: round(view.arriving * 1000)
    if source == "queue":
        return lambda view: round(view.waiting * 1000)
    return lambda view: round((view.waiting + view.busy) * 1000)


def _per_pod(source: Values, *, shared: bool) -> Callable[[View], int]:
    """Thousandths per serving pod; a series that is not ``shared`` already is per pod."""
    if source == "demand":
        return lambda view: int(view.served_per_pod * 1000)
    if isinstance(source, Series) and not shared:
        return lambda view: int(source.at(view.sample_s) * 1000)
    total = _total(source)
    return lambda view: total(view) // max(view.fleet.serving, 1)


def _load(view: View, use_m: int, request_m: int, resource: str | None) -> PodLoad | None:
    """What the pods' samples add up to; None when no pod that counts has one."""
    fleet = view.fleet
    ready = samples = fleet.mature
    usage_m = use_m * ready
    unready = 0
    missing: tuple[int, ...] = ()
    for batch in fleet.young:
        state = batch.state(resource, view.now, view.sample_s, view.window_s)
        if state == "ready":
            ready += batch.count
            samples += batch.count
            if view.sample_s >= batch.ready_s:
                usage_m += use_m * batch.count
        elif state == "unready":
            unready += batch.count
        elif state == "missing":
            missing += (request_m,) * batch.count
    if samples == 0:
        return None
    return PodLoad(ready, samples, usage_m, request_m * samples, unready, request_m * unready, missing)


def _of(
    calculate: Callable[[PodLoad, int, int, Tolerance], Proposal],
    load: PodLoad | None,
    metric: Metric,
    view: View,
    tolerance: Tolerance,
) -> Proposal | None:
    return None if load is None else calculate(load, metric.amount, view.current, tolerance)
