"""whatsapp-webhook on real servers, in this process."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from redis.asyncio import Redis

from easymo.embedded import Valkey
from easymo_platform.operations.migrate import MIGRATIONS
from tests.whatsapp_webhook.client import SECRET, VERIFY


@pytest.fixture
async def database(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection of the test's own to a database with the baseline's schema and no rows."""
    connection = await asyncpg.connect(database_url)
    for file in sorted(MIGRATIONS.glob("*.sql")):
        if "performance" not in file.name:
            await connection.execute(file.read_text())
    yield connection
    await connection.close()


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator["Redis"]:
    """A client of the test's own to an empty Valkey."""
    async with Redis.from_url(valkey.url) as client:
        await client.flushall()
        yield client


@pytest.fixture(autouse=True)
def _redis_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine an answer of Redis may take longer than a limit waits for it: then nobody would be limited."""
    monkeypatch.setattr("easymo_platform.runtime.limits.TIMEOUT_S", 30.0)


@pytest.fixture
def environ(database: object, redis: object, database_url: str, valkey: Valkey) -> dict[str, str]:
    """The environment of the API and of its workers; agent-core is away."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": valkey.url,
        "DATABASE_POOL_SIZE": "4",
        "AUTH_DISABLED": "true",
        "SERVICE_JWT_KEYS": "key-of-the-tests-of-whatsapp-webhook",
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_VERIFY_TOKEN": VERIFY,
        "AGENT_CORE_URL": "http://127.0.0.1:1",
    }
