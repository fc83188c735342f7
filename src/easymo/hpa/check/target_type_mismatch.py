"""A target whose type is not that of the field that is filled."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.spec import SOURCE_KEY

_FIELDS = {"Utilization": "averageUtilization", "AverageValue": "averageValue", "Value": "value"}


def check(cluster: Cluster) -> Iterator[Report]:
    for document, hpa in cluster.autoscalers:
        for index, metric in enumerate(document.content["spec"].get("metrics") or []):
            key = SOURCE_KEY[metric["type"]]
            target = metric[key]["target"]
            decides = hpa.metrics[index].target
            if target["type"] == decides:
                continue
            meant = _FIELDS[target["type"]]
            yield Report(
                document,
                f"spec.metrics[{index}].{key}.target.type",
                f"The type says {target['type']}, but {_FIELDS[decides]} is filled, and the filled field decides: "
                f"{hpa.name} compares {hpa.metrics[index].name} as {decides}, and may run to {hpa.max_replicas} pods.",
                f"Fill {meant}, or write type: {decides}.",
            )


RULE = Rule("target-type-mismatch", Severity.WARNING, check)
