"""A store in this process, for tests of programs that use the cache: ``CacheService("memory://")``."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from easymo.cache.commands import UntrackedCommands
from easymo.cache.errors import Refused
from easymo.cache.key import glob_matches
from easymo.cache.store import Listener
from easymo.cache.wire import Argument

MAX_BYTES: Final = 256 * 1024 * 1024
"""Beyond it what was written first goes first, as in a small Redis."""


class MemoryStore(UntrackedCommands):
    """The few commands that the cache uses, with the meaning they have in Redis (the conformance suite says so).

    Its clock is the time of day plus `shift_s`, by which a test lets time pass.
    """

    connected = True
    why_not_tracking = "memory:// is one process without a near cache"

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self._data: dict[str, tuple[bytes, float]] = {}
        self._bytes = 0
        self.shift_s = 0.0

    @property
    def epoch_minus_local_s(self) -> float:
        return super().epoch_minus_local_s + self.shift_s

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def _send(self, *command: Argument, parse: Callable[[Any], Any] | None = None) -> Any:
        name, *arguments = command
        handler = self._commands.get(name)
        if handler is None:  # EVAL too: what it would do is done as a read and a write, between which nothing comes
            raise Refused(f"ERR unknown command {name!r}")
        reply = handler(self, *arguments)
        return parse(reply) if parse is not None else reply

    async def scan(self, pattern: str) -> AsyncIterator[list[str]]:
        yield [name for name in tuple(self._data) if glob_matches(pattern, name) and self._get(name) is not None]

    def _get(self, name: str) -> bytes | None:
        raw, ends_at = self._data.get(name, (b"", 0.0))
        if ends_at > time.time() + self.shift_s:
            return raw
        self._drop(name)
        return None

    def _drop(self, name: str) -> None:
        raw, _ = self._data.pop(name, (None, 0.0))
        self._bytes -= len(raw) + len(name) if raw is not None else 0

    def _set(self, name: str, raw: bytes, *options: Any) -> bytes | None:
        there = self._get(name) is not None
        if ("NX" in options and there) or ("XX" in options and not there):
            return None
        self._drop(name)
        self._data[name] = raw, time.time() + self.shift_s + options[options.index("PX") + 1] / 1000
        self._bytes += len(raw) + len(name)
        while self._bytes > MAX_BYTES:
            self._drop(next(iter(self._data)))
        return b"OK"

    def _expire(self, name: str, milliseconds: int) -> int:
        raw = self._get(name)
        return 0 if raw is None else int(self._set(name, raw, "PX", milliseconds) is not None)

    def _delete(self, *names: str) -> int:
        there = [name for name in names if self._get(name) is not None]
        for name in there:
            self._drop(name)
        return len(there)

    def _info(self) -> bytes:
        return b"used_memory:%d" % self._bytes

    _commands: dict[Any, Callable[..., Any]] = {  # noqa: RUF012 (never changed)
        "GET": _get,
        "SET": _set,
        "PEXPIRE": _expire,
        "DEL": _delete,
        "UNLINK": _delete,
        "INFO": _info,
    }
