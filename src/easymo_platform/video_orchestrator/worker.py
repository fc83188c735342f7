"""Rendering: claim a job, hold its lease, render it, say what became of it; clean up after workers that died."""

import asyncio
import os
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import msgspec
import structlog
from prometheus_client import Histogram

from easymo_platform.runtime.errors import DatabaseError
from easymo_platform.video_orchestrator.errors import RenderError
from easymo_platform.video_orchestrator.folder import WorkFolder
from easymo_platform.video_orchestrator.model import Claimed, Plan
from easymo_platform.video_orchestrator.renderer import Progress, Renderer
from easymo_platform.video_orchestrator.settings import VideoSettings
from easymo_platform.video_orchestrator.store import JobStore

LOOK_EVERY_S = 0.1
"""How often an idle worker looks for a job: a fraction of what the shortest render takes."""

_log = structlog.get_logger(__name__)


class Worker:
    """Renders one job at a time, its scenes in parallel."""

    def __init__(self, store: JobStore, folder: WorkFolder, settings: VideoSettings, seconds: Histogram) -> None:
        self._store = store
        self._folder = folder
        self._renderer = Renderer(folder, settings, seconds)
        self._lease = timedelta(seconds=settings.render_lease_s)
        self._cache_bytes = settings.render_cache_bytes
        self._keep = timedelta(days=settings.render_keep_days)
        self._seconds = seconds
        self._id = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._stop = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Works in the background for the length of the block; at its end the job under way is handed back.

        A defect that ends the work ends the process: a worker that renders nothing must not look alive.
        """
        task = asyncio.create_task(self._work_until_stopped(), name="render-worker")
        task.add_done_callback(lambda _: None if self._stop.is_set() else signal.raise_signal(signal.SIGTERM))
        try:
            yield
        finally:
            self._stop.set()
            await task

    async def work(self) -> bool:
        """Render the next job; false when none was waiting. Raises :class:`DatabaseError` when Postgres fails."""
        await self._store.requeue_expired()
        job = await self._store.claim(self._id, self._lease)
        if job is None:
            return False
        self._seconds.labels("video-worker", "wait").observe(job.waited_s)
        await self._work_on(job)
        await self.tidy()
        return True

    async def tidy(self) -> None:
        """Remove the directories of attempts that are over, ours and dead workers', and what the cache has too much."""
        left = self._folder.attempts()
        if left:
            over = await self._store.over((job_id, attempt) for job_id, attempt, _ in left)
            for job_id, attempt, path in left:
                if (job_id, attempt) not in over:
                    continue
                if over[job_id, attempt] in ("failed", "cancelled", None):
                    # It may have been published by a worker that died, or was too late, before it could say so.
                    self._folder.withdraw(job_id)
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        await asyncio.to_thread(self._folder.trim_cache, self._cache_bytes)

    async def remove_old_outputs(self) -> None:
        """Remove the outputs of jobs that succeeded too long ago.

        The files go first: a worker that dies in between leaves a job that the next one finds again.
        """
        while job_ids := await self._store.outputs_to_remove(self._keep):
            for job_id in job_ids:
                await asyncio.to_thread(self._folder.withdraw, job_id)
            await self._store.forget_outputs(job_ids)
            _log.info("outputs_removed", jobs=len(job_ids))

    async def _work_until_stopped(self) -> None:
        tidied = -self._lease.total_seconds()
        while not self._stop.is_set():
            busy = False
            try:
                if time.monotonic() > tidied + self._lease.total_seconds():
                    await self.tidy()
                    await self.remove_old_outputs()
                    tidied = time.monotonic()
                busy = await self.work()
            except DatabaseError as error:
                _log.warning("queue_unavailable", problem=str(error))
            if not busy:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), LOOK_EVERY_S)

    async def _work_on(self, job: Claimed) -> None:
        """Render until it is done, the lease is lost or this worker must stop; in each case say so."""
        try:
            plan = msgspec.convert(job.plan, Plan)
        except msgspec.ValidationError as error:
            await self._store.fail(job, f"The plan cannot be read: {error}.")
            return

        async def scene_done(scene_id: str) -> None:
            with suppress(DatabaseError):  # the job's last word sets it too
                await self._store.finish_scene(job, scene_id)

        progress = Progress(plan, scene_done)
        work = self._folder.attempt(job.id, job.attempt)
        render = asyncio.create_task(self._renderer.render(plan, work, progress))
        hold = asyncio.create_task(self._hold(job, progress))
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({render, hold, stop}, return_when=asyncio.FIRST_COMPLETED)
        rendered, lost = render.done(), hold.done()
        for task in (render, hold, stop):
            task.cancel()
        await asyncio.wait({render, hold, stop})
        if rendered:
            await self._settle(job, plan, render)
        elif lost:
            _log.info("render_dropped", job_id=str(job.id), attempt=job.attempt)
        else:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)  # the next attempt has the same number
            await self._store.hand_back(job)

    async def _settle(self, job: Claimed, plan: Plan, render: "asyncio.Task[Path]") -> None:
        try:
            output = self._folder.publish(render.result(), job.id, plan.output_path)
        except RenderError as error:
            _log.warning("render_failed", job_id=str(job.id), attempt=job.attempt, reason=str(error))
            if error.retry:
                await self._store.retry(job, str(error), self._lease)
            else:
                await self._store.fail(job, str(error))
        else:
            await self._store.succeed(job, output)

    async def _hold(self, job: Claimed, progress: Progress) -> None:
        """Renew the lease again and again; returns once it is lost, or has run out because Postgres was away."""
        lease_s = self._lease.total_seconds()
        until = time.monotonic() + lease_s
        while time.monotonic() < until:
            await asyncio.sleep(min(1.0, lease_s / 4))
            asked = time.monotonic()
            try:
                if not await self._store.renew(job, self._lease, progress.percent):
                    return
            except DatabaseError as error:
                _log.warning("lease_not_renewed", job_id=str(job.id), problem=str(error))
            else:
                until = asked + lease_s
