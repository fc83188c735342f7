"""What a connection asks, and what becomes of the answers."""

import time
from collections.abc import Callable
from typing import Any

from easymo.cache.errors import Refused
from easymo.cache.store import Found, Listener
from easymo.cache.wire import Command, Question


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


class End(Question):
    """A PTTL behind a GET: another client may have shortened the life of the key."""

    def __init__(self, name: str, listener: Listener) -> None:
        self._name = name
        self._listener = listener
        self._asked_at = time.monotonic()

    def made_of(self, reply: Any) -> None:
        if isinstance(reply, int) and reply >= 0:
            self._listener.ends(self._name, self._asked_at + reply / 1000)


class Write(Command):
    """A command whose refusal may say that the connection leads to the wrong server."""

    def __init__(
        self,
        parse: Callable[[Any], Any] | None,
        lost: Callable[[], None] | None,
        patient: bool,
        refused: Callable[[Refused], None],
    ) -> None:
        super().__init__(parse, lost, patient)
        self._refused = refused

    def fail(self, error: Exception) -> None:
        super().fail(error)
        if isinstance(error, Refused):
            self._refused(error)
