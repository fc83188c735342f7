"""HTTP connections whose clients have to keep up: uvicorn's own protocol waits for as long as a client likes."""

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_MAX_BYTES = 64 * 1024
"""Of a request's first line and headers, to within one read of the socket."""


class BoundedProtocol(HttpToolsProtocol):
    """Cuts a client that does not complete the head of a request, that goes on sending a body after the answer, or that
    does not take its answer. While a route is at work the limits of :mod:`easymo_platform.runtime.bounds` hold.
    """

    head_limit_s: ClassVar[float] = 10.0
    """From the connection, or from the first byte of a request, to the end of its headers."""
    stall_limit_s: ClassVar[float] = 30.0
    """How long a client may take nothing while an answer waits for it."""

    _owed: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _in_head = False
    _in_body = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_to_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        self._is_taking()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            self._begin_to_wait()
            if self._head_bytes > HEAD_MAX_BYTES:
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        self._in_head = self._in_body = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._wait_no_more()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()
        if self.cycle.response_complete:  # it was answered before: now it may ask for the next thing
            self._wait_no_more()
            self._begin_to_wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and self.cycle.response_complete:
            self._begin_to_wait()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stall_limit_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._is_taking()
        super().resume_writing()

    def _begin_to_wait(self) -> None:
        if self._owed is None:
            self._owed = self.loop.call_later(self.head_limit_s, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._owed is not None:
            self._owed.cancel()
            self._owed = None

    def _is_taking(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
