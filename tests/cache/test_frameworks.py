"""Litestar, FastAPI and Prometheus: a response from cached bytes with true headers, and counters to scrape."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from litestar import Litestar, get
from litestar import Request as LitestarRequest
from litestar import Response as LitestarResponse
from litestar.di import NamedDependency
from litestar.params import FromPath
from prometheus_client import CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from easymo.cache import CacheService, Strategy
from easymo.cache import fastapi as in_fastapi
from easymo.cache import litestar as in_litestar
from easymo.cache.prometheus import CacheCollector
from tests import asgi
from tests.cache.conftest import Loader, eventually

Cache = NamedDependency[CacheService]
CALLS = Strategy("calls", key="calls:{limit}", ttl=100, stale_for=100)
EXPIRED = Strategy("expired", key="expired:{limit}", ttl=0.01, stale_for=100, refresh="background")


def fastapi_app(cache: CacheService, loader: Loader, strategy: Strategy, public: bool) -> Any:
    app = FastAPI(lifespan=in_fastapi.cache_lifespan(cache))

    @app.get("/calls/{limit}")
    async def calls(
        limit: int, request: Request, found: Annotated[CacheService, Depends(in_fastapi.get_cache)]
    ) -> Response:
        return await in_fastapi.cached_response(
            found, strategy(limit), loader, request, public=public, background_safe=True
        )

    return app


def litestar_app(cache: CacheService, loader: Loader, strategy: Strategy, public: bool) -> Any:
    @get("/calls/{limit:int}")
    async def calls(
        limit: FromPath[int], request: LitestarRequest[Any, Any, Any], cache: Cache
    ) -> LitestarResponse[bytes]:
        return await in_litestar.cached_response(
            cache, strategy(limit), loader, request, public=public, background_safe=True
        )

    return Litestar([calls], plugins=[in_litestar.CachePlugin(cache)], logging_config=None)


@pytest.fixture(params=[litestar_app, fastapi_app], ids=["litestar", "fastapi"])
def make_app(request: pytest.FixtureRequest) -> Any:
    return request.param


@asynccontextmanager
async def client_of(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks ASGI to the application while its lifespan is entered."""
    lifespan = app.lifespan() if isinstance(app, Litestar) else app.router.lifespan_context(app)
    async with lifespan as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app(scope | ({"state": dict(state)} if state else {}), receive, send)

        async with httpx.AsyncClient(transport=asgi.transport(with_state), base_url="http://app") as client:
            yield client


async def test_the_first_response_is_a_miss_and_the_next_a_hit_of_the_same_bytes(make_app: Any) -> None:
    loader = Loader({"calls": [1, 2]})
    async with client_of(make_app(CacheService("memory://"), loader, CALLS, False)) as client:
        first, second = await client.get("/calls/50"), await client.get("/calls/50")
    assert first.content == second.content == b'{"calls":[1,2]}'
    assert first.headers["content-type"].startswith("application/json")
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
    assert re.fullmatch(r"private, max-age=9[89], stale-while-revalidate=100", second.headers["cache-control"])
    assert loader.calls == 1


async def test_public_says_so(make_app: Any) -> None:
    async with client_of(make_app(CacheService("memory://"), Loader(), CALLS, True)) as client:
        response = await client.get("/calls/50")
    assert response.headers["cache-control"].startswith("public, max-age=")


async def test_a_stale_response_is_a_hit_that_nobody_else_may_keep(make_app: Any) -> None:
    loader = Loader("old")
    async with client_of(make_app(CacheService("memory://"), loader, EXPIRED, False)) as client:
        response = await client.get("/calls/50")
        loader.hold()

        async def stale() -> bool:
            nonlocal response
            response = await client.get("/calls/50")
            return "max-age=0" in response.headers["cache-control"]

        await eventually(stale)
        assert (response.headers["x-cache"], response.content) == ("HIT", b'"old"')
        assert response.headers["cache-control"].startswith("private, max-age=0, stale-while-revalidate=")
        loader.release()


async def test_a_disabled_cache_is_a_bypass_that_nobody_else_may_keep(make_app: Any) -> None:
    cache = CacheService("memory://")
    cache.disable()
    async with client_of(make_app(cache, Loader(), CALLS, True)) as client:
        response = await client.get("/calls/50")
    assert (response.headers["x-cache"], response.headers["cache-control"]) == ("BYPASS", "private, no-cache")


async def test_a_client_that_has_the_content_gets_no_body_whoever_loaded_it(make_app: Any) -> None:
    cache, loader = CacheService("memory://"), Loader("old")
    async with client_of(make_app(cache, loader, CALLS, False)) as client:
        first = await client.get("/calls/50")
        again = await client.get("/calls/50", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        await cache.delete(CALLS(50))
        same = await client.get("/calls/50", headers={"If-None-Match": first.headers["etag"]})
        assert same.status_code == 304, "the same content, loaded again"
        loader.value = "new"
        await cache.delete(CALLS(50))
        after = await client.get("/calls/50", headers={"If-None-Match": first.headers["etag"]})
        assert (after.status_code, after.content) == (200, b'"new"')


async def test_prometheus_sees_the_same_counts_as_stats() -> None:
    registry = CollectorRegistry()
    async with CacheService("memory://") as cache:
        registry.register(CacheCollector(cache))
        for _ in range(3):
            await cache.get_or_set(CALLS(1), Loader())
        text = generate_latest(registry).decode()
        counted = (await cache.stats()).strategies["calls"]
    assert f'easymo_cache_reads_total{{outcome="redis_hit",strategy="calls"}} {counted.redis_hits:.1f}' in text
    assert 'easymo_cache_reads_total{outcome="miss",strategy="calls"} 1.0' in text
    assert 'easymo_cache_loads_total{strategy="calls"} 1.0' in text
    assert 'easymo_cache_load_seconds_bucket{le="+Inf",strategy="calls"} 1.0' in text
    assert "easymo_cache_connected 1.0" in text
