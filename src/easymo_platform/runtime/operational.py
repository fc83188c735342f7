"""What operators and probes ask of every service: health, metrics and the cache's figures."""

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec
from litestar import Response, get

from easymo_platform.runtime.auth import PUBLIC, SCOPE
from easymo_platform.runtime.errors import DatabaseError, ServiceError
from easymo_platform.runtime.openapi import EXAMPLE
from easymo_platform.runtime.routes import AnyRequest
from easymo_platform.runtime.strategies import RuntimeStrategies

if TYPE_CHECKING:
    from easymo_platform.runtime.app import Runtime

POSTGRES_TIMEOUT_S = 5


class Alive(msgspec.Struct, frozen=True):
    """The process answers; nothing is said about what it depends on."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True):
    """The service can do its work. Without Redis it still can."""

    status: Literal["ready"] = "ready"


class Health(msgspec.Struct, frozen=True):
    """Summary for people and dashboards; ``uptime`` in seconds."""

    status: Literal["ok", "degraded", "unhealthy"]
    service: str
    uptime: float
    timestamp: datetime
    checks: dict[str, str]


_EXAMPLE_OF_HEALTH = {
    "status": "ok",
    "service": "voice-bridge",
    "uptime": 12.5,
    "timestamp": "2026-03-04T09:30:00Z",
    "checks": {"postgres": "ok", "redis": "ok"},
}


def _runtime(request: AnyRequest) -> "Runtime":
    return cast("Runtime", request.app.state.runtime)


async def _postgres(runtime: "Runtime") -> str:
    try:
        async with asyncio.timeout(POSTGRES_TIMEOUT_S):
            await runtime.database.ping()
    except (DatabaseError, TimeoutError):
        return "down"
    return "ok"


async def _redis(runtime: "Runtime") -> str:
    if not runtime.settings.redis_enabled:
        return "off"
    return "down" if (await runtime.cache.stats()).server is None else "ok"


@get("/health/live", summary="Does the process answer?", opt={SCOPE: PUBLIC, EXAMPLE: Alive()})
async def live() -> Alive:
    return Alive()


@get("/health/ready", summary="Can the service do its work?", opt={SCOPE: PUBLIC, EXAMPLE: Ready()})
async def ready(request: AnyRequest) -> Ready:
    if _runtime(request).draining.is_set():
        raise ServiceError(503, "draining", "The process is about to end; send requests elsewhere.")
    if await _postgres(_runtime(request)) != "ok":
        raise ServiceError(503, "not_ready", "Postgres does not answer.")
    return Ready()


@get(
    "/health",
    summary="Summary of the service and what it depends on, at most 10 s old",
    opt={SCOPE: PUBLIC, EXAMPLE: _EXAMPLE_OF_HEALTH},
)
async def health(request: AnyRequest) -> Response[Health]:
    runtime = _runtime(request)

    async def examine() -> Health:
        checks = {"postgres": await _postgres(runtime), "redis": await _redis(runtime)}
        down = checks["postgres"] != "ok"
        status: Literal["ok", "degraded", "unhealthy"] = (
            "unhealthy" if down else "degraded" if checks["redis"] == "down" else "ok"
        )
        uptime = round(time.monotonic() - runtime.started, 1)
        return Health(status, runtime.service, uptime, datetime.now(UTC), checks)

    key = RuntimeStrategies.health_check(service=runtime.service, instance=runtime.instance)
    summary = await runtime.cache.get_or_set(key, examine, type=Health)
    return Response(summary, status_code=503 if summary.status == "unhealthy" else 200)


@get("/metrics", summary="Prometheus metrics", include_in_schema=False, opt={SCOPE: PUBLIC})
async def metrics(request: AnyRequest) -> Response[bytes]:
    return Response(_runtime(request).metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


@get(
    "/cache/stats",
    summary="The cache's own counters, per strategy, and the server's figures",
    opt={SCOPE: "ops:read", EXAMPLE: {"enabled": True, "connected": True, "strategies": {}}},
)
async def cache_stats(request: AnyRequest) -> dict[str, Any]:
    return cast("dict[str, Any]", msgspec.to_builtins(await _runtime(request).cache.stats()))


OPERATIONAL_ROUTES = (live, ready, health, metrics, cache_stats)
