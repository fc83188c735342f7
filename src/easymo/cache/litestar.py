"""The cache in Litestar: a plugin that opens it and offers it as a dependency, and responses from cached bytes.

For example:

    cache = CacheService.from_env()
    app = Litestar([live_calls], plugins=[CachePlugin(cache)])

    @get("/live-calls")
    async def live_calls(cache: NamedDependency[CacheService], request: Request) -> Response[bytes]:
        return await cached_response(cache, strategies.live_calls(50), load_live_calls, request)
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from easymo.cache.errors import needs

try:
    from litestar import Litestar, Request, Response
    from litestar.config.app import AppConfig
    from litestar.di import Provide
    from litestar.enums import MediaType
    from litestar.plugins import InitPlugin
except ModuleNotFoundError as error:
    raise needs(__name__, "litestar") from error

from easymo.cache.http import headers_for, is_unchanged
from easymo.cache.opening import Loader
from easymo.cache.service import CacheService
from easymo.cache.strategy import Key


class CachePlugin(InitPlugin):
    """Opens the cache before the first request, closes it after the last, and offers it as dependency `cache`."""

    def __init__(self, cache: CacheService, dependency: str = "cache") -> None:
        self._cache = cache
        self._dependency = dependency

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        cache = self._cache

        @asynccontextmanager
        async def open_while_running(_: Litestar) -> AsyncIterator[None]:
            async with cache:
                yield

        app_config.lifespan.append(open_while_running)
        app_config.dependencies[self._dependency] = Provide(lambda: cache, sync_to_thread=False, use_cache=True)
        app_config.signature_types.append(CacheService)
        return app_config


async def cached_response(
    cache: CacheService,
    key: str | Key,
    loader: Loader,
    request: Request[Any, Any, Any],
    *,
    public: bool = False,
    vary: Sequence[str] = (),
    background_safe: bool = False,
) -> Response[bytes]:
    """The JSON of a value, sent without decoding it, with X-Cache, Cache-Control and ETag.

    A client that has this content already gets 304 and no body. `public` and `vary`: see `headers_for`;
    `background_safe`: see `CacheService.get_or_set`.
    """
    cached = await cache.get_or_set_bytes(key, loader, background_safe=background_safe)
    headers = headers_for(cached, public=public, vary=vary)
    if is_unchanged(request.headers.get("if-none-match"), headers):
        return Response(b"", status_code=304, headers=headers)
    return Response(bytes(cached), media_type=MediaType.JSON, headers=headers)
