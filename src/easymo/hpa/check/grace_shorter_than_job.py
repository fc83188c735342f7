"""Pods that are killed before their longest job can end."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity


def check(cluster: Cluster) -> Iterator[Report]:
    for _, hpa, workload in cluster.scalings():
        longest_s = cluster.settings.longest_job_s.get(workload.name)
        if longest_s is not None and workload.grace_s < longest_s:
            yield Report(
                workload.document,
                "spec.template.spec.terminationGracePeriodSeconds",
                f"A job of {workload.name} takes up to {longest_s} s and a pod is killed {workload.grace_s} s after "
                f"SIGTERM: every time {hpa.name} shrinks, work is lost.",
                f"Set terminationGracePeriodSeconds to {longest_s} or more, or make jobs continue elsewhere.",
            )


RULE = Rule("grace-shorter-than-job", Severity.WARNING, check)
