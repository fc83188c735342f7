"""A utilization in which a sidecar hides the application."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.workload import request_in


def check(cluster: Cluster) -> Iterator[Report]:
    for document, hpa, workload in cluster.scalings():
        for index, metric in enumerate(hpa.metrics):
            requests = [(c["name"], request_in(c, metric.name) or 0) for c in workload.containers]
            total = sum(request for _, request in requests)
            if metric.type != "Resource" or metric.target != "Utilization" or len(requests) < 2 or not total:
                continue
            application, own = requests[0]
            yield Report(
                document,
                f"spec.metrics[{index}]",
                f"{application} has only a part of the {metric.name} that a pod of {workload.name} requests: with its "
                f"sidecars idle, {application} at its full request shows as {100 * own // total} %, against a target "
                f"of {metric.amount} %.",
                f"Use a ContainerResource metric for {application}.",
            )


RULE = Rule("sidecar-dilution", Severity.WARNING, check)
