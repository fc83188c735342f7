"""An autoscaler that only grows."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity


def check(cluster: Cluster) -> Iterator[Report]:
    for document, hpa in cluster.autoscalers:
        if hpa.behavior is not None and hpa.behavior.down.select == "Disabled" and hpa.min_replicas < hpa.max_replicas:
            yield Report(
                document,
                "spec.behavior.scaleDown.selectPolicy",
                f"{hpa.name} never shrinks: after its highest peak it keeps that size, up to {hpa.max_replicas} pods.",
                "Use policies that shrink slowly, for instance {type: Pods, value: 1, periodSeconds: 300}.",
            )


RULE = Rule("scale-down-disabled", Severity.WARNING, check)
