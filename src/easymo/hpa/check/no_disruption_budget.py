"""A scaled workload without a PodDisruptionBudget."""

from collections.abc import Iterator
from typing import Any

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity


def check(cluster: Cluster) -> Iterator[Report]:
    budgets = [document for document in cluster.documents if document.kind == "PodDisruptionBudget"]
    selectors = [(budget.content.get("spec") or {}).get("selector") or {} for budget in budgets]
    for _, _, workload in cluster.scalings():
        if not any(selects(selector, workload.labels) for selector in selectors):
            yield Report(
                workload.document,
                "metadata.name",
                f"No PodDisruptionBudget covers {workload.name}: draining a node may take all its pods at once, and "
                "the autoscaler only sees it afterwards.",
                f"Add a PodDisruptionBudget that selects the pods of {workload.name}.",
            )


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector takes pods with ``labels``; an empty one takes all."""
    wanted = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(_fits(e, labels) for e in selector.get("matchExpressions") or [])


def _fits(expression: dict[str, Any], labels: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(expression["operator"], False)


RULE = Rule("no-disruption-budget", Severity.WARNING, check)
