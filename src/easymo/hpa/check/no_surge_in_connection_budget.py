"""Connections that suffice at full size and not during a rollout."""

from collections.abc import Iterator

from easymo.hpa.check.cluster import Cluster, Report, Rule, Severity
from easymo.hpa.check.too_many_connections import RESERVED, pools


def check(cluster: Cluster) -> Iterator[Report]:
    allowed, found = cluster.settings.max_connections, pools(cluster)
    total = sum(pool.pods * pool.connections for pool in found)
    # For each new pod an old one ends, and holds its connections until it has finished.
    rolling = total + sum(2 * pool.surge * pool.connections for pool in found)
    if allowed is not None and total <= allowed - RESERVED < rolling:
        parts = ", ".join(f"{pool.name} 2 × {pool.surge} × {pool.connections}" for pool in found if pool.surge)
        yield Report(
            found[-1].document,
            "spec.strategy",
            f"At full size the pods hold {total} connections, and {rolling} while all are rolled out, with new and "
            f"terminating pods ({parts}); Postgres allows {allowed}, of which {RESERVED} stay free.",
            f"Lower {cluster.settings.pool_variable} or maxSurge, raise max_connections, or roll out one by one.",
        )


RULE = Rule("no-surge-in-connection-budget", Severity.WARNING, check)
