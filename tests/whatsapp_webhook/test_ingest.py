"""Requests that share a statement: one client that has gone, and the end of the service, cost the others nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.conftest import Database
from tests.whatsapp_webhook.client import deliver, text, until, webhook

WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


@asynccontextmanager
async def messages_locked(url: str) -> AsyncIterator[asyncio.Event]:
    """No message can be stored until the event is set, or the block ends."""
    release = asyncio.Event()
    connection = await asyncpg.connect(url)

    async def hold() -> None:
        async with connection.transaction():
            await connection.execute("lock table whatsapp_messages in access exclusive mode")
            locked.set()
            await release.wait()

    locked = asyncio.Event()
    holding = asyncio.create_task(hold())
    try:
        await locked.wait()
        yield release
    finally:
        release.set()
        await holding
        await connection.close()


async def settled() -> None:
    """Everything that could run has run."""
    for _ in range(300):
        await asyncio.sleep(0)


async def is_waiting(url: str) -> bool:
    """Whether a statement waits for a lock; asked on a connection that does not wait itself."""
    connection = await asyncpg.connect(url)
    try:
        return bool(await connection.fetchval(WAITING))
    finally:
        await connection.close()


@pytest.mark.timeout(60)
async def test_a_client_that_has_gone_takes_nobody_along(
    environ: dict[str, str], database: Database, baseline_url: str
) -> None:
    async with webhook(environ) as client:
        async with messages_locked(baseline_url):
            gone = asyncio.create_task(deliver(client, text("from one who does not wait")))
            await until(lambda: is_waiting(baseline_url))
            patient = asyncio.create_task(deliver(client, text("from one who does")))
            await settled()
            gone.cancel()
            await settled()
        assert (await asyncio.wait_for(patient, 20))["messages"] == 1
        assert (await asyncio.wait_for(deliver(client, text("a later one")), 20))["messages"] == 1
    assert await database.fetchval("select count(*) from whatsapp_messages") == 3


@pytest.mark.timeout(60)
async def test_what_has_arrived_is_stored_before_the_service_ends(
    environ: dict[str, str], database: Database, baseline_url: str
) -> None:
    async with messages_locked(baseline_url) as release:
        async with webhook(environ) as client:
            first = asyncio.create_task(deliver(client, text("under way")))
            await until(lambda: is_waiting(baseline_url))
            second = asyncio.create_task(deliver(client, text("behind it")))
            await settled()
            asyncio.get_running_loop().call_later(0.2, release.set)
        assert (await asyncio.wait_for(second, 20))["messages"] == 1
        first.cancel()  # its statement was under way: the provider delivers it again
        await asyncio.wait({first})
    assert await database.fetchval("select count(*) from whatsapp_messages where body = 'behind it'") == 1
