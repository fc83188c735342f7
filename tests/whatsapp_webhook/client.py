"""Meta, as the tests play it: signed deliveries; and clients of the API and of a worker in this process."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec

from easymo_platform.whatsapp_webhook import app, signature, worker_app
from easymo_platform.whatsapp_webhook.worker import Worker
from tests import asgi

SECRET = "app-secret-of-the-tests"
VERIFY = "verify-token-of-the-tests"
NUMBER = "250700000001"
BUSINESS = {"display_phone_number": "250700000999", "phone_number_id": "104857600000999"}

_numbers = itertools.count()


@asynccontextmanager
async def webhook(environ: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """The API, started as the environment says, and a client of it."""
    service = app.create(environ)
    transport = asgi.transport(service, raise_app_exceptions=False)
    async with service.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://whatsapp") as client:
        yield client


@asynccontextmanager
async def idle_worker(environ: Mapping[str, str]) -> AsyncIterator[Worker]:
    """A worker that is connected and does nothing by itself."""
    application = worker_app.create(environ)
    async with application.state.runtime.connected():
        yield application.state.service


@asynccontextmanager
async def worker(environ: Mapping[str, str]) -> AsyncIterator[None]:
    """A worker at work."""
    async with worker_app.create(environ).lifespan():
        yield


def text(body: str = "Muraho", sender: str = NUMBER, wamid: str = "", at: int | None = None) -> dict[str, Any]:
    """A text message as Meta describes it, by default with an id of its own."""
    wamid = wamid or f"wamid.test{next(_numbers)}"
    return {
        "from": sender,
        "id": wamid,
        "timestamp": str(at or int(time.time())),
        "type": "text",
        "text": {"body": body},
    }


def status(wamid: str, word: str, at: int = 1_772_616_601, **fields: Any) -> dict[str, Any]:
    """A status of a message that we sent."""
    return {"id": wamid, "status": word, "timestamp": str(at), "recipient_id": NUMBER, **fields}


def change(*messages: Any, statuses: Any = (), field: str = "messages") -> dict[str, Any]:
    value = {"messaging_product": "whatsapp", "metadata": BUSINESS, "messages": messages, "statuses": list(statuses)}
    return {"field": field, "value": value}


def envelope(*messages: Any, statuses: Any = ()) -> dict[str, Any]:
    """A delivery with one entry and one change."""
    entry = {"id": "1", "changes": [change(*messages, statuses=statuses)]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


async def post(client: httpx.AsyncClient, body: bytes | dict[str, Any], secret: str = SECRET) -> httpx.Response:
    """Deliver a body, signed."""
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    headers = {"content-type": "application/json", signature.HEADER: signature.sign(secret, raw)}
    return await client.post("/webhook", content=raw, headers=headers)


async def deliver(client: httpx.AsyncClient, *messages: Any, statuses: Any = ()) -> dict[str, Any]:
    """Deliver messages and statuses; what the webhook answered."""
    response = await post(client, envelope(*messages, statuses=statuses))
    assert response.status_code == 200, response.text
    return dict(response.json())


async def until(true: Callable[[], Awaitable[object]], within_s: float = 60) -> None:
    """Ask again and again until the answer is true; TimeoutError if it is not within the time."""
    async with asyncio.timeout(within_s):
        while not await true():  # noqa: ASYNC110 - what is waited for happens elsewhere
            await asyncio.sleep(0.01)
