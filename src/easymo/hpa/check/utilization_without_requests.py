"""A utilization target over containers that request nothing."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.workload import request_in


def check(cluster: Cluster) -> Iterator[Report]:
    for document, hpa, workload in cluster.scalings():
        for index, metric in enumerate(hpa.metrics):
            if metric.target != "Utilization" or request_in(workload.pod, metric.name) is not None:
                continue
            silent = [
                container["name"]
                for container in workload.containers
                if metric.container in (None, container["name"]) and request_in(container, metric.name) is None
            ]
            if silent:
                yield Report(
                    document,
                    f"spec.metrics[{index}]",
                    f"{', '.join(silent)} of {workload.name} requests no {metric.name}, so this is a utilization of "
                    "nothing: the metric fails, and while it does the size never "
                    f"{'shrinks' if hpa.metrics[1:] else 'changes'}.",
                    f"Set resources.requests.{metric.name} on every container of {workload.name}.",
                )


RULE = Rule("utilization-without-requests", Severity.ERROR, check)
