"""What each metric of an autoscaler shows while demand is replayed: from the demand, a trace of its own, or nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from easymo.hpa.conditions import Conditions, Stretch
from easymo.hpa.errors import HpaError, MetricError
from easymo.hpa.fleet import Cohort
from easymo.hpa.pods import Group, pod_load
from easymo.hpa.replicas import PodLoad, Proposal, Tolerance, average_value, total_average_value, total_value
from easymo.hpa.replicas import utilization as of_utilization
from easymo.hpa.spec import Hpa, Metric
from easymo.hpa.view import View
from easymo.trace.series import Series


class Constant(Struct, frozen=True):
    """A metric that each pod shows whatever the load, in percent of its request: a heap that does not shrink."""

    percent: float


class Shared(Struct, frozen=True):
    """A resource of which each running pod uses `base_m` thousandths and an equal share of `total`."""

    base_m: int
    total: Series


Values = Series | Literal["demand", "queue", "jobs"]
Source = Values | Constant | Shared | Literal["failing"]
"""Where a metric gets its values: a series of its own, a constant, the demand itself, the queue that is simulated from
it (`queue`: what waits; `jobs`: what waits or is worked on, one at a time by each pod), or an API that never
answers."""

NORMAL_REQUEST_M = 1000
"""Request of a pod when only the share of it that is used is known."""

Signal = Callable[[View], Proposal | None]
"""The proposal of one metric at a sync; None when it has no value."""

Use = Callable[[View, Cohort | None], int]
"""Thousandths that each pod of a cohort uses; of None, each pod that has been ready for long."""


def signals(
    hpa: Hpa,
    sources: Mapping[str, Source],
    given: Conditions,
    tolerance: Tolerance,
    requests_m: Mapping[str, int] | None = None,
) -> tuple[list[tuple[str, Signal]], list[str]]:
    """Name and signal of each metric of `hpa` in the order of its spec, and a note for each that is left out.

    `sources` overrides by metric name what is derived from the demand: cpu is the served share of the capacity times
    `full_percent` of the request, a metric with `request`, `queue` or `jobs` in its name is what that word says.
    `requests_m` are what a pod requests by resource, and its containers by `resource/container`; a resource that has a
    series, or a target in absolute terms, needs them.

    Raises:
        HpaError: for a metric that has no source, and for a source or failure of a metric that does not exist.
    """
    names = {metric.name for metric in hpa.metrics}
    if unknown := sorted({*sources, *(name for name, _ in given.failures)} - names):
        raise HpaError(f"{hpa.name} has no metric {unknown[0]!r}. Its metrics: {', '.join(sorted(names))}.")
    found: list[tuple[str, Signal]] = []
    notes: list[str] = []
    for metric in hpa.metrics:
        source = sources.get(metric.name)
        if source == "failing":
            signal: Signal = _failing
        elif metric.type not in ("Resource", "ContainerResource"):
            signal = _custom(hpa, metric, source, tolerance)
        elif source is None and metric.name != "cpu" and not (given.pods and given.pods.have_memory):
            notes.append(_left_out(metric))
            continue
        else:
            key = metric.name if metric.container is None else f"{metric.name}/{metric.container}"
            request_m = (requests_m or {}).get(key)
            if request_m is None and requests_m is not None:
                signal = _failing
                notes.append(
                    f"{metric.name} fails at every sync: a container of {hpa.target_name} requests none of it."
                )
            else:
                request_m = request_m or _unknown_request_m(hpa, metric, source)
                use = _resource_use(metric, source, request_m, given)
                signal = _resource(metric, use, request_m, tolerance)
        found.append((metric.name, _but_for(signal, [at for name, at in given.failures if name == metric.name])))
    if not found:
        raise HpaError(f"{hpa.name}: every metric is left out, so nothing would move it. Give one a source: --metric.")
    return found, notes


def _but_for(signal: Signal, failures: Sequence[Stretch]) -> Signal:
    if not failures:
        return signal

    def failing_at_times(view: View) -> Proposal | None:
        after_s = view.now - view.fleet.start_s
        return None if any(after_s in failure for failure in failures) else signal(view)

    return failing_at_times


def _unknown_request_m(hpa: Hpa, metric: Metric, source: Source | None) -> int:
    """A request for arithmetic in shares of it; absolute amounts cannot do with one that is made up."""
    absolute = isinstance(source, Series | Shared | str)
    if (metric.target == "Utilization") != absolute:
        return NORMAL_REQUEST_M  # both sides are shares, or both amounts: the request has no part in it
    raise HpaError(
        f"{hpa.name}: the {metric.name} request of {hpa.target_kind} {hpa.target_name} is not known, so amounts and "
        "shares of it cannot be told from each other. Give its manifest too."
    )


def _resource_use(metric: Metric, source: Source | None, request_m: int, given: Conditions) -> Use:
    """What each pod uses according to samples; rows about single pods come first."""
    modelled = _modelled_use(metric, source, request_m, given)
    if given.pods is None:
        return modelled
    is_memory = metric.name == "memory"

    def use(view: View, cohort: Cohort | None) -> int:
        row = cohort.row(view.sample_s) if cohort and cohort.rows else None
        used = None if row is None else row.memory_m if is_memory else row.cpu_m
        return used if isinstance(used, int) else modelled(view, cohort)

    return use


def _modelled_use(metric: Metric, source: Source | None, request_m: int, given: Conditions) -> Use:
    if isinstance(source, Constant) or (source is None and metric.name == "memory"):
        steady_m = round(source.percent * request_m / 100) if source else 0  # rows about single pods tell it
        return lambda view, _: steady_m
    if isinstance(source, Shared):
        return lambda view, _: (
            source.base_m + round(source.total.at(view.sample_s) * 1000) // max(view.fleet.running(view.sample_s), 1)
        )
    if isinstance(source, Series) and metric.name == "memory":
        return lambda view, _: int(source.at(view.sample_s) * 1000)
    if source is not None and source != "failing":
        return _per_pod(source, "sample_s")
    full_use = given.full_percent / 100 * request_m / given.capacity
    constant_m = 0.0 if metric.container else given.constant_cpu_m
    starting_m = given.startup_cpu_percent / 100 * request_m

    def cpu(view: View, cohort: Cohort | None) -> int:
        if cohort is None:
            return int(view.mean_share() * full_use + constant_m + 1e-6)
        used_m = view.share_of(cohort) * full_use
        if starting_m and (ratio := view.starting_ratio(cohort)):
            used_m += max(starting_m - used_m, 0.0) * ratio
        return int(used_m + constant_m + 1e-6)

    return cpu


def _resource(metric: Metric, use: Use, request_m: int, tolerance: Tolerance) -> Signal:
    calculate = of_utilization if metric.target == "Utilization" else average_value
    resource = metric.name

    def signal(view: View) -> Proposal | None:
        load = load_of(view, use, request_m, resource, view.sample_s)
        return None if load is None else calculate(load, metric.amount, view.current, tolerance)

    return signal


def _left_out(metric: Metric) -> str:
    return (
        f"{metric.name} is left out, since requests/s do not tell it: --metric {metric.name}=60% holds it at a share "
        f"of the request, --metric {metric.name}=SERIES replays a series."
    )


def _custom(hpa: Hpa, metric: Metric, source: Source | None, tolerance: Tolerance) -> Signal:
    values = source or _by_name(metric.name)
    if values is None or isinstance(values, Constant | Shared) or values == "failing":
        raise HpaError(
            f"{hpa.name}: nothing tells the metric {metric.name!r}. Say --metric {metric.name} when the trace holds "
            f"it, --metric {metric.name}=SERIES for a series of the trace, or {metric.name}=failing."
        )
    if metric.type == "Pods":
        use = _per_pod(values, "custom_s")

        def pods(view: View) -> Proposal | None:
            load = load_of(view, use, 0, None, view.custom_s)
            return None if load is None else average_value(load, metric.amount, view.current, tolerance)

        return pods
    total = _total(values)
    if metric.target == "AverageValue":
        return lambda view: total_average_value(total(view), metric.amount, view.fleet.replicas, tolerance)
    return lambda view: total_value(total(view), metric.amount, view.current, view.fleet.serving, tolerance)


def _by_name(name: str) -> Values | None:
    words: dict[str, Values] = {"queue": "queue", "jobs": "jobs", "request": "demand"}
    return next((source for word, source in words.items() if word in name), None)


def total_of(sources: Mapping[str, Source], name: str) -> Callable[[View], int]:
    """The total that an external metric shows, in thousandths; 0 where it fails."""
    values = sources.get(name) or _by_name(name)
    if values is None or isinstance(values, Constant | Shared) or values == "failing":
        return lambda view: 0
    return _total(values)


def _failing(view: View) -> None:
    return None


def _total(source: Values) -> Callable[[View], int]:
    """Thousandths of the whole: what arrives, not what is served."""
    if isinstance(source, Series):
        return lambda view: round(source.at(view.custom_s) * 1000)
    if source == "demand":
        return lambda view: round(view.arriving() * 1000)
    if source == "queue":
        return lambda view: round(view.waiting() * 1000)
    return lambda view: round((view.waiting() + view.busy()) * 1000)


def _per_pod(source: Values, clock: Literal["sample_s", "custom_s"]) -> Use:
    """An equal share for each serving pod, and nothing for one that was not serving when it was sampled."""
    total = None if source == "demand" else _total(source)

    def use(view: View, cohort: Cohort | None) -> int:
        sampled_s = view.sample_s if clock == "sample_s" else view.custom_s
        second_s = sampled_s // 1
        # An answer without lag shows the load of the last whole second for pods that are ready at this moment.
        if cohort is not None and not cohort.readiness(sampled_s if sampled_s == view.now else second_s)[1]:
            return 0
        if total is None:
            return int(view.share(second_s) * 1000 + 1e-6)
        if isinstance(source, Series):
            return round(source.at(sampled_s) * 1000) // max(view.fleet.serving, 1)
        return total(view) // max(view.fleet.serving, 1)

    return use


def load_of(view: View, use: Use, request_m: int, resource: str | None, sample_s: float) -> PodLoad | None:
    """What the samples of all pods add up to; None when no pod that counts has one."""
    fleet = view.fleet
    groups = [Group("ready", fleet.mature, use(view, None), request_m)] if fleet.mature else []
    for cohort in fleet.young:
        state = cohort.state(resource, view.now, sample_s, view.given)
        groups.append(Group(state, cohort.count, use(view, cohort) if state == "ready" else 0, request_m))
    try:
        return pod_load(groups)
    except MetricError:
        return None
