"""How much and how long: a limit of bytes and of seconds on every request, whatever its route does."""

import asyncio
from typing import Any

import msgspec
from litestar.enums import ScopeType
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import ASGIApp, HTTPResponseBodyEvent, HTTPResponseStartEvent, Message, Receive, Scope, Send

from easymo_platform.runtime.auth import Connection
from easymo_platform.runtime.errors import ErrorBody

REQUEST_MAX_BYTES = 1_000_000
"""Of a request's body, on a route that names no ``request_max_body_size`` of its own."""

_NOTHING_CAME = ErrorBody("request_timeout", "The request's body did not come in time.")
_NOTHING_DONE = ErrorBody("time_limit_exceeded", "The service could not answer in time; try again in a few seconds.")


async def refuse_oversized(connection: Connection, handler: BaseRouteHandler) -> None:
    """Litestar guard of every route: the 413 for a body that is announced too large, before anything of it is read.

    A body that announces nothing (chunked) is counted by Litestar while the route reads it.
    """
    announced = connection.headers.get("content-length", "")
    if announced.isdigit() and isinstance(handler, HTTPRouteHandler):
        most = handler.resolve_request_max_body_size()
        if most is not None and int(announced) > most:
            raise RequestEntityTooLarge


class Bounded:
    """ASGI middleware: a request gets ``limit_s`` from its head to the beginning of its answer.

    Then its route is cancelled and the client gets 503, or 408 when it was the client who kept us waiting for the body.
    An answer in pieces gets as long for each of them; what stops in between is cut off.
    """

    def __init__(self, app: ASGIApp, limit_s: float) -> None:
        self._app = app
        self._limit_s = limit_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = waiting = False

        async def receive_in_time() -> Any:
            nonlocal waiting
            waiting = True
            message = await receive()
            waiting = False
            return message

        async def send_in_time(message: Message) -> None:
            nonlocal started
            started = True
            if message.get("more_body"):
                limit.reschedule(asyncio.get_running_loop().time() + self._limit_s)
            await send(message)

        try:
            async with asyncio.timeout(self._limit_s) as limit:
                await self._app(scope, receive_in_time, send_in_time)
        except TimeoutError:
            if started or not limit.expired():
                raise
            await (_answer(send, 408, _NOTHING_CAME) if waiting else _answer(send, 503, _NOTHING_DONE))


async def _answer(send: Send, status: int, body: ErrorBody) -> None:
    """Without Litestar, which was cancelled. The connection is closed: the rest of a body may still be under way."""
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    if status == 503:
        headers.append((b"retry-after", b"2"))
    start: HTTPResponseStartEvent = {"type": "http.response.start", "status": status, "headers": headers}
    end: HTTPResponseBodyEvent = {"type": "http.response.body", "body": msgspec.json.encode(body), "more_body": False}
    await send(start)
    await send(end)
