"""A scale-down in percent where one pod is more than that."""

from collections.abc import Iterator
from itertools import pairwise

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.spec import Hpa

FEW = 10
"""Up to this many pods the rounding of a percentage is worth saying."""


def check(cluster: Cluster) -> Iterator[Report]:
    for document, hpa in cluster.autoscalers:
        if hpa.behavior is None or hpa.max_replicas > FEW or hpa.max_replicas == hpa.min_replicas:
            continue
        for index, policy in enumerate(hpa.behavior.down.policies):
            if policy.type == "Percent" and policy.value < 100:
                yield Report(
                    document,
                    f"spec.behavior.scaleDown.policies[{index}]",
                    f"{policy.value} % rounds to whole pods, downwards: {hpa.name} goes {_steps(hpa, policy.value)}.",
                    f"Use {{type: Pods, value: 1, periodSeconds: {policy.period_s}}}.",
                )


def _steps(hpa: Hpa, percent: int) -> str:
    sizes = [hpa.max_replicas]
    while sizes[-1] > hpa.min_replicas:
        sizes.append(max(int(sizes[-1] * (1 - percent / 100)), hpa.min_replicas))
    parts = [f"{1 - after / before:.0%}" for before, after in pairwise(sizes)]
    return f"{' → '.join(map(str, sizes))}, which is {', '.join(parts)}"


RULE = Rule("percent-on-few-replicas", Severity.WARNING, check)
