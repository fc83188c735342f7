"""Which pods count: the state of each pod and its sample, summed up for the arithmetic."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from msgspec import Struct

from easymo.hpa.errors import MetricError
from easymo.hpa.replicas import PodLoad

CPU_INITIALIZATION_S = 300.0
"""Default of `--horizontal-pod-autoscaler-cpu-initialization-period`."""

READINESS_DELAY_S = 30.0
"""Default of `--horizontal-pod-autoscaler-initial-readiness-delay`."""

LONG_AGO_S = float("-inf")
"""The time of a change of which no time is known."""

State = Literal["ready", "unready", "missing", "ignored"]


class Pod(Struct, frozen=True):
    """A pod as the API shows it. Times are seconds on the clock of the sync; ``ready`` None: no Ready condition."""

    name: str
    phase: Literal["Pending", "Running", "Succeeded", "Failed"] = "Running"
    deleted: bool = False
    ready: bool | None = True
    start_s: float | None = None
    ready_changed_s: float | None = None


class Sample(Struct, frozen=True):
    """What a pod used, in thousandths, over the ``window_s`` seconds before ``time_s``."""

    value_m: int
    time_s: float
    window_s: float


def state_of(
    pod: Pod,
    sample: Sample | None,
    resource: str | None,
    now: float,
    initialization_s: float = CPU_INITIALIZATION_S,
    readiness_delay_s: float = READINESS_DELAY_S,
) -> State:
    """How ``pod`` counts at ``now``. Only for the resource ``cpu`` does it matter whether a running pod is ready."""
    if pod.deleted or pod.phase == "Failed":
        return "ignored"
    if pod.phase == "Pending":
        return "unready"
    if sample is None:
        return "missing"
    if resource != "cpu":
        return "ready"
    if pod.ready is None or pod.start_s is None:
        return "unready"
    changed_s = LONG_AGO_S if pod.ready_changed_s is None else pod.ready_changed_s
    if pod.start_s + initialization_s > now:
        stale = sample.time_s < changed_s + sample.window_s
        return "unready" if not pod.ready or stale else "ready"
    never_ready = not pod.ready and pod.start_s + readiness_delay_s > changed_s
    return "unready" if never_ready else "ready"


class Group(NamedTuple):
    """`pods` pods that count alike; each uses `usage_m` of `request_m` thousandths.

    A usage of None is one that is left out of the sum, as that of a pod without a request is. The state `gone` is for
    a sample of a pod that the API no longer shows.
    """

    state: State | Literal["gone"]
    pods: int
    usage_m: int | None = 0
    request_m: int = 0


def pod_load(groups: Iterable[Group]) -> PodLoad:
    """Add up the samples of all pods as the controller does.

    Raises:
        MetricError: when no sample is left of those that count.
    """
    ready = samples = usage_m = requested_m = unready = unready_m = 0
    missing: tuple[int, ...] = ()
    for state, count, used_m, request_m in groups:
        if state == "ready" or state == "gone":
            ready += count if state == "ready" else 0
            samples += count
            if used_m is not None:
                usage_m += used_m * count
                requested_m += request_m * count
        elif state == "unready":
            unready += count
            unready_m += request_m * count
        elif state == "missing":
            missing += (request_m,) * count
    if not samples:
        raise MetricError("No pod that counts has a sample: there are none, or all are unready.")
    return PodLoad(ready, samples, usage_m, requested_m, unready, unready_m, missing)
