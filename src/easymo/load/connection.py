"""One keep-alive connection: sends a request's bytes, reports the status of the answer."""

import asyncio
import time
from collections.abc import Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from easymo.load.schedule import Arrival

# What became of a request: the HTTP status of its answer, or one of these.
TIMEOUT = -1
CONNECT_FAILED = -2
CONNECTION_LOST = -3
MALFORMED = -4
NO_CONNECTION = -5
TOO_LONG = -6

_LONGEST_KEPT = 1 << 24
_LENGTHS = frozenset(map(len, ("location", "content-type", "content-length", "transfer-encoding")))


class Connection(asyncio.Protocol):
    """Carries one request at a time.

    `on_outcome(connection, request, outcome)` is called once for each `send` with a status or one of the constants
    above, unless the connection is closed by us first. What is known of the answer then stands in `body_bytes` (as
    sent, without chunk sizes), `location`, and `first_ns`, when its first byte came, if not with the last one, and of
    one to be kept also in `headers` and `body`. Server-sent events count as answered by the
    first one. `on_closed()` is called once when the connection is gone.
    """

    def __init__(
        self, on_outcome: Callable[["Connection", Arrival, int], None], on_closed: Callable[["Connection"], None]
    ) -> None:
        self.closed = False
        self.idle_since_ns = 0
        self._on_outcome = on_outcome
        self._on_closed = on_closed
        self._request: Arrival | None = None
        self._head = False
        self._parser = HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self._status = self.body_bytes = self.first_ns = 0
        self._headers_complete = self._sized = self._events = False
        self.location = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port of the other side."""
        address = self._transport.get_extra_info("peername")
        return address[0], address[1]

    def send(self, request: Arrival, keep: bool) -> None:
        """Sends the request. The connection must be open and idle. `keep`: `headers` and `body` will be read."""
        self._request = request
        self._head = request.payload.startswith(b"HEAD ")
        self.keeps = keep
        self._reset()
        if keep:
            self.headers: list[tuple[bytes, bytes]] = []
            self.body = bytearray()
        self._transport.write(request.payload)

    def close(self) -> None:
        """Closes at once; nothing more is reported about a request under way."""
        self._request = None
        if not self.closed:
            self.closed = True
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._request is None:
            self.close()  # bytes that no request asked for: the next answer could not be told from them
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._finish(MALFORMED, keep=False)
            return
        if self._status:
            self._finish(self._status, keep=self._keep_alive)
        elif not self.first_ns:
            self.first_ns = time.monotonic_ns()

    def eof_received(self) -> None:
        self.closed = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._request is not None:
            until_end = self._headers_complete and not self._sized and exc is None
            self._finish(self._parser.get_status_code() if until_end else CONNECTION_LOST, keep=False)
        self._on_closed(self)
        del self._parser, self._transport  # both lead back here, and the garbage collector rests during a run

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) in _LENGTHS:
            if name.lower() in (b"content-length", b"transfer-encoding"):
                self._sized = True
            elif name.lower() == b"location":
                self.location = value
            elif value.startswith(b"text/event-stream"):
                self._events = True
        if self.keeps:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            return
        self._headers_complete = True
        if self._head:
            self.on_message_complete()

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        if self.keeps:
            self.body += body
            if len(self.body) > _LONGEST_KEPT:
                self._status, self._keep_alive = TOO_LONG, False
        if self._events and not self._status:
            self._status, self._keep_alive = self._parser.get_status_code(), False

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self._status:
            self._status = status
            self._keep_alive = self._parser.should_keep_alive()

    def _finish(self, outcome: int, keep: bool) -> None:
        request = cast(Arrival, self._request)
        self._request, self._status = None, 0
        if self._head:
            self._parser = HttpResponseParser(self)  # the old one still waits for the body that a HEAD never gets
        if not keep and not self.closed:
            self.close()
        self._on_outcome(self, request, outcome)
