"""How a test vector of each kind is played through `easymo.hpa`; a kind without an entry in ``RUN`` has no runner."""

from collections.abc import Callable
from typing import Any

from easymo.hpa.behavior import (
    Event,
    change_within,
    limit_rate,
    limit_without_behavior,
    stabilize,
    stabilize_down,
    store_event,
)
from easymo.hpa.controller import Controller
from easymo.hpa.defaults import default_rules, default_spec
from easymo.hpa.errors import MetricError
from easymo.hpa.manifests import Document
from easymo.hpa.pods import Group, Pod, Sample, pod_load, state_of
from easymo.hpa.replicas import (
    PodLoad,
    Proposal,
    Tolerance,
    average_value,
    combine,
    total_average_value,
    total_value,
    utilization,
)
from easymo.hpa.spec import Metric, behavior_from, metric_from, rules_from
from easymo.hpa.validation import validate
from easymo.hpa.workload import Workload

Case = dict[str, Any]


def pod(case: Case) -> Pod:
    return Pod(
        name=case["name"],
        phase=case.get("phase", "Running"),
        deleted=case.get("deleted", False),
        ready=case.get("ready"),
        start_s=None if case.get("start_age_s") is None else -case["start_age_s"],
        ready_changed_s=None if case.get("ready_transition_age_s") is None else -case["ready_transition_age_s"],
    )


def request_of(case: Case, resource: str, container: str | None, *, pod_level: bool = True) -> int:
    """What a pod, or one container of it, requests, by the rules that a manifest is read with."""
    spec: dict[str, Any] = {"containers": [], "initContainers": []}
    for listed in case.get("containers", ()):
        requests = {} if listed["request_m"] is None else {resource: f"{listed['request_m']}m"}
        entry = {"name": listed["name"], "resources": {"requests": requests}}
        if listed.get("init"):
            spec["initContainers"].append(entry | ({"restartPolicy": "Always"} if listed.get("restartable") else {}))
        else:
            spec["containers"].append(entry)
    if pod_level and case.get("pod_request_m") is not None:
        spec["resources"] = {"requests": {resource: f"{case['pod_request_m']}m"}}
    workload = Workload(Document("pod", {"spec": {"template": {"spec": spec}}}, {(): 1}))
    found = workload.requests_m().get(resource if container is None else f"{resource}/{container}")
    if found is None:
        raise MetricError("a container has no request, so there is no utilization")
    return found


def sample(case: Case, container: str | None) -> Sample | None:
    metric = case["metric"]
    if metric is None:
        return None
    if "value_m" in metric:
        value = metric["value_m"]
    elif container is None:
        value = None if None in metric["usage_m"] else sum(metric["usage_m"])
    else:
        value = metric["usage_m"][[c["name"] for c in case["containers"]].index(container)]
    return None if value is None else Sample(value, -metric["age_s"], metric["window_s"])


def samples_of(case: Case) -> dict[str, Sample]:
    taken = {p["name"]: sample(p, case.get("container")) for p in case["pods"] + case.get("extra_metrics", [])}
    return {name: s for name, s in taken.items() if s is not None}


UNIT_TEST_PERIODS_S = 120.0, 10.0
"""Initialization period and readiness delay of Kubernetes' unit tests, from which the vectors come."""


def load_of(
    pods: list[Pod],
    samples: dict[str, Sample],
    resource: str | None,
    requests: dict[str, int] | None = None,
    now: float = 0,
    periods_s: tuple[float, float] = UNIT_TEST_PERIODS_S,
) -> PodLoad:
    """The load of pods one by one, and of samples that belong to none of them."""
    groups = []
    for p in pods:
        taken = samples.get(p.name)
        request_m = 0 if requests is None else requests[p.name]
        groups.append(
            Group(state_of(p, taken, resource, now, *periods_s), 1, None if taken is None else taken.value_m, request_m)
        )
    others = samples.keys() - {p.name for p in pods}
    gone = [Group("gone", 1, samples[name].value_m if requests is None else None) for name in others]
    return pod_load([*groups, *gone])


def serving(pods: list[Pod]) -> int:
    if not pods:
        raise MetricError("no pods")
    return sum(p.phase == "Running" and p.ready is True for p in pods)


def replica_calc(case: Case) -> dict[str, Any]:
    tolerance = Tolerance(case["tolerance"]["scaleUp"], case["tolerance"]["scaleDown"])
    pods, current, target = [pod(p) for p in case["pods"]], case["current_replicas"], case["target"]
    method = case["method"]
    if method == "resource_utilization":
        samples = samples_of(case)
        if not samples:
            raise MetricError("no samples at all")
        requests = {p["name"]: request_of(p, case["resource"], case["container"]) for p in case["pods"]}
        load = load_of(pods, samples, case["resource"], requests)
        found = utilization(load, target, current, tolerance)
        known = [
            p.name
            for p in pods
            if p.name in samples and state_of(p, samples[p.name], case["resource"], 0, *UNIT_TEST_PERIODS_S) == "ready"
        ]
        mean = sum(samples[name].value_m for name in known) // len(known)
        return {"replicas": found.replicas, "utilization": found.value, "raw_average_m": mean}
    if method == "pods_average_value":
        found = average_value(load_of(pods, samples_of(case), case.get("resource")), target, current, tolerance)
    elif method.endswith("_average_value"):
        found = total_average_value(total(case["metric_values_m"]), target, current, tolerance)
    else:
        found = total_value(total(case["metric_values_m"]), target, current, serving(pods), tolerance)
    return {"replicas": found.replicas, "usage_m": found.value}


def total(values: list[int]) -> int:
    return min(sum(values), 2**63 - 1)


def group_pods(case: Case) -> dict[str, Any]:
    groups: dict[str, list[str]] = {"ready": [], "unready": [], "missing": [], "ignored": []}
    for p in case["pods"]:
        metric = case["metrics"].get(p["name"])
        taken = None if metric is None else Sample(0, -metric["age_s"], metric["window_s"])
        periods = case["cpu_initialization_period_s"], case["initial_readiness_delay_s"]
        groups[state_of(pod(p), taken, case["resource"], 0, *periods)].append(p["name"])
    ready = len(groups.pop("ready"))
    return {"ready_count": ready, **{name: sorted(names) for name, names in groups.items()}}


def requests(case: Case) -> dict[str, Any]:
    level = case["pod_level_resources"]
    asked = case["resource"], case["container"]
    return {"requests": {p["name"]: request_of(p, *asked, pod_level=level) for p in case["pods"]}}


def combined(case: Case) -> dict[str, Any]:
    desired = combine(case["proposals"], case["current_replicas"])
    return {"desired": desired, "failed": desired is None}


def events(listed: list[Case]) -> list[Event]:
    return [Event(e["change"], -e["age_s"]) for e in listed]


def rate_limit(case: Case) -> dict[str, Any]:
    rules = tuple(rules_from(default_rules(direction, case[direction])) for direction in ("scaleUp", "scaleDown"))
    past = events(case["scale_up_events"]), events(case["scale_down_events"])
    bounds = case["min"], case["max"]
    found = limit_rate(case["current_replicas"], case["desired"], bounds, (rules[0], rules[1]), past, 0)
    return {"replicas": found.replicas, "reason": found.reason}


def log_of(case: Case) -> list[tuple[float, int]]:
    return [(-r["age_s"], r["value"]) for r in case["recommendations"]]


def stabilization(case: Case) -> dict[str, Any]:
    log = log_of(case)
    windows = case["scale_up_window_s"], case["scale_down_window_s"]
    found = stabilize(log, case["desired"], case["current_replicas"], *windows, 0)
    return {"stabilized": found, "recommendations_after": [value for _, value in log]}


def no_behavior_stabilization(case: Case) -> dict[str, Any]:
    log = log_of(case)
    found = stabilize_down(log, case["desired"], case["downscale_stabilization_s"], 0)
    return {"stabilized": found, "log_length": len(log)}


def no_behavior_limit(case: Case) -> dict[str, Any]:
    found = limit_without_behavior(case["current_replicas"], case["desired"], case["min"], case["max"])
    return {"replicas": found.replicas, "reason": found.reason}


def stored(case: Case) -> dict[str, Any]:
    past = events(case["prev_events"])
    before = change_within(past, case["change_period_s"], 0)
    rules = None if case["rules"] is None else rules_from(default_rules("scaleUp", case["rules"]))
    store_event(past, case["replica_change"], rules, 0)
    after = [{"change": e.change, "outdated": e.outdated} for e in past]
    return {"change_in_period_before": before, "events_after": after}


def controller_of(case: Case) -> Controller:
    """A controller for bounds and behavior as a user would write them."""
    spec = default_spec({"minReplicas": case["min"], "maxReplicas": case["max"], "behavior": case["behavior"]})
    window_s = case["downscale_stabilization_s"]
    return Controller(spec["minReplicas"], spec["maxReplicas"], behavior_from(spec.get("behavior")), window_s)


def reconcile(case: Case) -> dict[str, Any]:
    current = case["current_replicas"]
    tolerance = Tolerance(case["tolerance"]["scaleUp"], case["tolerance"]["scaleDown"])
    proposals: list[int | None] = []
    for listed, data in zip(case["metrics"], case["metric_data"], strict=True):
        try:
            proposals.append(proposal(listed, data, case["pods"], current, tolerance).replicas)
        except MetricError:
            proposals.append(None)
    controller = controller_of(case)
    if case["recommendations"] is not None:
        controller.recommendations = log_of(case)
    return {"desired_replicas": controller.sync(0, current, combine(proposals, current)).replicas}


def proposal(listed: Case, data: Case, listed_pods: list[Case], current: int, tolerance: Tolerance) -> Proposal:
    pods = [pod(p) for p in listed_pods]
    if data["kind"] == "error":
        raise MetricError("the metrics API answered with an error")
    metric: Metric = metric_from(listed)
    if data["kind"] == "per_pod":
        samples = {v["pod"]: Sample(v["value_m"], -v["age_s"], v["window_s"]) for v in data["values"]}
        resource = metric.name if metric.type in ("Resource", "ContainerResource") else None
        if metric.target == "Utilization":
            requests = {p["name"]: request_of(p, metric.name, metric.container) for p in listed_pods}
            return utilization(load_of(pods, samples, resource, requests), metric.amount, current, tolerance)
        return average_value(load_of(pods, samples, resource), metric.amount, current, tolerance)
    amount = total(data["values_m"])
    if metric.target == "AverageValue":
        return total_average_value(amount, metric.amount, current, tolerance)
    return total_value(amount, metric.amount, current, serving(pods), tolerance)


def trace(case: Case) -> dict[str, Any]:
    controller = controller_of(case)
    current = case["initial_replicas"]
    decided = []
    for now, desired in zip(case["t"], case["desired"], strict=True):
        current = next((size for at, size in case["set"].items() if float(at) == now), current)
        decision = controller.sync(now, current, desired)
        current = decision.replicas
        decided.append(decision)
    return {name: [getattr(d, name) for d in decided] for name in ("replicas", "stabilized", "reason")}


def defaults(case: Case) -> dict[str, Any]:
    if "spec" in case:
        return {"spec": default_spec(case["spec"])}
    return {"stabilizationWindowSeconds": None, **default_rules(case["direction"], case["rules"])}


def validation(case: Case) -> dict[str, Any]:
    found = validate(case["object"], scale_to_zero=case["scale_to_zero_gate"])
    return {"valid": not found, "errors": {(e.field, e.type) for e in found}}


RUN: dict[str, Callable[[Case], dict[str, Any]]] = {
    "replica_calc": replica_calc,
    "group_pods": group_pods,
    "requests": requests,
    "combine": combined,
    "rate_limit": rate_limit,
    "stabilization": stabilization,
    "store_event": stored,
    "no_behavior_limit": no_behavior_limit,
    "no_behavior_stabilization": no_behavior_stabilization,
    "reconcile": reconcile,
    "trace": trace,
    "defaults": defaults,
    "validation": validation,
}
