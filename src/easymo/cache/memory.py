"""A store in this process, for tests of programs that use the cache: ``CacheService("memory://")``."""

import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from easymo.cache.commands import CLAIM, RELEASE, RENEW, REPLACE, Argument, UntrackedCommands
from easymo.cache.key import glob_regex


class MemoryStore(UntrackedCommands):
    """The few commands that the cache uses, with the meaning they have in Redis (the conformance suite says so)."""

    connected = True
    why_not_tracking = "memory:// is one process without a near cache"

    def __init__(self, listener: Any) -> None:
        super().__init__(listener)
        self._data: dict[str, tuple[bytes, int]] = {}

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def _send(self, *command: Argument, parse: Callable[[Any], Any] | None = None) -> Any:
        name, *arguments = command
        reply = self._commands[name](self, *arguments)
        return parse(reply) if parse is not None else reply

    async def scan(self, pattern: str) -> AsyncIterator[list[str]]:
        matches = re.compile(glob_regex(pattern), re.DOTALL).fullmatch
        yield [name for name in tuple(self._data) if matches(name) and self._get(name) is not None]

    def _get(self, name: str) -> bytes | None:
        raw, expires_at_ms = self._data.get(name, (b"", 0))
        if expires_at_ms > time.time() * 1000:
            return raw
        self._data.pop(name, None)
        return None

    def _set(self, name: str, raw: bytes, *options: Any) -> bytes | None:
        if "NX" in options and self._get(name) is not None:
            return None
        kind, milliseconds = options[-2:]
        self._data[name] = raw, milliseconds + (int(time.time() * 1000) if kind == "PX" else 0)
        return b"OK"

    def _unlink(self, name: str) -> int:
        found = self._get(name) is not None
        self._data.pop(name, None)
        return int(found)

    def _eval(self, script: str, _: int, name: str, expected: bytes, *arguments: Any) -> int:
        held = self._get(name)
        if held is None or not held.startswith(expected):
            return 0
        if script == RELEASE:
            return self._unlink(name)
        if script == RENEW:
            self._set(name, held, "PX", *arguments)
        else:
            self._set(name, arguments[0], {CLAIM: "PX", REPLACE: "PXAT"}[script], arguments[1])
        return 1

    def _info(self) -> bytes:
        return b"keys:%d" % len(self._data)

    _commands: dict[Any, Callable[..., Any]] = {  # noqa: RUF012 (never changed)
        "GET": _get,
        "SET": _set,
        "UNLINK": _unlink,
        "EVAL": _eval,
        "INFO": _info,
    }
