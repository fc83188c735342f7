"""The world outside of whatsapp-webhook, on real sockets: Meta's Cloud API and agent-core."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import uvicorn
from litestar import Litestar, Request, Response, post

from easymo_platform.agent_core import app as agent_core_app
from easymo_platform.whatsapp_webhook import signature
from tests.whatsapp_webhook.client import SECRET

Answer = Callable[[dict[str, Any]], Response[Any] | None]


@asynccontextmanager
async def served(app: Litestar) -> AsyncIterator[str]:
    """Serves ``app`` on a free port of this machine; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None, ws="none"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                assert not task.done(), "the server did not start"
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def agent_core(environ: Mapping[str, str], **more: str) -> AsyncIterator[str]:
    """The real agent-core on the same servers; its address."""
    async with served(agent_core_app.create({**environ, **more})) as url:
        yield url


class CloudApi:
    """Meta's side: takes messages as the Cloud API does, and reports on them until our webhook accepts the reports."""

    def __init__(self, webhook_url: str = "", reports: tuple[str, ...] = ("sent", "delivered", "read")) -> None:
        self.webhook_url = webhook_url
        self.sent: list[dict[str, Any]] = []
        self.url = ""
        self.marks: list[str] = []
        self.answer: Answer = lambda _: None
        self._reports = reports
        self._tasks: set[asyncio.Task[None]] = set()

    def texts(self, number: str) -> list[str]:
        """What was sent to a number, in order."""
        return [said(message) for message in self.sent if message.get("to") == number]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CloudApi"]:
        """Serves for the length of the block."""

        @post("/v1/{phone_number_id:str}/messages", status_code=200)
        async def send(request: Request[Any, Any, Any]) -> Any:
            message = msgspec.json.decode(await request.body())
            if message.get("status") == "read":
                self.marks.append(message["message_id"])
                return {"success": True}
            refusal = self.answer(message)
            if refusal is not None:
                return refusal
            self.sent.append(message)
            wamid = f"wamid.meta{len(self.sent)}"
            if self.webhook_url:
                task = asyncio.create_task(self._report(wamid, message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            return {"messages": [{"id": wamid}]}

        async with served(Litestar([send], logging_config=None)) as url, httpx.AsyncClient(timeout=5) as self._http:
            self.url = f"{url}/v1"
            try:
                yield self
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _report(self, wamid: str, message: dict[str, Any]) -> None:
        for word in self._reports:
            statuses = [
                {
                    "id": wamid,
                    "status": word,
                    "timestamp": str(int(time.time())),
                    "recipient_id": message["to"],
                    "biz_opaque_callback_data": message["biz_opaque_callback_data"],
                }
            ]
            value = {"messaging_product": "whatsapp", "metadata": {}, "statuses": statuses}
            entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
            body = msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})
            await self.deliver(body)

    async def deliver(self, body: bytes) -> dict[str, Any]:
        """Post a signed webhook again and again until it is accepted, as Meta does; the answer."""
        headers = {"content-type": "application/json", signature.HEADER: signature.sign(SECRET, body)}
        while True:
            with contextlib.suppress(httpx.TransportError):
                response = await self._http.post(f"{self.webhook_url}/webhook", content=body, headers=headers)
                if response.status_code == 200:
                    return dict(response.json())
            await asyncio.sleep(0.1)


def refusal(status: int, code: int) -> Response[Any]:
    """The Cloud API's error."""
    return Response({"error": {"code": code, "message": "no", "type": "OAuthException"}}, status_code=status)


def said(message: dict[str, Any]) -> str:
    """The words of a message that was sent: a text, or the body of a list."""
    content = message[message["type"]]
    return str(content["body"] if message["type"] == "text" else content["body"]["text"])
