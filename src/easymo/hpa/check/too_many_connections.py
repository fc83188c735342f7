"""More database connections at full size than Postgres allows."""

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.manifests import Document

RESERVED = 10
"""Connections that stay free: three that Postgres keeps for superusers, and some for migrations and people."""


class Pool(NamedTuple):
    """The connections of one workload: of a pod, and the pods at full size and above it during a rollout."""

    document: Document
    name: str
    pods: int
    surge: int
    connections: int


def pools(cluster: Cluster) -> list[Pool]:
    """The workloads whose pods say how large their pool is."""
    largest = {id(scaling.workload.document): scaling.hpa.max_replicas for scaling in cluster.scalings()}
    found = []
    for workload in cluster.workloads:
        size = workload.variable(cluster.settings.pool_variable) or ""
        if not (size.isascii() and size.isdecimal() and len(size) < 10):
            continue
        spec = workload.document.content.get("spec") or {}
        pods = largest.get(id(workload.document), spec.get("replicas", 1))
        own = int(size) + cluster.settings.beside_pool.get(workload.name, 0)
        found.append(Pool(workload.document, workload.name, pods, _surge(workload.document, pods), own))
    return found


def _surge(document: Document, pods: int) -> int:
    spec = document.content.get("spec") or {}
    strategy = spec.get("strategy") or {}
    if document.kind != "Deployment" or strategy.get("type") == "Recreate":
        return 0
    amount = str((strategy.get("rollingUpdate") or {}).get("maxSurge", "25%"))
    number = amount.removesuffix("%")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        return 0
    return ceil(pods * int(number) / 100) if amount.endswith("%") else int(number)


def check(cluster: Cluster) -> Iterator[Report]:
    allowed, found = cluster.settings.max_connections, pools(cluster)
    total = sum(pool.pods * pool.connections for pool in found)
    if allowed is not None and found and total > allowed - RESERVED:
        parts = ", ".join(f"{pool.name} {pool.pods} × {pool.connections}" for pool in found)
        yield Report(
            found[-1].document,
            "spec.template.spec.containers",
            f"At full size the pods hold {total} connections ({parts}); Postgres allows {allowed}, of which "
            f"{RESERVED} stay free: the last pods cannot connect just when the load is highest.",
            f"Lower {cluster.settings.pool_variable} or maxReplicas, or put a pooler before Postgres.",
        )


RULE = Rule("too-many-connections", Severity.ERROR, check)
