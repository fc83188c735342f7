"""Render jobs in Postgres: the queue, the leases of those who render, and what became of each job."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from prometheus_client import Counter

from easymo_platform.runtime.database import Database
from easymo_platform.runtime.errors import ServiceError
from easymo_platform.runtime.identity import uuid7
from easymo_platform.video_orchestrator.model import (
    MAX_ATTEMPTS,
    Accepted,
    Claimed,
    Job,
    JobList,
    JobStatus,
    JobSummary,
    Options,
    Plan,
    Queue,
    SceneState,
    frames_of,
)

RETRY_AFTER_S = 30


def job_not_found(job_id: UUID) -> ServiceError:
    """The 404 of an unknown job."""
    return ServiceError(404, "job_not_found", f"There is no render job {job_id}.")


class JobStore:
    """Every statement on jobs. ``moved`` counts the jobs that came to a status through this process."""

    def __init__(self, database: Database, moved: Counter, service: str) -> None:
        self._database = database
        self._moved = moved
        self._service = service

    # -- for the service

    async def add(self, plan: Plan, options: Options, key: str | None, queue_limit: int) -> Accepted:
        """Queue a job; with a key that was used before, return the job it made.

        Raises the 409 when the key was used for something else, the 503 when ``queue_limit`` jobs are waiting.
        """
        document = msgspec.to_builtins(plan)
        if key is not None and (earlier := await self._of_key(key, document, options)) is not None:
            return earlier
        scenes = plan.in_order()
        job_id = uuid7()
        row = await self._database.fetch_row(
            "insert_job",
            job_id=job_id,
            plan_id=plan.id,
            plan=document,
            priority=options.priority,
            idempotency_key=key,
            queue_limit=queue_limit,
            scene_ids=[scene.id for scene in scenes],
            ords=[scene.order for scene in scenes],
            durations=[sum(frames_of(scene, plan.frame_rate)) / plan.frame_rate for scene in scenes],
        )
        if row is not None:
            self._count("queued")
            return Accepted(job_id, "queued")
        if key is not None and (earlier := await self._of_key(key, document, options)) is not None:
            return earlier
        raise ServiceError(
            503,
            "queue_full",
            f"{queue_limit} jobs are waiting already; try again later.",
            headers={"retry-after": str(RETRY_AFTER_S)},
        )

    async def _of_key(self, key: str, document: object, options: Options) -> Accepted | None:
        row = await self._database.fetch_row("job_of_key", idempotency_key=key)
        if row is None:
            return None
        if (row["plan"], row["priority"]) != (document, options.priority):
            raise ServiceError(409, "idempotency_key_reused", "This Idempotency-Key was used for a different render.")
        return Accepted(row["id"], row["status"])

    async def by_id(self, job_id: UUID) -> Job:
        """One job with its scenes; raises the 404 for an unknown one."""
        row = await self._database.fetch_row("job_by_id", job_id=job_id)
        if row is None:
            raise job_not_found(job_id)
        scenes = [SceneState(**scene) for scene in await self._database.fetch("scenes_of_job", job_id=job_id)]
        columns = dict(row)
        return Job(scenes=scenes, output=columns.pop("output_path"), **columns)

    async def newest(self, status: JobStatus | None, before: UUID | None, limit: int) -> JobList:
        """The newest ``limit`` jobs, of one status if one is named, older than the job ``before``."""
        rows = await self._database.fetch("newest_jobs", status=status, before=before, limit=limit + 1)
        jobs = [JobSummary(**row) for row in rows[:limit]]
        return JobList(jobs, jobs[-1].id if len(rows) > limit else None)

    async def cancel(self, job_id: UUID) -> Accepted:
        """End a job that is not over. Raises the 404 for an unknown job, the 409 for one that is over."""
        if await self._database.fetch_row("cancel_job", job_id=job_id) is None:
            status = (await self.by_id(job_id)).status
            raise ServiceError(409, "job_is_over", f"The job is {status} already.")
        self._count("cancelled")
        return Accepted(job_id, "cancelled")

    async def queue(self) -> Queue:
        """What is waiting now."""
        row = await self._database.fetch_row("queue")
        assert row is not None, "an aggregate has one row"
        return Queue(**row)

    async def requeue_expired(self) -> None:
        """Take the jobs of silent workers back; fail those that have used up their attempts."""
        for row in await self._database.fetch("requeue_expired_jobs", max_attempts=MAX_ATTEMPTS):
            self._count(row["status"])

    # -- for workers

    async def claim(self, worker_id: str, lease: timedelta) -> Claimed | None:
        """The next job, held by this worker for ``lease``; ``None`` when none is waiting."""
        row = await self._database.fetch_row("claim_job", worker_id=worker_id, lease=lease)
        if row is None:
            return None
        self._count("running")
        return Claimed(row["id"], row["plan"], row["attempts"], worker_id, row["waited_s"])

    async def renew(self, job: Claimed, lease: timedelta, progress: float) -> bool:
        """Hold the job for another ``lease``; false when it is not this worker's any more."""
        return await self._database.fetch_row("renew_lease", lease=lease, progress=progress, **_claim(job)) is not None

    async def finish_scene(self, job: Claimed, scene_id: str) -> None:
        """Note that a scene is rendered."""
        await self._database.fetch("finish_scene", scene_id=scene_id, **_claim(job))

    async def succeed(self, job: Claimed, output_path: str) -> bool:
        """The job is done; false when it was not this worker's any more."""
        return await self._leave(job, "succeeded", output_path=output_path)

    async def fail(self, job: Claimed, reason: str) -> bool:
        """The job cannot be done; false when it was not this worker's any more."""
        return await self._leave(job, "failed", error=reason)

    async def retry(self, job: Claimed, reason: str, pause: timedelta) -> bool:
        """Another attempt after ``pause``, or failed after the last one; false when it was not this worker's."""
        if job.attempt >= MAX_ATTEMPTS:
            return await self.fail(job, reason)
        return await self._leave(job, "queued", error=reason, pause=pause)

    async def hand_back(self, job: Claimed) -> bool:
        """Put the job back, because this worker must stop; the attempt does not count."""
        return await self._leave(job, "queued", attempts=job.attempt - 1)

    async def over(self, attempts: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], JobStatus | None]:
        """Those of ``attempts`` that nobody is working on, with their job's status (``None``: no such job)."""
        wanted = list(attempts)
        rows = await self._database.fetch("states_of_jobs", job_ids=[job_id for job_id, _ in wanted])
        states = {row["id"]: (row["status"], row["attempts"]) for row in rows}
        found = {attempt: states.get(attempt[0], (None, 0)) for attempt in wanted}
        return {attempt: state[0] for attempt, state in found.items() if state != ("running", attempt[1])}

    async def outputs_to_remove(self, keep: timedelta) -> list[UUID]:
        """Jobs, up to a thousand, that succeeded longer than ``keep`` ago and still have their output."""
        return [row["id"] for row in await self._database.fetch("outputs_to_remove", keep=keep)]

    async def forget_outputs(self, job_ids: list[UUID]) -> None:
        """The outputs of these jobs are gone."""
        await self._database.fetch("forget_outputs", job_ids=job_ids)

    async def _leave(
        self,
        job: Claimed,
        status: JobStatus,
        *,
        attempts: int | None = None,
        pause: timedelta = timedelta(0),
        output_path: str | None = None,
        error: str | None = None,
    ) -> bool:
        row = await self._database.fetch_row(
            "leave_job",
            status=status,
            attempts=job.attempt if attempts is None else attempts,
            pause=pause,
            output_path=output_path,
            error=error,
            **_claim(job),
        )
        if row is not None:
            self._count(status)
        return row is not None

    def _count(self, status: str) -> None:
        self._moved.labels(self._service, status).inc()


def _claim(job: Claimed) -> dict[str, Any]:
    return {"job_id": job.id, "worker_id": job.worker_id, "attempt": job.attempt}
