"""The fast store: one connection that tracks what it reads, kept alive and kept honest."""

import asyncio
import inspect
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from easymo.cache.address import Address
from easymo.cache.commands import POLL_S, REPLACE, Commands
from easymo.cache.counters import Events
from easymo.cache.errors import LateAnswer, Refused, Unavailable
from easymo.cache.questions import End, Read, Write
from easymo.cache.store import BATCH, Found, Held, Listener
from easymo.cache.wire import Argument, Wire

PATIENCE: Final = 0.8
"""One question may take this part of what Redis may cost a call; the rest is for noticing it."""
ROUND_TRIPS: Final = 4
MAX_ADAPTED_S: Final = 0.9
"""Where the server is far, a question may take so many round trips, but never longer than this."""
CONNECT_S: Final = 3.0
"""A whole hand-shake. Within it every answer must come in `wire.DEAD_S`."""
RECONNECT_S: Final = (0.05, 0.1, 0.2, 0.4)
"""Pauses between attempts, the last one repeated: with the hand-shake, back within 2 s of recovery."""
HEARTBEAT_S: Final = 1.0
WAITING_PART: Final = 0.2
"""The same, as a part of the time-out, while a call waits for another process: it must notice a server that hangs."""
_AUTHENTICATION: Final = ("WRONGPASS", "NOAUTH")
_LOOK_ELSEWHERE: Final = ("READONLY", "MOVED")
_NOT_BARE: Final = ("SCAN", "INFO", "TIME", "EVALSHA")
_REPLACEABLE: Final = {"UNLINK": "DEL", "MGET": "GET"}
SAY_AGAIN_S: Final = 60.0

Credentials = Callable[[], Any]
"""Gives the password, or user name and password, for each new connection; may be async."""

_log = logging.getLogger("easymo.cache")


class Connection(Commands):
    """A `Store` over one multiplexed connection with CLIENT TRACKING.

    While it is down or stalled every call fails at once with Unavailable (so the connection itself is the circuit
    breaker), and a task reconnects. What the server refuses is done without and named in `without`.
    """

    def __init__(
        self, address: Address, listener: Listener, events: Events, timeout_s: float, credentials: Credentials | None
    ) -> None:
        super().__init__(listener)
        self._least_timeout_s = self.timeout_s = PATIENCE * timeout_s
        self._address = self._given_address = address
        self._credentials = credentials
        self._events = events
        self._wire: Wire | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._reading: dict[str, Read] = {}
        self._round_trips: deque[float] = deque(maxlen=10)
        self._bare = False
        self._said = ("", 0.0)
        self.epoch_minus_local_s = 0.0
        self._waiting = 0
        self.tracks = False
        self.why_not_tracking = "not connected yet"
        self.last_error = ""

    @property
    def connected(self) -> bool:
        return self._wire is not None and not self._wire.stalled

    async def open(self) -> None:
        """Connect; returns after the first attempt, whether it succeeded or not."""
        self._settled, self._wake, self._lost = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._reading.clear()
        self._waiting = 0
        self._keeper = asyncio.create_task(self._keep_connected(), name="easymo-cache-connection")
        await self._settled.wait()

    async def close(self) -> None:
        for task in (self._keeper, self._sender):
            if task is not None and not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def get(self, name: str) -> Awaitable[Found]:
        if name in self._reading and self._wire is not None:
            return self._wire.join(self._reading[name])
        return self._ask_get(name)

    def _ask_get(self, name: str) -> asyncio.Future[Found]:
        wire = self._wire
        if wire is None:
            raise Unavailable(self.last_error)
        question = Read(name, self._reading, self._listener)
        future = wire.send(question, ("GET", name))
        self._reading[name] = question
        if self.tracks and self._listener.keeps:
            wire.send(End(name, self._listener), ("PTTL", name))
        return future

    async def get_all(self, names: Sequence[str]) -> list[Found]:
        if self._bare or "MGET" in self.without:
            return await super().get_all(names)
        arrived = self._listener.arrived

        def parse(replies: list[Any]) -> list[Found]:
            return [arrived(name, reply) for name, reply in zip(names, replies, strict=True)]

        asked = self._send("MGET", *names, parse=parse)
        if self.tracks and self._listener.keeps and self._wire is not None:
            for name in names:
                self._wire.send(End(name, self._listener), ("PTTL", name))
        found: list[Found] = await asked
        return found

    async def _then_get(self, asked: Awaitable[Any], name: str) -> Found:
        read = self._ask_get(name)
        await asked
        return await read

    def _send(
        self,
        *command: Argument,
        parse: Callable[[Any], Any] | None = None,
        lost: Callable[[], None] | None = None,
        patient: bool = False,
    ) -> Awaitable[Any]:
        if self._wire is None:
            raise Unavailable(self.last_error)
        if self._bare and command[0] in _NOT_BARE:
            raise Refused(f"ERR unknown command {command[0]}, probably: the server closed the connection at HELLO")
        for part in command[1:] if self._reading else ():
            self._reading.pop(part, None)  # type: ignore[arg-type] # who asks behind a change must not join a read before it
        question = Write(parse, lost, patient, self._refused)
        # Its lease may end before thousands of others have been claimed. A change of the key still comes after it.
        question.urgent = command[0] == "EVAL" and command[1] is REPLACE.lua
        return self._wire.send(question, command)

    def put(self, name: str, raw: bytes, ttl_ms: int, *, bulk: bool = False) -> Awaitable[Any]:
        return self._send("SET", name, raw, "PX", ttl_ms, parse=self._changed(name), patient=bulk)

    def _unlink(self, names: Sequence[str]) -> Awaitable[int]:
        return self._send_unlink(names, lambda: self.keep(names), patient=len(names) == BATCH)

    def _send_unlink(
        self, names: Sequence[str], lost: Callable[[], None] | None = None, *, patient: bool = True
    ) -> Awaitable[int]:
        word = "DEL" if self._bare or "UNLINK" in self.without else "UNLINK"
        return self._send(word, *names, parse=self._changed(*names), lost=lost, patient=patient)

    def _refused(self, error: Refused) -> None:
        """An answer that says something about the server, not about the question."""
        if error.code in _LOOK_ELSEWHERE and self._wire is not None and self._old_enough():
            if error.code == "MOVED":
                self._follow(error)
            self._wire.give_up(Unavailable(str(error)))
        elif error.of_the_command:
            for word, instead in _REPLACEABLE.items():
                if word.lower() in str(error).lower():
                    self.without[word] = f"{instead} is used ({error})"

    def _old_enough(self) -> bool:
        """Not at once again: the address may lead to the same server for a while."""
        return time.monotonic() - self._connected_at > HEARTBEAT_S

    def _follow(self, error: Refused) -> None:
        host, _, port = str(error).rpartition(" ")[2].rpartition(":")
        if self._address is not self._given_address or not port.isdigit():
            self.without["cluster"] = "keys of other nodes; use redis+cluster:// for a cluster of several"
        else:
            self._address = msgspec.structs.replace(self._address, host=host or self._address.host, port=int(port))

    async def _keep_connected(self) -> None:
        attempt = 0
        try:
            while True:
                self._lost.clear()
                try:
                    async with asyncio.timeout(CONNECT_S):
                        wire = await self._connect()
                except (OSError, TimeoutError, Unavailable) as error:
                    self._events.connect_failures += 1
                    self._say_unavailable(str(error) or "no answer to the hand-shake")
                    self._settled.set()
                    self._address = self._given_address
                    pause = RECONNECT_S[min(attempt, len(RECONNECT_S) - 1)]
                    attempt += 1
                    await asyncio.sleep(pause * random.uniform(0.8, 1.0))
                    continue
                attempt = 0
                self._events.connects += 1
                self._connected_at = time.monotonic()
                self.last_error = ""
                self._wire = wire
                self._settled.set()
                await self._watch(wire)
        finally:  # closed, or the event loop ends: nobody would hear of changes any more
            ended, self._wire = self._wire, None
            self._listener.lost()
            self.last_error = "the cache was closed"
            if ended is not None:
                ended.give_up(Unavailable(self.last_error))

    async def _connect(self) -> Wire:
        try:
            return await self._hand_shake(hello=True)
        except (Refused, LateAnswer):
            raise
        except Unavailable as error:  # some proxies close the connection at a command they do not know
            wire = await self._hand_shake(hello=False)
            self._without_tracking(f"the server closes the connection at HELLO ({error})")
            return wire

    async def _hand_shake(self, *, hello: bool) -> Wire:
        loop, address = asyncio.get_running_loop(), self._address

        def wire_for_this_attempt() -> Wire:
            return Wire(self.timeout_s, self._pushed, self._stalled, self._wire_lost)

        if address.path:
            _, wire = await loop.create_unix_connection(wire_for_this_attempt, address.path)
        else:
            tls = {"ssl": address.tls, "server_hostname": address.server_name} if address.tls else {}
            _, wire = await loop.create_connection(wire_for_this_attempt, address.host, address.port, **tls)
        try:
            self.without.clear()
            self._bare = not hello
            await self._greet(wire, await self._login(), hello)
            # Together, since each round trip may be long.
            tracking = wire.ask("CLIENT", "TRACKING", "ON", "NOLOOP", patient=True) if self.tracks else None
            selecting = wire.ask("SELECT", address.database, patient=True) if address.database else None
            asked_at, time_ = time.monotonic(), self._ask_time(wire)
            if tracking is not None:
                await self._see_whether_it_tracks(tracking)
            if selecting is not None:
                await selecting
            await self._set_clock(wire, time_, asked_at)
        except BaseException:
            wire.give_up(Unavailable("the hand-shake failed"))
            raise
        return wire

    async def _login(self) -> tuple[str, ...]:
        address = self._address
        if self._credentials is None:
            given: Any = (address.username or "default", address.password)
            return given if address.username or address.password else ()
        try:
            given = self._credentials()
            given = await given if inspect.isawaitable(given) else given
            return (address.username or "default", given) if isinstance(given, str) else tuple(given)
        except Exception as error:
            raise Unavailable(f"the credentials could not be had: {error!r}") from error

    async def _greet(self, wire: Wire, login: tuple[str, ...], hello: bool) -> None:
        if hello:
            try:
                await wire.ask("HELLO", 3, *(("AUTH", *login) if login else ()), patient=True)
            except Refused as error:
                if error.code in _AUTHENTICATION:
                    raise
                self._without_tracking(f"the server has no RESP3 ({error})")
            else:
                self.tracks, self.why_not_tracking = True, ""
                with suppress(Unavailable):
                    wire.ask("CLIENT", "SETNAME", "easymo-cache", patient=True)
                return
        if login:
            await wire.ask("AUTH", *(login[1:] if login[0] == "default" else login), patient=True)

    async def _see_whether_it_tracks(self, tracking: Awaitable[Any]) -> None:
        try:
            await tracking
        except Refused as error:
            self._without_tracking(f"the server refuses client tracking ({error})")

    def _without_tracking(self, reason: str) -> None:
        self.tracks, self.why_not_tracking = False, reason
        self.without["near cache"] = reason

    def _ask_time(self, wire: Wire) -> Awaitable[Any]:
        """It keeps the clocks together, measures the round trip and finds out whether anybody is there."""
        return wire.ask(*(("GET", "easymo~here") if self._bare else ("TIME",)), patient=True)

    async def _set_clock(self, wire: Wire, asked: Awaitable[Any], asked_at: float) -> None:
        try:
            reply = await asked
        except Refused as error:
            if error.code in _AUTHENTICATION:
                raise
            reply = None
        if isinstance(reply, list):
            # The clock is read after the question left, so it is no later than this makes it: copies end early.
            self.epoch_minus_local_s = int(reply[0]) + int(reply[1]) / 1e6 - asked_at
        else:
            self.without["TIME"] = "the clocks of this host and of Redis must agree"
            self.epoch_minus_local_s = time.time() - time.monotonic()
        self._round_trips.append(time.monotonic() - asked_at)
        self.rtt_s = min(self._round_trips)  # the others waited for this process
        self.timeout_s = wire.timeout_s = max(self._least_timeout_s, min(ROUND_TRIPS * self.rtt_s, MAX_ADAPTED_S))

    async def _send_kept(self) -> None:
        with suppress(Unavailable):  # they stay kept
            await self.kept.send(lambda *names: self._send_unlink(names), self.scan)

    async def _watch(self, wire: Wire) -> None:
        """Ask for the time now and then; send the deletions that are kept."""
        beat = True
        while not self._lost.is_set():
            if beat and self.kept and not wire.stalled and (self._sender is None or self._sender.done()):
                self._sender = asyncio.create_task(self._send_kept(), name="easymo-cache-kept-deletions")
            beat = False
            self._wake.clear()
            try:
                async with asyncio.timeout(WAITING_PART * self.timeout_s if self._waiting else HEARTBEAT_S):
                    await self._wake.wait()
            except TimeoutError:
                beat = True
                try:
                    await self._set_clock(wire, self._ask_time(wire), time.monotonic())
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
            if push[1] is None:
                self._listener.lost()
            else:
                self._listener.changed([name.decode(errors="surrogateescape") for name in push[1]])

    def _stalled(self) -> None:
        self._listener.stalled()

    def _wire_lost(self, wire: Wire, reason: str) -> None:
        if wire is self._wire:
            self._lost.set()
            self._wake.set()
            self._wire = None
            self._events.losses += 1
            self._say_unavailable(reason)
            self._listener.lost()

    def _say_unavailable(self, reason: str) -> None:
        said, when = self._said
        if reason != said or time.monotonic() - when > SAY_AGAIN_S:
            _log.warning("Redis unavailable (%s); continuing without it and reconnecting", reason)
            self._said = reason, time.monotonic()
        self.last_error = reason
