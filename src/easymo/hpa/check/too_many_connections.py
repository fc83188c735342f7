"""More database connections at full size than Postgres allows."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity

RESERVED = 10
"""Connections that stay free: three that Postgres keeps for superusers, and some for migrations and people."""


def check(cluster: Cluster) -> Iterator[Report]:
    allowed = cluster.settings.max_connections
    if allowed is None:
        return
    largest = {scaling.workload.name: scaling.hpa.max_replicas for scaling in cluster.scalings()}
    parts, total, last = [], 0, None
    for workload in cluster.workloads:
        pool = workload.variable(cluster.settings.pool_variable)
        if pool is None or not pool.isdigit():
            continue
        pods = largest.get(workload.name, (workload.document.content.get("spec") or {}).get("replicas", 1))
        parts.append(f"{workload.name} {pods} × {pool}")
        total += pods * int(pool)
        last = workload.document
    if last is not None and total > allowed - RESERVED:
        yield Report(
            last,
            "spec.template.spec.containers",
            f"At full size the pods hold {total} connections ({', '.join(parts)}); Postgres allows {allowed}, of which "
            f"{RESERVED} stay free: the last pods cannot connect just when the load is highest.",
            f"Lower {cluster.settings.pool_variable} or maxReplicas, or put a pooler before Postgres.",
        )


RULE = Rule("too-many-connections", Severity.ERROR, check)
