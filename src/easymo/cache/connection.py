"""The fast store: one RESP3 connection that tracks what it reads, kept alive and kept honest."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from easymo.cache.commands import POLL_S, Argument, Commands
from easymo.cache.counters import Events
from easymo.cache.errors import Refused, Unavailable
from easymo.cache.store import BATCH, Found, Held, Listener
from easymo.cache.wire import Question, Wire

PATIENCE: Final = 0.7
"""One question may take this part of what Redis may cost a call; the rest is for noticing it (0.035 of 0.05 s)."""
HANDSHAKE_TIMEOUT_S: Final = 1.0
RECONNECT_S: Final = (0.05, 0.1, 0.2, 0.4)
"""Pauses between attempts, the last one repeated: with the hand-shake, back within 2 s of recovery."""
HEARTBEAT_S: Final = 1.0
"""A half-open connection is noticed after this, so near copies outlive a lost network by about a second."""
WAITING_PART: Final = 0.2
"""The same, as a part, while a call waits for another process: it must not wait for a server that hangs."""

_log = logging.getLogger("easymo.cache")


class Address(msgspec.Struct, frozen=True):
    """Where one server listens and who we are to it."""

    host: str = "localhost"
    port: int = 6379
    path: str = ""
    username: str = ""
    password: str = ""
    database: int = 0

    def __repr__(self) -> str:
        """Without the password."""
        return f"<Address {self.path or f'{self.host}:{self.port}'} database {self.database}>"

    @classmethod
    def of(cls, url: str) -> "Address":
        """The address in a redis:// or unix:// URL. Raises ValueError with a sentence for anything else."""
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        try:
            if parts.scheme == "unix":
                database = int(query.get("db", ["0"])[0])
                return cls(path=unquote(parts.path), username=username, password=password, database=database)
            if parts.scheme == "redis":
                database = int(parts.path.strip("/") or query.get("db", ["0"])[0])
                return cls(parts.hostname or "localhost", parts.port or 6379, "", username, password, database)
        except ValueError:  # its text may be a piece of the password
            raise ValueError("The cache URL has no usable port or database number.") from None
        raise ValueError(f"The cache URL has scheme {parts.scheme!r}; a single server is redis:// or unix://.")


class Read(Question):
    """A GET on its way, which later callers of the same name join."""

    def __init__(self, name: str, reading: "dict[str, Read]", listener: Listener) -> None:
        self._name = name
        self._reading = reading
        self._listener = listener

    def made_of(self, reply: Any) -> Found:
        self.gone()
        return self._listener.arrived(self._name, reply)

    def gone(self) -> None:
        if self._reading.get(self._name) is self:
            del self._reading[self._name]


class Connection(Commands):
    """A `Store` over one multiplexed connection with CLIENT TRACKING.

    While it is down every call fails at once with Unavailable (so the connection itself is the circuit breaker) and
    a task reconnects. Deletions that got no answer are sent before anything else when it is back.
    """

    def __init__(self, url: str, listener: Listener, events: Events, timeout_s: float) -> None:
        super().__init__(listener)
        self._op_timeout_s = PATIENCE * timeout_s
        self._waiting_heartbeat_s = WAITING_PART * timeout_s
        self._address = Address.of(url)
        self._events = events
        self._wire: Wire | None = None
        self._lost = asyncio.Event()
        self._settled = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._reading: dict[str, Read] = {}
        self.epoch_minus_local_s = 0.0
        self._waiting = 0
        self._wake = asyncio.Event()
        self.tracks = False
        self.why_not_tracking = "not connected yet"
        self.last_error = ""

    @property
    def connected(self) -> bool:
        return self._wire is not None

    async def open(self) -> None:
        """Connect; returns after the first attempt, whether it succeeded or not."""
        self._keeper = asyncio.create_task(self._keep_connected(), name="easymo-cache-connection")
        await self._settled.wait()

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        wire, self._wire = self._wire, None
        if wire is not None:
            self._listener.lost()
            wire.give_up(Unavailable("the cache was closed"))

    def get(self, name: str) -> Awaitable[Found]:
        if name in self._reading and self._wire is not None:
            return self._wire.join(self._reading[name])
        return self._ask_get(name)

    def _ask_get(self, name: str) -> asyncio.Future[Found]:
        if self._wire is None:
            raise Unavailable(self.last_error)
        question = Read(name, self._reading, self._listener)
        future = self._wire.send(question, ("GET", name))
        self._reading[name] = question
        return future

    async def _then_get(self, asked: Awaitable[Any], name: str) -> Found:
        read = self._ask_get(name)
        await asked
        return await read

    def _send(
        self,
        *command: Argument,
        parse: Callable[[Any], Any] | None = None,
        lost: Callable[[], None] | None = None,
    ) -> Awaitable[Any]:
        if self._wire is None:
            raise Unavailable(self.last_error)
        return self._wire.ask(*command, parse=parse, lost=lost)

    async def delete(self, names: Iterable[str]) -> int:
        names = tuple(names)
        try:
            unlinked = self._send("UNLINK", *names, parse=self._changed(*names), lost=lambda: self.keep(names))
        except Unavailable:
            self.keep(names)
            raise
        return int(await unlinked)

    async def scan(self, pattern: str) -> AsyncIterator[list[str]]:
        cursor: bytes | str = "0"
        while cursor != b"0":
            cursor, names = await self._send("SCAN", cursor, "MATCH", pattern, "COUNT", BATCH)
            if names:
                yield [name.decode(errors="surrogateescape") for name in names]

    async def _keep_connected(self) -> None:
        attempt = 0
        while True:
            self._lost.clear()
            try:
                async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                    wire = await self._connect()
            except (OSError, TimeoutError, Unavailable) as error:
                self._events.connect_failures += 1
                self._say_away(str(error) or "no answer to the hand-shake")
                self._settled.set()
                pause = RECONNECT_S[min(attempt, len(RECONNECT_S) - 1)]
                attempt += 1
                await asyncio.sleep(pause * random.uniform(0.8, 1.0))
                continue
            attempt = 0
            self._events.connects += 1
            self._wire = wire
            self.last_error = ""
            self._settled.set()
            await self._watch(wire)

    async def _connect(self) -> Wire:
        loop = asyncio.get_running_loop()
        address = self._address

        def wire_for_this_attempt() -> Wire:
            return Wire(self._op_timeout_s, self._pushed, self._wire_lost)

        if address.path:
            _, wire = await loop.create_unix_connection(wire_for_this_attempt, address.path)
        else:
            _, wire = await loop.create_connection(wire_for_this_attempt, address.host, address.port)
        try:
            await self._greet(wire)
            await self._set_clock(wire, HANDSHAKE_TIMEOUT_S)
            await self._send_kept(wire)
        except BaseException:
            wire.give_up(Unavailable("the hand-shake failed"))
            raise
        return wire

    async def _greet(self, wire: Wire) -> None:
        address = self._address
        login = (address.username or "default", address.password) if address.password else ()
        try:
            await _ask_slowly(wire, "HELLO", 3, *(("AUTH", *login) if login else ()), "SETNAME", "easymo-cache")
        except Refused as error:
            if error.code != "NOPROTO" and "unknown command" not in str(error):
                raise
            if login:
                await _ask_slowly(wire, "AUTH", address.password)
            self.tracks, self.why_not_tracking = False, f"the server has no RESP3 ({error})"
        else:
            await self._start_tracking(wire)
        if address.database:
            await _ask_slowly(wire, "SELECT", address.database)

    async def _start_tracking(self, wire: Wire) -> None:
        try:
            await _ask_slowly(wire, "CLIENT", "TRACKING", "ON", "NOLOOP")
        except Refused as error:
            self.tracks, self.why_not_tracking = False, f"the server refuses client tracking ({error})"
        else:
            self.tracks, self.why_not_tracking = True, ""

    async def _set_clock(self, wire: Wire, timeout_s: float | None = None) -> None:
        # The clock is read after the question left, so it is no later than this makes it: copies end early, not late.
        sent_at = time.monotonic()
        seconds, microseconds = await wire.ask("TIME", timeout_s=timeout_s)
        self.epoch_minus_local_s = int(seconds) + int(microseconds) / 1e6 - sent_at

    async def _send_kept(self, wire: Wire) -> None:
        async def scan(pattern: str) -> AsyncIterator[list[str]]:
            cursor: bytes | str = "0"
            while cursor != b"0":
                cursor, found = await _ask_slowly(wire, "SCAN", cursor, "MATCH", pattern, "COUNT", BATCH)
                if found:
                    yield found

        if self.kept:
            await self.kept.send(lambda *names: _ask_slowly(wire, "UNLINK", *names), scan)

    async def _watch(self, wire: Wire) -> None:
        """Ask for the time now and then: it keeps the clocks together and finds out when nobody is there."""
        while not self._lost.is_set():
            self._wake.clear()
            try:
                async with asyncio.timeout(self._waiting_heartbeat_s if self._waiting else HEARTBEAT_S):
                    await self._wake.wait()
            except TimeoutError:
                try:
                    await self._set_clock(wire)
                    await self._send_kept(wire)
                except Unavailable as error:
                    self.last_error = str(error)
        self._wire = None

    async def wait_changed(self, held: Held, timeout_s: float) -> None:
        self._waiting += 1
        self._wake.set()
        try:
            if held.changed is not None and self.tracks:
                await asyncio.wait((held.changed,), timeout=timeout_s)
            else:
                await asyncio.sleep(POLL_S)
        finally:
            self._waiting -= 1

    def _pushed(self, push: list[Any]) -> None:
        if push[0] == b"invalidate":
            names = push[1]
            self._listener.changed(names and [name.decode(errors="surrogateescape") for name in names])

    def _wire_lost(self, wire: Wire, reason: str) -> None:
        self._lost.set()
        self._wake.set()
        if wire is self._wire:
            self._wire = None
            self._events.losses += 1
            self._say_away(reason)
            self._listener.lost()

    def _say_away(self, reason: str) -> None:
        if reason != self.last_error:
            _log.warning("Redis is away (%s); the cache goes on without it and keeps trying", reason)
        self.last_error = reason


async def _ask_slowly(wire: Wire, *command: Argument) -> Any:
    """A question of the connection's own, for which no caller waits."""
    return await wire.ask(*command, timeout_s=HANDSHAKE_TIMEOUT_S)
