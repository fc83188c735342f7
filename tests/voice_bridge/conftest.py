"""voice-bridge on real servers, in this process."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from easymo.embedded import Valkey

SCHEMA = Path(__file__).parents[2] / "supabase" / "migrations" / "20251101000000_schema.sql"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection of the test's own to a database with the schema and no rows."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(SCHEMA.read_text())
    yield connection
    await connection.close()


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator["Redis"]:
    """A client of the test's own to an empty Valkey."""
    async with Redis.from_url(valkey.url) as client:
        await client.flushall()
        yield client


@pytest.fixture
def environ(database: object, redis: object, database_url: str, valkey: Valkey) -> dict[str, str]:
    """The environment in which the service finds both servers."""
    return {"DATABASE_URL": database_url, "REDIS_URL": valkey.url, "DATABASE_POOL_SIZE": "4", "AUTH_DISABLED": "true"}
