"""What is wrong, in sentences, judged by the limits of the alerts (a test compares them with rules.yaml)."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from easymo_platform.operations.status.database import DatabaseStatus
from easymo_platform.operations.status.services import Queues, ServiceStatus

LIMITS: Mapping[str, float] = {
    "ErrorRatioHigh": 0.05,
    "LatencyHigh": 0.8,
    "CacheHitRateLow": 0.7,
    "MemoryHigh": 0.75,
    "PoolSaturated": 0.8,
    "DatabaseConnectionsHigh": 0.8,
    "WebhookBacklog": 500,
    "WebhookLate": 60,
    "DeadLetters": 0,
    "AccountEvents": 0,
    "RenderQueueLate": 300,
}
_ENOUGH = 50
"""So many requests or reads must there be in the time looked at before a share of them is judged."""


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong, and the page that says what to do."""

    sentence: str
    runbook: str


def problems(services: Sequence[ServiceStatus], waiting: Queues, database: DatabaseStatus) -> list[Problem]:
    """Everything that is wrong, the whole database first."""
    found = [*_of_database(database)]
    for service in services:
        found += _of_service(service)
    return [*found, *_of_queues(waiting)]


def _of_database(database: DatabaseStatus) -> Iterator[Problem]:
    if database.unreachable_because:
        yield Problem(f"Postgres cannot be asked: {database.unreachable_because}.", _page("database-down"))
        return
    if database.connections > LIMITS["DatabaseConnectionsHigh"] * database.max_connections:
        sentence = f"Postgres has {database.connections} of {database.max_connections} connections open."
        yield Problem(sentence, _page("database-connections-high"))
    if database.missing_indexes:
        names = ", ".join(database.missing_indexes)
        sentence = f"Declared indexes are missing: {names}. `python -m easymo_platform migrate` builds them."
        yield Problem(sentence, _page("latency-high"))


def _of_service(status: ServiceStatus) -> Iterator[Problem]:
    name = status.service
    if status.unreachable_because:
        yield Problem(f"{name} does not answer at {status.url}: {status.unreachable_because}.", _page("service-down"))
        return
    if status.redis == "down":
        yield Problem(f"{name} has no connection to Redis and goes on without its cache.", _page("redis-down"))
    judged = status.requests >= _ENOUGH
    if judged and status.error_ratio is not None and status.error_ratio > LIMITS["ErrorRatioHigh"]:
        yield Problem(f"{name} fails {status.error_ratio:.0%} of its requests.", _page("error-ratio-high"))
    if judged and status.p99_ms is not None and status.p99_ms > LIMITS["LatencyHigh"] * 1000:
        yield Problem(f"{name} takes {status.p99_ms:.0f} ms at the 99th percentile.", _page("latency-high"))
    if status.reads >= _ENOUGH and status.hit_ratio is not None and status.hit_ratio < LIMITS["CacheHitRateLow"]:
        yield Problem(f"{name} finds only {status.hit_ratio:.0%} in the cache.", _page("cache-hit-rate-low"))
    if status.pool_waiting or status.pool_in_use > LIMITS["PoolSaturated"] * status.pool_size:
        used = f"{status.pool_in_use} of {status.pool_size} connections in use, {status.pool_waiting} requests waiting"
        yield Problem(f"{name} has {used} for one.", _page("pool-saturated"))
    if status.memory_ratio is not None and status.memory_ratio > LIMITS["MemoryHigh"]:
        yield Problem(f"{name} holds {status.memory_ratio:.0%} of the memory it may.", _page("memory-high"))


def _of_queues(waiting: Queues) -> Iterator[Problem]:
    backlog = (waiting.messages_to_answer or 0) + (waiting.messages_to_send or 0)
    if backlog > LIMITS["WebhookBacklog"]:
        yield Problem(f"{backlog} WhatsApp messages wait.", _page("webhook-backlog"))
    if (waiting.oldest_message_s or 0) > LIMITS["WebhookLate"]:
        yield Problem(
            f"The oldest WhatsApp message that is due came in {waiting.oldest_message_s:.0f} s ago.",
            _page("webhook-late"),
        )
    if (waiting.dead_letters or 0) > LIMITS["DeadLetters"]:
        yield Problem(f"{waiting.dead_letters} WhatsApp messages were given up.", _page("dead-letters"))
    if (waiting.events or 0) > LIMITS["AccountEvents"]:
        yield Problem(
            f"Meta reported {waiting.events} events about the account, a number or a template.", _page("account-events")
        )
    if (waiting.oldest_render_s or 0) > LIMITS["RenderQueueLate"]:
        yield Problem(f"The oldest render has waited {waiting.oldest_render_s:.0f} s.", _page("render-queue-late"))


def _page(slug: str) -> str:
    return f"docs/runbooks/{slug}.md"
