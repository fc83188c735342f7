"""ASGI middleware around a whole service: request and correlation id, metrics, a log line for what went wrong."""

import asyncio
import os
import re
from time import perf_counter
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from easymo_platform.runtime.limits import HEADERS
from easymo_platform.runtime.logs import identify
from easymo_platform.runtime.metrics import Metrics

SLOW_REQUEST_S = 1.0

_log = structlog.get_logger(__name__)
_ACCEPTABLE_ID = re.compile(rb"[\w.:-]{1,128}")


class Observed:
    """Measures every request of ``app``, also those that no route matches.

    Stands outside of the framework's own middleware, so a request costs one wrapped ``send`` and two counters. While
    ``draining`` is set, every answer closes its connection.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, draining: asyncio.Event) -> None:
        self._app = app
        self._metrics = metrics
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request, correlation = _ids(scope["headers"])
        identify(request.decode(), correlation.decode())
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                closing = [(b"connection", b"close")] if self._draining.is_set() else []
                ids = [(b"x-request-id", request), (b"x-correlation-id", correlation)]
                message["headers"] = [*message["headers"], *ids, *_rate_limit(scope), *closing]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            seconds = perf_counter() - started
            route = scope.get("path_template") or "unmatched"
            self._metrics.request(scope["method"], route, status, seconds)
            if seconds > SLOW_REQUEST_S:
                _log.warning(
                    "slow_request", method=scope["method"], route=route, status=status, seconds=round(seconds, 3)
                )


def _rate_limit(scope: Any) -> list[tuple[bytes, bytes]]:
    headers: dict[str, str] = scope.get(HEADERS, {})
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _ids(headers: Any) -> tuple[bytes, bytes]:
    """The request's id and the correlation id: those given, if they are fit to be logged and repeated, or a new one."""
    request = correlation = b""
    for name, value in headers:
        if name == b"x-request-id" and _ACCEPTABLE_ID.fullmatch(value):
            request = bytes(value)
        elif name == b"x-correlation-id" and _ACCEPTABLE_ID.fullmatch(value):
            correlation = bytes(value)
    request = request or os.urandom(8).hex().encode()
    return request, correlation or request
