"""A PodDisruptionBudget that lets no pod go."""

from collections.abc import Iterator
from math import ceil

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.check.no_disruption_budget import selects


def check(cluster: Cluster) -> Iterator[Report]:
    for document in cluster.documents:
        if document.kind != "PodDisruptionBudget":
            continue
        spec = document.content.get("spec") or {}
        for _, hpa, workload in cluster.scalings():
            if not selects(spec.get("selector") or {}, workload.labels):
                continue
            size = hpa.min_replicas
            stays = _pods(spec.get("minAvailable", 0), size)
            goes = _pods(spec["maxUnavailable"], size) if "maxUnavailable" in spec else size - stays
            if size >= 1 and goes <= 0:
                yield Report(
                    document,
                    "spec",
                    f"At its minimum of {size}, {workload.name} may lose no pod: draining a node waits for as long as "
                    f"{hpa.name} keeps that size.",
                    "Set maxUnavailable: 1, or a minReplicas above minAvailable.",
                )


def _pods(amount: int | str, size: int) -> int:
    """A number of pods, or a percentage of `size`, rounded up as the controller does."""
    text = str(amount)
    number = text.removesuffix("%")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        return size
    return ceil(size * int(number) / 100) if text.endswith("%") else int(number)


RULE = Rule("undrainable-budget", Severity.WARNING, check)
