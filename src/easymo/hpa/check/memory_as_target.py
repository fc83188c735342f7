"""Memory as a scaling target."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity


def check(cluster: Cluster) -> Iterator[Report]:
    for document, hpa in cluster.autoscalers:
        for index, metric in enumerate(hpa.metrics):
            if metric.type not in ("Resource", "ContainerResource") or metric.name != "memory":
                continue
            size = hpa.max_replicas
            # One pod fewer needs a ratio of at most (n - 1) / n, and one below the tolerance.
            share = min((size - 1) / size, 0.9)
            bound = f"{metric.amount * share:.0f} %" if metric.target == "Utilization" else f"{share:.0%} of the target"
            yield Report(
                document,
                f"spec.metrics[{index}]",
                f"A heap seldom shrinks when the load does: from {size} pods {hpa.name} loses none until their memory "
                f"is down to {bound} on average{', whatever its other metrics say' if hpa.metrics[1:] else ''}.",
                "Scale by cpu or requests; keep memory as request = limit, with an alert.",
            )


RULE = Rule("memory-as-target", Severity.WARNING, check)
