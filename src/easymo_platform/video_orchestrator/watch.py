"""What the autoscaler reads: how much waits in the queue and for how long."""

from contextlib import AbstractAsyncContextManager

from easymo_platform.runtime.background import repeatedly
from easymo_platform.runtime.metrics import Metrics
from easymo_platform.video_orchestrator.store import JobStore

EVERY_S = 5.0


class QueueWatch:
    """Keeps the queue's gauges. Runs in the service, not in workers: the queue must be seen when no worker is left."""

    def __init__(self, store: JobStore, metrics: Metrics) -> None:
        self._store = store
        self._depth = metrics.gauge("render_queue_depth", "Jobs waiting.").labels(metrics.service)
        self._age = metrics.gauge("render_queue_age_seconds", "How long the oldest waits.").labels(metrics.service)
        self._running = metrics.gauge("render_jobs_running", "Jobs being rendered.").labels(metrics.service)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Looks at the queue in the background for the length of the block."""
        return repeatedly(self.look, EVERY_S, "queue_not_seen")

    async def look(self) -> None:
        """Set the gauges to what is so now; a dead worker's job waits again."""
        await self._store.requeue_expired()
        queue = await self._store.queue()
        self._depth.set(queue.depth)
        self._age.set(queue.age_s)
        self._running.set(queue.running)
