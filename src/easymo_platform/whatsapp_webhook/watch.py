"""What on-call looks at first: how many messages wait, for how long, and how many were given up."""

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import structlog

from easymo_platform.runtime.background import repeatedly
from easymo_platform.runtime.metrics import Metrics
from easymo_platform.whatsapp_webhook.store import MessageStore

EVERY_S = 5.0
LATE_S = 60
QUEUES = ("inbound", "outbound", "dead_letters", "handoffs", "events")

_log = structlog.get_logger(__name__)


class QueueWatch:
    """Keeps the queue's gauges. Runs in the service, not in workers: the queue must be seen when no worker is left.

    Every replica reports the same figures, which come from the database: the highest value is right.
    """

    def __init__(self, store: MessageStore, metrics: Metrics) -> None:
        self._store = store
        depth = metrics.gauge(
            "webhook_queue_depth", "Messages that wait, and what waits for a person of the team.", "queue"
        )
        self._depth = {queue: depth.labels(metrics.service, queue) for queue in QUEUES}
        age = metrics.gauge("webhook_queue_age_seconds", "How long ago the oldest message that is due came in.")
        self._age = age.labels(metrics.service)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Looks at the queue in the background for the length of the block."""
        return repeatedly(self.look, EVERY_S, "queue_not_seen")

    async def look(self) -> None:
        """Set the gauges to what is so now. Raises DatabaseError when Postgres does not answer."""
        waiting = await self._store.queue_depth()
        for queue, depth in self._depth.items():
            depth.set(waiting[queue])
        oldest = waiting["oldest_due"]
        age_s = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
        self._age.set(age_s)
        if age_s > LATE_S:
            _log.warning("queue_is_late", oldest_due_s=round(age_s))
