"""Routes about render jobs."""

from typing import Annotated, cast
from uuid import UUID

from litestar import HttpMethod, Response, get, post, route
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from easymo_platform.runtime.auth import SCOPE
from easymo_platform.runtime.errors import ServiceError
from easymo_platform.runtime.openapi import EXAMPLE
from easymo_platform.runtime.routes import AnyRequest, IdempotencyKey
from easymo_platform.video_orchestrator.delivery import deliver
from easymo_platform.video_orchestrator.model import Job, JobList, JobStatus, RenderAnswer, RenderRequest
from easymo_platform.video_orchestrator.service import VideoOrchestrator

READ = "render:read"
WRITE = "render:write"
_SHOT = {"id": "a", "src": "clip.mp4", "duration": 10, "startOffset": 2, "trimTo": 5}
_PLAN = {
    "id": "spot",
    "safeZonePresetId": "safe-top",
    "outputPath": "spot.mp4",
    "scenes": [{"id": "intro", "order": 1, "shots": [_SHOT]}],
}
_JOB = {"id": "019a2f6e-3b1c-7d42-9c55-0e8f6a7b1c2d", "plan_id": "spot", "status": "running", "progress": 42}


def orchestrator(request: AnyRequest) -> VideoOrchestrator:
    """The service's parts, built once per process."""
    return cast(VideoOrchestrator, request.app.state.service)


@post(
    "/render",
    status_code=202,
    summary="Queue a plan to be rendered",
    opt={SCOPE: WRITE, EXAMPLE: {"plan": _PLAN, "options": {"priority": 50}}},
)
async def render(
    request: AnyRequest, data: JSONBody[RenderRequest], idempotency_key: IdempotencyKey = None
) -> Response[RenderAnswer]:
    if data.plan is None:
        raise ServiceError(400, "missing_plan", "The request has no plan: there is nothing to render.")
    accepted = await orchestrator(request).accept(data.plan, data.options, idempotency_key)
    return Response(RenderAnswer(accepted), status_code=202, headers={"location": f"/render/{accepted.job_id}"})


@get("/render", summary="Jobs, newest first", opt={SCOPE: READ, EXAMPLE: {"jobs": [_JOB], "next": None}})
async def jobs(
    request: AnyRequest,
    status: FromQuery[JobStatus | None] = None,
    before: FromQuery[UUID | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> JobList:
    return await orchestrator(request).store.newest(status, before, limit)


@get("/render/{job_id:uuid}", summary="A job with its scenes", opt={SCOPE: READ, EXAMPLE: _JOB})
async def job_by_id(request: AnyRequest, job_id: FromPath[UUID]) -> Job:
    return await orchestrator(request).store.by_id(job_id)


@post(
    "/render/{job_id:uuid}/cancel",
    status_code=202,
    summary="End a job that is not over",
    opt={SCOPE: WRITE, EXAMPLE: {"ok": True, "data": {"job_id": _JOB["id"], "status": "cancelled"}}},
)
async def cancel(request: AnyRequest, job_id: FromPath[UUID]) -> RenderAnswer:
    return RenderAnswer(await orchestrator(request).store.cancel(job_id))


@route(
    "/render/{job_id:uuid}/output",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    status_code=200,
    summary="The film of a job that succeeded; takes ranges",
    opt={SCOPE: READ},
)
async def output(request: AnyRequest, job_id: FromPath[UUID]) -> Response[bytes] | Stream:
    path = await orchestrator(request).output(job_id)
    return deliver(path, job_id.hex, request.headers, body=request.method == "GET")


RENDER_ROUTES = (render, jobs, job_by_id, cancel, output)
