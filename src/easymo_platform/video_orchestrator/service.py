"""What video-orchestrator does, in terms of its store, the work folder and the cache."""

import asyncio
from pathlib import Path
from uuid import UUID

from easymo.cache import CacheService
from easymo_platform.runtime.errors import ServiceError
from easymo_platform.video_orchestrator.errors import RenderError
from easymo_platform.video_orchestrator.folder import WorkFolder
from easymo_platform.video_orchestrator.model import Accepted, Options, Plan
from easymo_platform.video_orchestrator.store import JobStore
from easymo_platform.video_orchestrator.strategies import VideoStrategies


class VideoOrchestrator:
    """One per process; the routes call it."""

    def __init__(self, store: JobStore, folder: WorkFolder, cache: CacheService, queue_limit: int) -> None:
        self.store = store
        self._folder = folder
        self._cache = cache
        self._queue_limit = queue_limit

    async def accept(self, plan: Plan, options: Options, idempotency_key: str | None) -> Accepted:
        """Queue a plan whose sources are all there.

        Raises the 400 that names every source which is not, and what :meth:`JobStore.add` raises.
        """
        problems = await asyncio.to_thread(self._problems, plan)
        if problems:
            raise ServiceError(400, "invalid_plan", "Sources of the plan cannot be used.", problems)
        return await self.store.add(plan, options, idempotency_key, self._queue_limit)

    async def output(self, job_id: UUID) -> Path:
        """The file that a job has made.

        Raises the 404 for an unknown job, the 409 for one that did not succeed, the 410 when its file was removed.
        """

        async def find() -> str:
            job = await self.store.by_id(job_id)
            if job.output is None and job.status == "succeeded":
                raise ServiceError(
                    410, "output_expired", "The output was removed: it was kept for as long as promised."
                )
            if job.output is None:
                raise ServiceError(409, "output_not_ready", f"The job is {job.status}: it has no output.")
            return job.output

        path = self._folder.root / await self._cache.get_or_set(VideoStrategies.render_output(job_id), find, type=str)
        if not await asyncio.to_thread(path.exists):
            await find()  # what the cache knows may be older than the removal
        return path

    def _problems(self, plan: Plan) -> list[dict[str, str]]:
        problems = []
        for field, name in plan.sources():
            try:
                self._folder.source(name)
            except RenderError as error:
                problems.append({"field": f"plan.{field}", "problem": str(error)})
        return problems
