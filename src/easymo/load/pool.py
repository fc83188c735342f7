"""The open connections to one target: each request takes an idle one or opens one, none waits for another."""

import asyncio
import errno
import os
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

from easymo.load.connection import CONNECT_FAILED, Connection
from easymo.load.errors import TargetError
from easymo.load.schedule import Arrival
from easymo.load.target import Target

# Servers close idle connections after 2 s (gunicorn), 5 s (uvicorn, Node) or later. One closed while a request is on
# its way would be counted as the system's error, so we leave off earlier.
_REUSE_WITHIN_NS = 1_500_000_000
_OPENED_AT_ONCE = 32  # more would overflow the accept queue of a small server and wait 1 s for the SYN to be repeated


class ConnectionPool:
    """At most `limit` connections to `target`.

    `on_outcome(request, outcome, now_ns, connection)` is called once per `send`. The connection has the answer, if
    there is one: it is None when none could be opened.
    """

    def __init__(
        self, target: Target, limit: int, on_outcome: Callable[[Arrival, int, int, Connection | None], None]
    ) -> None:
        self._target = target
        self._address = (target.host, target.port)
        self._tls = target.context()
        self._limit = limit
        self._on_outcome = on_outcome
        self._idle: list[Connection] = []  # the last used is taken first, so that few are kept warm
        self._all: set[Connection] = set()
        self._connecting: dict[Arrival, asyncio.Task[None]] = {}

    async def warm(self, count: int, within_s: float) -> None:
        """Opens `count` connections beforehand, or as many as it gets; raises `TargetError` when it gets none.

        Without TLS one is enough, for there is no handshake to spare a request. More would do harm: gunicorn's threads
        and its sync workers wait up to 5 s for the request of each connection, and a page asked for on another one
        waits with them.
        """
        try:
            async with asyncio.timeout(within_s):
                first = await self._connect_ahead()
        except TimeoutError as error:
            raise TargetError(self._unreachable(f"no connection within {within_s:g} s")) from error
        except OSError as error:
            raise TargetError(self._unreachable(_reason(error))) from error
        self._address = first.peer  # resolve the name once
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for begin in range(1, count if self._tls else 1, _OPENED_AT_ONCE):
                    more = (self._connect_ahead() for _ in range(min(_OPENED_AT_ONCE, count - begin)))
                    await asyncio.gather(*more, return_exceptions=True)

    def send(self, request: Arrival, keep: bool, now_ns: int) -> bool:
        """Sends the request on an idle connection or a new one; False when the limit is reached and none is idle."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.closed:
                continue
            if now_ns - connection.idle_since_ns > _REUSE_WITHIN_NS:
                connection.close()
                continue
            request.carrier = connection
            connection.send(request, keep)
            return True
        if len(self._all) + len(self._connecting) >= self._limit:
            return False
        request.carrier = None
        task = asyncio.get_running_loop().create_task(self._connect_and_send(request, keep))
        self._connecting[request] = task
        return True

    def abandon(self, request: Arrival) -> None:
        """Gives up a request under way and closes its connection: a late answer must not meet the next request."""
        if request.carrier is not None:
            request.carrier.close()
        else:
            self._connecting.pop(request).cancel()

    def close(self) -> None:
        """Closes every connection at once; requests under way are not reported."""
        for task in self._connecting.values():
            task.cancel()
        self._connecting.clear()
        for connection in list(self._all):
            connection.close()

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(self._finished, self._all.discard),
            *self._address,
            ssl=self._tls,
            server_hostname=self._target.name if self._tls else None,
        )
        if connection.closed:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        self._all.add(connection)
        return connection

    async def _connect_ahead(self) -> Connection:
        connection = await self._connect()
        connection.idle_since_ns = time.monotonic_ns()
        self._idle.append(connection)
        return connection

    async def _connect_and_send(self, request: Arrival, keep: bool) -> None:
        try:
            connection = await self._connect()
        except OSError:
            del self._connecting[request]
            self._on_outcome(request, CONNECT_FAILED, time.monotonic_ns(), None)
            return
        del self._connecting[request]
        request.carrier = connection
        connection.send(request, keep)

    def _finished(self, connection: Connection, request: Arrival, outcome: int) -> None:
        now_ns = time.monotonic_ns()
        if not connection.closed:
            connection.idle_since_ns = now_ns
            self._idle.append(connection)
        self._on_outcome(request, outcome, now_ns, connection)

    def _unreachable(self, reason: str) -> str:
        return (
            f"Nothing answers at {self._target.url} ({reason}), so no load was sent: "
            "start the system, or correct the URL."
        )


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}; SSL_CERT_FILE may name another authority"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
