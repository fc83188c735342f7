"""A utilization target that the limits keep pods from reaching."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.quantity import milli
from easymo.hpa.spec import DEFAULT_TOLERANCE, Metric
from easymo.hpa.workload import Workload


def check(cluster: Cluster) -> Iterator[Report]:
    for document, hpa, workload in cluster.scalings():
        for index, metric in enumerate(hpa.metrics):
            most = _most_percent(workload, metric) if metric.target == "Utilization" else None
            tolerance = DEFAULT_TOLERANCE if hpa.behavior is None else hpa.behavior.up.tolerance
            needed = metric.amount * (1 + (DEFAULT_TOLERANCE if tolerance is None else tolerance))
            if most is not None and most <= needed and hpa.min_replicas < hpa.max_replicas:
                yield Report(
                    document,
                    f"spec.metrics[{index}]",
                    f"The limits of {workload.name} stop a pod at {most:.0f} % of the {metric.name} that it requests, "
                    f"and {hpa.name} grows by {metric.name} only above {needed:.0f} % (the target and the tolerance).",
                    f"Lower the target to 80 % of what pods can reach or less, or raise limits.{metric.name}.",
                )


def _most_percent(workload: Workload, metric: Metric) -> float | None:
    """The largest utilization that limits allow; None where a container has none."""
    limit = request = 0
    for container in workload.containers:
        if metric.container not in (None, container["name"]):
            continue
        resources = container.get("resources") or {}
        own = (resources.get("limits") or {}).get(metric.name)
        if own is None:
            return None
        limit += milli(own)
        request += milli((resources.get("requests") or {}).get(metric.name, own))
    return 100 * limit / request if request > 0 else None


RULE = Rule("unreachable-utilization", Severity.WARNING, check)
