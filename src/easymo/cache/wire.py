"""One connection to Redis: many callers, one socket, answers in the order of the questions.

How time is counted:

1. A question waits unsent while `WINDOW` others have no answer or the socket takes nothing. That time does not count.
2. From sending on, the answer may take `timeout_s`. Every byte that arrives, and every byte that the socket takes from
   us, begins that time anew for all open questions: a large value is slow, not late.
3. When nothing moves for `timeout_s` the connection is *stalled*: the open calls fail with LateAnswer, new ones fail
   at once, and the connection stays. The next byte ends the stall, and answers that come late are still taken in.
4. When nothing moves for `DEAD_S` the connection is given up.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import hiredis

from easymo.cache.errors import LateAnswer, Refused, Unavailable

Parse = Callable[[Any], Any]
Argument = str | bytes | int

WINDOW: Final = 1024
"""So many questions may be open at once."""
WRITE_BYTES: Final = 256 * 1024
DEAD_S: Final = 1.0
SLOWEST_BYTES_PER_S: Final = 10_000_000
"""A command gets this much more time for its size: what the kernel and a network take from us is not seen to move."""
_INCOMPLETE: Final = object()
_GRACE_S: Final = 0.003
"""After a stall of the event loop the time-out may come due before the answer that has long arrived was read."""


class Question:
    """One command on its way, and everybody who waits for its answer."""

    future: asyncio.Future[Any]
    sent_at: float = 0.0
    size: int = 0
    patient: bool = False
    urgent: bool = False
    joined: list[asyncio.Future[Any]] | None = None

    def made_of(self, reply: Any) -> Any:
        """What the callers get for a good reply."""
        return reply

    def gone(self) -> None:
        """No good answer will come, or not in time."""

    def answer(self, reply: Any) -> None:
        if reply.__class__ is hiredis.ReplyError:
            self.fail(Refused(str(reply)))
            return
        try:
            result = self.made_of(reply)
        except Exception as error:  # noqa: BLE001 (whatever it is belongs to the callers that wait for it)
            self.fail(error)
            return
        if not self.future.done():
            self.future.set_result(result)
        for future in self.joined or ():
            if not future.done():
                future.set_result(result)

    def fail(self, error: Exception) -> None:
        self.gone()
        for future in (self.future, *(self.joined or ())):
            if not future.done():
                future.set_exception(error)
                future.exception()  # marks it as seen: a caller that has gone is no reason for a log entry


class Command(Question):
    """A question whose sender says by functions what becomes of it."""

    def __init__(self, parse: Parse | None, lost: Callable[[], None] | None, patient: bool) -> None:
        self._parse = parse
        self._lost = lost
        self.patient = patient

    def made_of(self, reply: Any) -> Any:
        return self._parse(reply) if self._parse is not None else reply

    def gone(self) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            lost()


class Wire(asyncio.Protocol):
    """Frames commands and replies. A caller that goes away never shifts the answers of the others.

    A command that is alone leaves at once; while others are on their way, those of one tick leave in one write.
    `parse` runs on the reply in the order of the stream, before anything that Redis sent later is looked at; so does
    `on_push`. `on_stall` is called when a stall begins. `on_lost` is called once, when the connection has ended.
    """

    def __init__(
        self,
        timeout_s: float,
        on_push: Callable[[list[Any]], None],
        on_stall: Callable[[], None],
        on_lost: Callable[["Wire", str], None],
    ) -> None:
        self.timeout_s = timeout_s
        self.stalled = False
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._on_push = on_push
        self._on_stall = on_stall
        self._on_lost = on_lost
        self._open: deque[Question] = deque()
        self._unsent: deque[tuple[Question, bytes]] = deque()
        self._flushing = False
        self._paused = False
        self._moved_at = 0.0
        self._buffered = 0
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._lost_because = "the server closed the connection"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(
        self,
        *command: Argument,
        parse: Parse | None = None,
        lost: Callable[[], None] | None = None,
        patient: bool = False,
    ) -> asyncio.Future[Any]:
        """Send a command. Raises Unavailable when the connection is gone or stalled.

        `parse` turns the reply into what the caller gets; `lost` is called instead if no good answer comes in time.
        `patient`: it may be asked in a stall and survives one, because nobody's request waits for it.
        """
        return self.send(Command(parse, lost, patient), command)

    def send(self, question: Question, command: tuple[Argument, ...]) -> asyncio.Future[Any]:
        """Send the command of `question`; its first caller waits for the future. Raises Unavailable."""
        if self._transport is None or self._transport.is_closing():
            raise Unavailable(self._lost_because)
        if self.stalled and not question.patient:
            raise Unavailable("the server does not answer")
        future = question.future = self._loop.create_future()
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]
        question.size = len(packed)
        if self._open or self._unsent:
            if question.urgent:
                self._unsent.appendleft((question, packed))
            else:
                self._unsent.append((question, packed))
            if not self._flushing:
                self._flushing = True
                self._loop.call_soon(self._flush)
        else:  # one caller alone must not wait for a tick in which nobody joins it
            question.sent_at = self._loop.time()
            self._open.append(question)
            self._transport.write(packed)
            if self._timer is None:
                self._timer = self._loop.call_at(question.sent_at + self.timeout_s, self._due)
        return future

    def join(self, question: Question) -> asyncio.Future[Any]:
        """One more caller for a question that is still on its way."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if question.joined is None:
            question.joined = []
        question.joined.append(future)
        return future

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is None or self._paused or not self._unsent:
            return
        now, room, size = self._loop.time(), WINDOW - len(self._open), 0
        chunks: list[bytes] = []
        while self._unsent and room > 0 and size < WRITE_BYTES:
            question, packed = self._unsent.popleft()
            question.sent_at = now
            self._open.append(question)
            chunks.append(packed)
            room -= 1
            size += len(packed)
        if chunks:
            self._transport.writelines(chunks)
            if self._timer is None:
                self._timer = self._loop.call_at(now + self.timeout_s, self._due)
            if size >= WRITE_BYTES and self._unsent and not self._flushing:
                self._flushing = True
                self._loop.call_soon(self._flush)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._moved_at = self._loop.time()
        self.stalled = False
        self._reader.feed(data)
        next_reply, questions = self._reader.gets, self._open
        try:
            while (reply := next_reply()) is not _INCOMPLETE:
                if reply.__class__ is hiredis.PushNotification:
                    self._on_push(reply)
                elif questions:
                    questions.popleft().answer(reply)
        except hiredis.ProtocolError as error:
            self.give_up(Unavailable(f"the server sent something that is not RESP ({error})"))
        if self._unsent and not self._flushing:
            self._flush()

    def _due(self) -> None:
        self._timer = self._loop.call_later(_GRACE_S, self._judge)

    def _judge(self) -> None:
        self._timer = None
        if not self._open or self._transport is None:
            return
        now, buffered = self._loop.time(), self._transport.get_write_buffer_size()
        if buffered < self._buffered:
            self._moved_at = now
        self._buffered = buffered
        since = max(self._open[0].sent_at, self._moved_at) + self._open[0].size / SLOWEST_BYTES_PER_S
        if now - since >= max(DEAD_S, 2 * self.timeout_s):
            self.give_up(LateAnswer("the server did not answer in time"))
            return
        if now - since >= self.timeout_s and not self.stalled:
            self._stall()
        wait_s = max(DEAD_S, 2 * self.timeout_s) if self.stalled else self.timeout_s
        self._timer = self._loop.call_at(max(since + wait_s, now), self._due)

    def _stall(self) -> None:
        self.stalled = True
        self._on_stall()
        error = LateAnswer("the server did not answer in time")
        for question in tuple(self._open):
            if not question.patient:
                question.fail(error)
        unsent, self._unsent = self._unsent, deque(item for item in self._unsent if item[0].patient)
        for question, _ in unsent:
            if not question.patient:
                question.fail(error)

    def give_up(self, error: Unavailable) -> None:
        """Close at once; every open question fails with `error`."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
        self._lose(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(Unavailable(str(exc) if exc else self._lost_because))

    def _lose(self, error: Unavailable) -> None:
        if self._transport is None:
            return
        self._transport = None
        self._lost_because = str(error)
        if self._timer is not None:
            self._timer.cancel()
        # First the listener (it drops the near cache), then the callers: none may see what is no longer coherent.
        self._on_lost(self, str(error))
        for question in (*self._open, *(question for question, _ in self._unsent)):
            question.fail(error)
        self._open.clear()
        self._unsent.clear()
