"""What a scenario is made of: requests, and visitors who send several in order."""

import hashlib
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from easymo.load.reply import Reply

Check = Callable[[Reply], str | bool | None]


class ScenarioRandom(random.Random):
    """The random numbers of one schedule, or of one visitor, handed to every `build`.

    All draws depend on `seed` alone; only `token()` depends on `salt` too. So two arms with the same seed and different
    salts get the same load, and no idempotency key of the one meets the other's.

    `due_s` is the intended time of the request being built, in seconds from the start of the run. `memory` is empty at
    the start, but for what `setup` captured: what one request leaves there (the key of what it creates), a later one
    may use. A visitor has one of its own, which also gets what its steps capture.
    """

    due_s: float
    memory: dict[str, Any]

    def __init__(self, seed: int, salt: str, visit: int | None = None) -> None:
        super().__init__(f"{seed}/requests" if visit is None else f"{seed}/visits/{visit}")
        self.due_s = 0.0
        self.memory = {}
        self._token_prefix = (f"{seed}/{salt}/" if visit is None else f"{seed}/{salt}/{visit}/").encode()
        self._tokens = 0

    def token(self) -> str:
        """32 hexadecimal digits that no other run (seed and salt) and no other place of this schedule gets."""
        self._tokens += 1
        return hashlib.blake2b(self._token_prefix + b"%d" % self._tokens, digest_size=16).hexdigest()


class Call(msgspec.Struct, frozen=True):
    """One HTTP request, ready to be sent. `path` holds the query string, percent-encoded."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Request(msgspec.Struct, frozen=True):
    """One kind of request in the mix, or one step of a visitor (its weight then means nothing).

    `weight` is relative to the other requests of the scenario. `target` names one of the run's URLs when the system has
    several processes; empty means the only or default one. `expect` holds the statuses that are no error; empty means
    any 2xx or 3xx. A 5xx is always an error.

    `check` looks at an answer of an expected status and returns None or True when it is right, or what is wrong: a text
    or False. Such an answer is a `wrong_answer`, an error of its own, and in no latency. Several checks may be given.
    `capture` takes values of the answer into the memory of the visitor, by name (`easymo.load.json_value` and others);
    an answer without one is wrong. `follow` sends up to ten redirects on to where they lead, on the same targets; the
    latency is that of the whole way.
    """

    name: str
    weight: float
    build: Callable[[ScenarioRandom], Call]
    target: str = ""
    expect: Collection[int] = frozenset()
    check: Check | Sequence[Check] = ()
    capture: Mapping[str, Callable[[Reply], Any]] = {}
    follow: bool = False

    def expects(self, status: int) -> bool:
        """Whether an answer with this status is no error."""
        if status >= 500:
            return False
        return status in self.expect if self.expect else 200 <= status < 400

    def fault_of(self, reply: Reply, memory: dict[str, Any]) -> str | None:
        """What is wrong with an answer of an expected status, or None; captures go into `memory`."""
        for number, check in enumerate((self.check,) if callable(self.check) else self.check, start=1):
            try:
                verdict = check(reply)
            except Exception as error:  # noqa: BLE001 - the scenario's author wrote it
                verdict = f"check {number} raised {type(error).__name__}: {error}"
            if verdict is not None and verdict is not True:
                return verdict if isinstance(verdict, str) else f"check {number} failed"
        for name, take in self.capture.items():
            try:
                value = take(reply)
            except Exception as error:  # noqa: BLE001 - as above
                return f"capture of {name!r} raised {type(error).__name__}: {error}"
            if value is None:
                return f"nothing to capture as {name!r}: no {getattr(take, 'what', 'value')}"
            memory[name] = value
        return None


class Visitor(msgspec.Struct, frozen=True):
    """Somebody who sends several requests in order, with cookies and a memory of his own.

    Visitors arrive as requests do, whatever becomes of the earlier ones; `weight` is their part of the arrivals. A step
    is due `think_s` seconds (or at random between two numbers) after the answer to the one before, and its latency
    counts from then. After a step that failed, the visitor leaves.
    """

    name: str
    weight: float
    steps: Sequence[Request]
    think_s: float | tuple[float, float] = 0.0
