"""One keep-alive connection: sends a request's bytes, reports the status of the answer."""

import asyncio
from collections.abc import Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

# What became of a request: the HTTP status of its answer, or one of these. 0: still under way.
TIMEOUT = -1
CONNECT_FAILED = -2
CONNECTION_LOST = -3
MALFORMED = -4
NO_CONNECTION = -5

_IDLE = -1


class Connection(asyncio.Protocol):
    """Carries one request at a time.

    `on_outcome(connection, request, outcome)` is called once for each `send` with a status or one of the constants
    above, unless the connection is closed by us first; `body_bytes` (as sent, without chunk sizes) and `location` then
    describe the answer. `on_closed()` is called once when the connection is gone.
    """

    def __init__(
        self, on_outcome: Callable[["Connection", int, int], None], on_closed: Callable[["Connection"], None]
    ) -> None:
        self.closed = False
        self.idle_since_ns = 0
        self.body_bytes = 0
        self.location = b""
        self._on_outcome = on_outcome
        self._on_closed = on_closed
        self._request = _IDLE
        self._head = False
        self._status = 0
        self._headers_complete = False
        self._sized = False
        self._keep_alive = True
        self._parser = HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port of the other side."""
        address = self._transport.get_extra_info("peername")
        return address[0], address[1]

    def send(self, request: int, payload: bytes) -> None:
        """Sends the bytes of the request number `request`. The connection must be open and idle."""
        self._request = request
        self._head = payload.startswith(b"HEAD ")
        self._headers_complete = self._sized = False
        self.body_bytes = 0
        self.location = b""
        self._transport.write(payload)

    def close(self) -> None:
        """Closes at once; nothing more is reported about a request under way."""
        self._request = _IDLE
        self.closed = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._request == _IDLE:
            self.close()  # bytes that no request asked for: the next answer could not be told from them
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._finish(MALFORMED, keep=False)
            return
        if self._status:
            self._finish(self._status, keep=self._keep_alive)

    def eof_received(self) -> None:
        self.closed = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._request != _IDLE:
            until_end = self._headers_complete and not self._sized and exc is None
            self._finish(self._parser.get_status_code() if until_end else CONNECTION_LOST, keep=False)
        self._on_closed(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) in (14, 17) and name.lower() in (b"content-length", b"transfer-encoding"):
            self._sized = True
        elif len(name) == 8 and name.lower() == b"location":
            self.location = value

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            return
        self._headers_complete = True
        if self._head:
            self.on_message_complete()

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self._status:
            self._status = status
            self._keep_alive = self._parser.should_keep_alive()

    def _finish(self, outcome: int, keep: bool) -> None:
        request, self._request, self._status = self._request, _IDLE, 0
        if self._head:
            self._parser = HttpResponseParser(self)  # the old one still waits for the body that a HEAD never gets
        if not keep and not self.closed:
            self.close()
        self._on_outcome(self, request, outcome)
