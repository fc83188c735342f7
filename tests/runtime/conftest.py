"""A small service on the runtime, on real servers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from litestar import Litestar, Request, get, post
from litestar.params import FromPath, JSONBody
from litestar.response import Stream

from easymo.embedded import Postgres, Valkey
from easymo_platform.runtime.app import Runtime, create_app
from easymo_platform.runtime.auth import SCOPE
from easymo_platform.runtime.openapi import EXAMPLE
from easymo_platform.runtime.settings import Settings, read_settings
from tests import asgi

KEY = "key-of-the-tests-of-the-runtime-0"
SmallService = Callable[..., AbstractAsyncContextManager[tuple[httpx.AsyncClient, Litestar]]]


class Order(msgspec.Struct, forbid_unknown_fields=True):
    amount: Annotated[int, msgspec.Meta(ge=1)]


@get("/orders/{order_id:int}")
async def order(order_id: FromPath[int]) -> dict[str, int]:
    return {"order": order_id}


@post("/orders", opt={SCOPE: "orders:write", EXAMPLE: Order(3)})
async def place_order(data: JSONBody[Order]) -> dict[str, Any]:
    return {"amount": data.amount}


@get("/defect")
async def defect() -> None:
    raise RuntimeError("secret of the house: +250788123443")


@get("/hang")
async def hang(request: Request[Any, Any, Any]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        request.app.state.left_hanging = False


@get("/pieces/{count:int}")
async def pieces(count: FromPath[int]) -> Stream:
    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(count):
            await asyncio.sleep(0.1)
            yield b"piece"

    return Stream(slowly())


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


@pytest.fixture
def small_service(postgres: Postgres, valkey: Valkey, tmp_path: Path) -> SmallService:
    """`async with small_service(REDIS_URL=…) as (client, app)`; the client has a token with every scope."""
    queries = tmp_path / "queries.sql"
    queries.write_text("-- name: one()\nselect 1 as one;\n")
    servers = {"DATABASE_URL": postgres.url, "REDIS_URL": valkey.url, "DATABASE_POOL_SIZE": "2"}
    servers["SERVICE_JWT_KEYS"] = KEY

    @asynccontextmanager
    async def run(**environ: str) -> AsyncIterator[tuple[httpx.AsyncClient, Litestar]]:
        given: Mapping[str, str] = servers | environ
        runtime = Runtime.of("orders", read_settings(Settings, given), queries)
        app = create_app(runtime, [order, place_order, defect, hang, pieces], state=None, background=_nothing)
        transport = asgi.transport(app, raise_app_exceptions=False)
        token = runtime.tokens.sign("orders", ["orders:write", "ops:read"], subject="tester")
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://orders") as client:
            client.headers["authorization"] = f"Bearer {token}"
            yield client, app

    return run
