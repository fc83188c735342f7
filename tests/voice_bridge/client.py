"""A client of voice-bridge, and calls to try things on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from easymo_platform.runtime.identity import uuid7
from easymo_platform.voice_bridge.app import create
from tests import asgi

NUMBER = "+250700000001"


@asynccontextmanager
async def voice_bridge(environ: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """The service in this process, started as the environment says, and a client of it."""
    app = create(environ)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=asgi.transport(app), base_url="http://voice-bridge") as client,
    ):
        yield client


async def insert_call(database: "asyncpg.Connection[asyncpg.Record]", status: str = "pending", **columns: Any) -> UUID:
    """A call as if it had come to ``status``, written behind the service's back. Returns its id."""
    call_id = uuid7()
    row = {
        "id": call_id,
        "provider": "simulated",
        "provider_call_sid": f"SIM{call_id.hex}",
        "direction": "outbound",
        "from_number": "sip:bridge@sip.easymo",
        "to_number": NUMBER,
        "status": status,
        "agent_profile": "general_agent",
        **columns,
    }
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    await database.execute(f"insert into voice_calls ({', '.join(row)}) values ({places})", *row.values())
    return call_id


async def insert_user(database: "asyncpg.Connection[asyncpg.Record]", number: str = NUMBER) -> UUID:
    """A user with this number. Returns its id."""
    user_id: UUID = await database.fetchval("insert into users (phone_number) values ($1) returning id", number)
    return user_id


async def status_of(database: "asyncpg.Connection[asyncpg.Record]", call_id: UUID) -> str:
    """The call's status as the table has it."""
    status: str = await database.fetchval("select status from voice_calls where id = $1", call_id)
    return status


async def until(true: Callable[[], Awaitable[object]], within_s: float) -> None:
    """Ask again and again until the answer is true; TimeoutError if it is not within the time."""
    async with asyncio.timeout(within_s):
        while not await true():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0)


async def place(client: httpx.AsyncClient, key: str | None = None, **body: Any) -> httpx.Response:
    """Ask for an outbound call, by default to :data:`NUMBER`."""
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post("/calls/outbound", json={"to": NUMBER, **body}, headers=headers)


async def move(client: httpx.AsyncClient, call_id: UUID | str, status: str) -> httpx.Response:
    """Ask for a status change."""
    return await client.post(f"/calls/{call_id}/status", json={"status": status})


async def callback(client: httpx.AsyncClient, call_id: UUID, word: str, sequence: int | None = None) -> httpx.Response:
    """Post Twilio's form about the call."""
    form = {"CallSid": f"SIM{call_id.hex}", "CallStatus": word, "AccountSid": "AC0", "To": NUMBER}
    if sequence is not None:
        form["SequenceNumber"] = str(sequence)
    return await client.post("/webhooks/twilio/voice-status", data=form)
