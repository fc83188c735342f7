"""The cache in FastAPI and Starlette: a lifespan, a dependency, and responses from cached bytes.

For example:

    cache = CacheService.from_env()
    app = FastAPI(lifespan=cache_lifespan(cache))

    @app.get("/live-calls")
    async def live_calls(request: Request, cache: CacheService = Depends(get_cache)) -> Response:
        return await cached_response(cache, strategies.live_calls(50), load_live_calls, request)
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from easymo.cache.errors import needs

try:
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
except ModuleNotFoundError as error:
    raise needs(__name__, "starlette") from error

from easymo.cache.http import headers_for, is_unchanged
from easymo.cache.opening import Loader
from easymo.cache.service import CacheService
from easymo.cache.strategy import Key

_STATE = "easymo_cache"


def cache_lifespan(cache: CacheService) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """A lifespan that opens the cache before the first request and closes it after the last."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[Mapping[str, Any]]:
        async with cache:
            yield {_STATE: cache}

    return lifespan


def get_cache(connection: HTTPConnection) -> CacheService:
    """The cache that `cache_lifespan` opened; for `Depends(get_cache)`, or to call with a Starlette request."""
    cache: CacheService = getattr(connection.state, _STATE)
    return cache


async def cached_response(
    cache: CacheService,
    key: str | Key,
    loader: Loader,
    request: Request,
    *,
    public: bool = False,
    vary: Sequence[str] = (),
    background_safe: bool = False,
) -> Response:
    """The JSON of a value, sent without decoding it, with X-Cache, Cache-Control and ETag.

    A client that has this content already gets 304 and no body. `public` and `vary`: see `headers_for`;
    `background_safe`: see `CacheService.get_or_set`.
    """
    cached = await cache.get_or_set_bytes(key, loader, background_safe=background_safe)
    headers = headers_for(cached, public=public, vary=vary)
    if is_unchanged(request.headers.get("if-none-match"), headers):
        return Response(status_code=304, headers=headers)
    return Response(bytes(cached), media_type="application/json", headers=headers)
