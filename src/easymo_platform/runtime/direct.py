"""The short way for a hot route: its function and its answer, without what the framework does around them."""

from typing import Any, cast

import msgspec
from litestar import Request
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from easymo_platform.runtime.errors import ServiceError

_encode = msgspec.json.Encoder().encode


def answer_directly(app: ASGIApp) -> ASGIApp:
    """Middleware of one route: calls its function with the request, and sends what it returns as JSON with status 200.

    Nothing else of the route is looked at but its place in the OpenAPI document. No guard runs, so the function itself
    must see to who calls; no parameter is read and no body limited (:func:`read_body` does). What it raises is answered
    as everywhere. Saves two thirds of what the framework adds to a request (benchmarks/ingest.py).
    """
    return _answer


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    scope = cast(HTTPScope, scope)
    body = _encode(await scope["route_handler"].fn(Request(scope, receive, send)))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def read_body(request: Request[Any, Any, Any], most_bytes: int) -> bytes:
    """The body's bytes as they came. Raises the 413 beyond ``most_bytes``, the 400 when the client leaves half-way."""
    announced = header(request, b"content-length")
    if announced.isdigit() and int(announced) > most_bytes:
        raise _too_large(most_bytes)
    body = b""
    more = True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ServiceError(400, "incomplete_body", "The client left before its body had come.")
        part, more = message["body"], message["more_body"]
        body = body + part if body else part
        if len(body) > most_bytes:
            raise _too_large(most_bytes)
    return body


def _too_large(most_bytes: int) -> ServiceError:
    return ServiceError(413, "payload_too_large", f"The request body is larger than {most_bytes} bytes.")


def header(request: Request[Any, Any, Any], name: bytes) -> str:
    """A header by its name in small letters; empty when it is absent. Does not parse the others."""
    return next((value.decode("latin-1") for given, value in request.scope["headers"] if given == name), "")
