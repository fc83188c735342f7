"""The application every service is built from: routes of its own plus health, metrics, cache figures and errors."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from litestar import Litestar
from litestar.types import ControllerRouterHandler

from easymo.cache import CacheService
from easymo.cache.prometheus import CacheCollector
from easymo_platform.runtime.auth import Tokens, authorize
from easymo_platform.runtime.bounds import REQUEST_MAX_BYTES, Bounded, refuse_oversized
from easymo_platform.runtime.database import Database
from easymo_platform.runtime.errors import EXCEPTION_HANDLERS
from easymo_platform.runtime.limits import RateLimits
from easymo_platform.runtime.metrics import Metrics
from easymo_platform.runtime.observe import Observed
from easymo_platform.runtime.openapi import complete, openapi_config
from easymo_platform.runtime.operational import OPERATIONAL_ROUTES
from easymo_platform.runtime.settings import Settings
from easymo_platform.runtime.statements import read_statements

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Runtime:
    """What a service has at hand while it runs; routes find it as ``request.app.state.runtime``."""

    service: str
    settings: Settings
    metrics: Metrics
    database: Database
    cache: CacheService
    tokens: Tokens
    limits: RateLimits
    started: float = field(default_factory=time.monotonic)
    instance: str = field(default_factory=lambda: os.urandom(4).hex())
    """Tells this process from its replicas, which must not answer with its health."""
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the process is about to end: it still answers, but wants no new connections."""

    @classmethod
    def of(cls, service: str, settings: Settings, queries: Path) -> "Runtime":
        """The runtime of one process. Nothing is connected before the application starts."""
        metrics = Metrics(service, settings.release)
        statements = read_statements(queries)
        database = Database(settings.database_url, settings.database_pool_size, service, statements, metrics)
        redis_url = settings.redis_url if settings.redis_enabled else "null://"
        cache = CacheService(redis_url, near_bytes=int(settings.cache_near_mb * _MIB))
        if not settings.redis_enabled:
            cache.disable()
        metrics.registry.register(CacheCollector(cache, {"service": service}))
        tokens = Tokens(settings.jwt_keys(), service)
        return cls(service, settings, metrics, database, cache, tokens, RateLimits(settings, metrics))

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Database and cache, open."""
        await self.database.open()
        try:
            async with self.cache:
                yield
        finally:
            await self.limits.close()
            await self.database.close()


def create_app(
    runtime: Runtime,
    routes: Sequence[ControllerRouterHandler],
    state: object,
    background: Callable[[], AbstractAsyncContextManager[None]],
) -> Litestar:
    """The ASGI application of a service.

    ``state`` is handed to the service's routes as ``request.app.state.service``; ``background`` is entered after
    database and cache are open and left before they close.
    """

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with runtime.connected(), background():
            yield

    app = Litestar(
        route_handlers=[*routes, *OPERATIONAL_ROUTES],
        guards=[refuse_oversized, authorize],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=[lifespan],
        request_max_body_size=REQUEST_MAX_BYTES,
        openapi_config=openapi_config(runtime.service),
        logging_config=None,
    )
    app.state.runtime = runtime
    app.state.service = state
    complete(app)
    bounded = Bounded(app.asgi_handler, runtime.settings.request_limit_s)
    app.asgi_handler = Observed(bounded, runtime.metrics, runtime.draining)
    return app
