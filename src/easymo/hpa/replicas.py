"""The size that one metric asks for, and the size that several ask for together.

Amounts are integers in thousandths and their divisions truncate; ratios are doubles; a size is always rounded up.
All of it follows the replica calculator of Kubernetes 1.34.
"""

from collections.abc import Iterable
from math import ceil
from typing import NamedTuple

from easymo.hpa.errors import MetricError

MAX_REPLICAS = 2**31 - 1
MAX_QUANTITY_M = 2**63 - 1


class Tolerance(NamedTuple):
    """How far the ratio of use to target may be from 1 before anything happens; both ends are within."""

    up: float = 0.1
    down: float = 0.1

    def covers(self, ratio: float) -> bool:
        """Whether a ``ratio`` of use to target asks for no change."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Proposal(NamedTuple):
    """A size, and the value behind it: percent of the request, or thousandths per pod or in total."""

    replicas: int
    value: int


class PodLoad(NamedTuple):
    """What the samples of a target's pods add up to. Pods that are unready have no part in ``usage_m``.

    ``requested_m`` is the sum over the pods behind ``usage_m``, ``samples`` the number of samples (also of pods that
    are no longer known), ``missing`` the requests of pods without a sample.
    """

    ready: int
    samples: int
    usage_m: int
    requested_m: int = 0
    unready: int = 0
    unready_requested_m: int = 0
    missing: tuple[int, ...] = ()


def utilization(load: PodLoad, target: int, current: int, tolerance: Tolerance) -> Proposal:
    """Size for a ``target`` in percent of the request (Resource and ContainerResource metrics).

    Raises:
        MetricError: when no sample belongs to a pod with a request.
    """
    if load.requested_m <= 0:
        raise MetricError("No sample belongs to a pod with a request, so there is no utilization.")
    percent = 100 * load.usage_m // load.requested_m
    ratio = percent / target
    if not load.missing and not (load.unready and ratio > 1.0):
        return Proposal(current if tolerance.covers(ratio) else ceil(ratio * load.ready), percent)
    usage_m, requested_m, samples = load.usage_m, load.requested_m, load.samples
    if load.missing and ratio != 1.0:
        # A pod that says nothing counts against the change: as fully used when shrinking, as idle when growing.
        if ratio < 1.0:
            usage_m += sum(request * max(100, target) // 100 for request in load.missing)
        requested_m += sum(load.missing)
        samples += len(load.missing)
    if load.unready and ratio > 1.0:
        requested_m += load.unready_requested_m
        samples += load.unready
    filled = (100 * usage_m // requested_m) / target
    return Proposal(_cautious(ratio, filled, samples, current, tolerance), percent)


def average_value(load: PodLoad, target_m: int, current: int, tolerance: Tolerance) -> Proposal:
    """Size for a target in thousandths per pod (Pods metrics, and resources with an averageValue)."""
    mean_m = load.usage_m // load.samples
    ratio = mean_m / target_m
    if not load.missing and not (load.unready and ratio > 1.0):
        return Proposal(current if tolerance.covers(ratio) else ceil(ratio * load.ready), mean_m)
    usage_m, samples = load.usage_m, load.samples
    if load.missing and ratio != 1.0:
        if ratio < 1.0:
            usage_m += target_m * len(load.missing)
        samples += len(load.missing)
    if load.unready and ratio > 1.0:
        samples += load.unready
    filled = (usage_m // samples) / target_m
    return Proposal(_cautious(ratio, filled, samples, current, tolerance), mean_m)


def _cautious(ratio: float, filled: float, samples: int, current: int, tolerance: Tolerance) -> int:
    """Size after silent pods were filled in: kept when they turn the direction or the size moves against it."""
    if tolerance.covers(filled) or (ratio < 1.0 < filled) or (filled < 1.0 < ratio):
        return current
    size = ceil(filled * samples)
    if (filled < 1.0 and size > current) or (filled > 1.0 and size < current):
        return current
    return size


def total_value(total_m: int, target_m: int, current: int, ready: int, tolerance: Tolerance) -> Proposal:
    """Size for an Object or External metric with a target for the whole (``value``); ``ready`` pods carry it now."""
    ratio = float(total_m) / float(target_m)
    if current and tolerance.covers(ratio):
        return Proposal(current, total_m)
    size = ceil(ratio * ready) if current else ceil(ratio)
    return Proposal(min(size, MAX_REPLICAS), total_m)


def total_average_value(total_m: int, target_m: int, status: int, tolerance: Tolerance) -> Proposal:
    """Size for an Object or External metric with a target per pod; no pod's state matters, only their number."""
    total, target = float(total_m), float(target_m)
    per_pod_m = min(ceil(total / status), MAX_QUANTITY_M) if status else total_m
    if status and tolerance.covers(total / (target * status)):
        return Proposal(status, per_pod_m)
    return Proposal(min(ceil(total / target), MAX_REPLICAS), per_pod_m)


def combine(proposals: Iterable[int | None], current: int) -> int | None:
    """The size that several metrics ask for: the largest. None stands for a metric that failed, or for a failed sync.

    With one metric failed the others may only hold or raise the size.
    """
    desired: int | None = None
    failed = False
    for proposal in proposals:
        if proposal is None:
            failed = True
        elif desired is None or proposal > desired:
            desired = proposal
    if desired is None or (failed and desired < current):
        return None
    return desired
