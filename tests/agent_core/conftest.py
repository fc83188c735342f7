"""agent-core on real servers, in this process."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from easymo.embedded import Valkey
from easymo_platform.agent_core.app import create
from tests import asgi

AgentCore = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
async def user_id(database: "asyncpg.Connection[asyncpg.Record]") -> UUID:
    user_id: UUID = await database.fetchval("insert into users (phone_number) values ('+250700000001') returning id")
    return user_id


@pytest.fixture
async def environ(database: object, baseline_url: str, valkey: Valkey) -> dict[str, str]:
    async with Redis.from_url(valkey.url) as redis:
        await redis.flushall()
    return {
        "DATABASE_URL": baseline_url,
        "REDIS_URL": valkey.url,
        "DATABASE_POOL_SIZE": "3",
        "AUTH_DISABLED": "true",
        "SERVICE_JWT_KEYS": "key-of-the-tests-of-agent-core-012345",
        "VOICE_BRIDGE_URL": "http://127.0.0.1:1",
    }


@pytest.fixture
def agent_core(environ: Mapping[str, str]) -> AgentCore:
    """`async with agent_core(AGENT_PROVIDER=…) as client`."""

    @asynccontextmanager
    async def run(**more: str) -> AsyncIterator[httpx.AsyncClient]:
        app = create({**environ, **more})
        transport = asgi.transport(app, raise_app_exceptions=False)
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://agent-core") as client:
            client.app = app  # type: ignore[attr-defined]
            yield client

    return run


async def opened(client: httpx.AsyncClient, user_id: UUID, **fields: object) -> str:
    """A new session; its id."""
    body = {"user_id": str(user_id), "flow_type": "shops", "agent_kind": "sales", **fields}
    response = await client.post("/sessions", json=body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])
