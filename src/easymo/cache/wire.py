"""One connection to Redis: many callers, one socket, answers in the order of the questions (RESP3)."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import hiredis

from easymo.cache.errors import LateAnswer, Refused, Unavailable

Parse = Callable[[Any], Any]

_INCOMPLETE: Final = object()
NEVER: Final = float("inf")
_GRACE_S: Final = 0.003
"""After a stall of the event loop the time-out may come due before the answer that has long arrived was read."""


class Question:
    """One command on its way, and everybody who waits for its answer."""

    future: asyncio.Future[Any]
    deadline: float
    joined: tuple[asyncio.Future[Any], ...] = ()

    def made_of(self, reply: Any) -> Any:
        """What the callers get for a good reply."""
        return reply

    def gone(self) -> None:
        """No good answer will come."""

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
        for future in self.joined:
            if not future.done():
                future.set_result(result)

    def fail(self, error: Exception) -> None:
        self.gone()
        for future in (self.future, *self.joined):
            if not future.done():
                future.set_exception(error)
                future.exception()  # marks it as seen: a caller that has gone is no reason for a log entry


class Command(Question):
    """A question whose sender says by functions what becomes of it."""

    def __init__(self, parse: Parse | None, lost: Callable[[], None] | None) -> None:
        self._parse = parse
        self._lost = lost

    def made_of(self, reply: Any) -> Any:
        return self._parse(reply) if self._parse is not None else reply

    def gone(self) -> None:
        if self._lost is not None:
            self._lost()


class Wire(asyncio.Protocol):
    """Frames commands and replies. A caller that goes away never shifts the answers of the others.

    A command that is alone leaves at once; while others are on their way, those of one tick leave in one write.
    `parse` runs on the reply in the order of the stream, before anything that Redis sent later is looked at; so does
    `on_push`. When the oldest question is older than `timeout_s` the connection is given up: every question fails with
    Unavailable, and `on_lost` is called once.
    """

    def __init__(
        self,
        timeout_s: float,
        on_push: Callable[[list[Any]], None],
        on_lost: Callable[["Wire", str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._timeout_s = timeout_s
        self._on_push = on_push
        self._on_lost = on_lost
        self._questions: deque[Question] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._in_grace = False
        self._lost_because = "the server closed the connection"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(
        self,
        *command: str | bytes | int,
        parse: Parse | None = None,
        lost: Callable[[], None] | None = None,
        timeout_s: float | None = None,
    ) -> asyncio.Future[Any]:
        """Send a command. Raises Unavailable when the connection is gone.

        `parse` turns the reply into what the caller gets; `lost` is called instead if no good answer comes.
        """
        return self.send(Command(parse, lost), command, timeout_s)

    def send(
        self, question: Question, command: tuple[str | bytes | int, ...], timeout_s: float | None = None
    ) -> asyncio.Future[Any]:
        """Send the command of `question`; its first caller waits for the future. Raises Unavailable."""
        if self._transport is None or self._transport.is_closing():
            raise Unavailable(self._lost_because)
        future = question.future = self._loop.create_future()
        deadline = self._loop.time() + (self._timeout_s if timeout_s is None else timeout_s)
        question.deadline = deadline
        packed = hiredis.pack_command(command)  # type: ignore[arg-type]
        if self._unsent:
            self._unsent.append(packed)
        elif self._questions:
            self._unsent.append(packed)
            self._loop.call_soon(self._flush)
        else:  # one caller alone must not wait for a tick in which nobody joins it
            self._transport.write(packed)
        self._questions.append(question)
        if deadline < self._timer_at:
            self._set_timer(deadline)
        return future

    def join(self, question: Question) -> asyncio.Future[Any]:
        """One more caller for a question that is still on its way."""
        future: asyncio.Future[Any] = self._loop.create_future()
        question.joined += (future,)
        return future

    def _flush(self) -> None:
        if self._transport is not None and self._unsent:
            self._transport.writelines(self._unsent)
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        self._in_grace = False
        self._reader.feed(data)
        next_reply, questions = self._reader.gets, self._questions
        try:
            while (reply := next_reply()) is not _INCOMPLETE:
                if reply.__class__ is hiredis.PushNotification:
                    self._on_push(reply)
                elif questions:
                    questions.popleft().answer(reply)
        except hiredis.ProtocolError as error:
            self.give_up(Unavailable(f"the server sent something that is not RESP ({error})"))

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._check_deadline)

    def _check_deadline(self) -> None:
        self._timer, self._timer_at = None, NEVER
        if not self._questions:
            return
        now, deadline = self._loop.time(), self._questions[0].deadline
        if now < deadline:
            self._set_timer(deadline)
        elif not self._in_grace:
            self._in_grace = True
            self._set_timer(now + _GRACE_S)
        else:
            self.give_up(LateAnswer("the server did not answer in time"))

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
        while self._questions:
            self._questions.popleft().fail(error)
