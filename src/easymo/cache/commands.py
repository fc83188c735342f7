"""The Redis commands of the cache, for any client that can send one."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from easymo.cache.store import Found, Held, KeptDeletions, Listener

# Each script touches one key, so that it runs on a cluster as well.
CLAIM: Final = """
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #ARGV[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 0
"""
REPLACE: Final = """
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
return 1
"""
RENEW: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
RELEASE: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
_FIGURES: Final = (
    "redis_version",
    "valkey_version",
    "used_memory",
    "maxmemory",
    "maxmemory_policy",
    "evicted_keys",
    "expired_keys",
    "keyspace_hits",
    "keyspace_misses",
    "connected_clients",
    "tracking_clients",
    "tracking_total_keys",
    "total_commands_processed",
    "instantaneous_ops_per_sec",
    "uptime_in_seconds",
)

POLL_S: Final = 0.025
"""How often a call looks again for another process's value where no push tells it."""

Argument = str | bytes | int


class Commands:
    """The part of `Store` that is the same for every way of sending a command."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.kept = KeptDeletions(listener.everything)

    def keep(self, names: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        names = tuple(names)
        self.kept.keep(names, patterns)
        # An answer that was under way may have been kept in the process meanwhile.
        self._listener.changed(None if patterns else names)

    @abstractmethod
    def _send(self, *command: Argument, parse: Callable[[Any], Any] | None = None) -> Awaitable[Any]:
        """Send one command whose first key, if any, decides where it goes; raises Unavailable."""

    @abstractmethod
    def get(self, name: str) -> Awaitable[Found]: ...

    async def put(self, name: str, raw: bytes, expires_at_ms: int) -> None:
        await self._send("SET", name, raw, "PXAT", expires_at_ms, parse=self._changed(name))

    async def claim(self, name: str, expected: bytes, lease: bytes, lease_ms: int) -> Found:
        if expected:
            asked = self._send("EVAL", CLAIM, 1, name, expected, lease, lease_ms)
        else:
            asked = self._send("SET", name, lease, "NX", "PX", lease_ms)
        return await self._then_get(asked, name)

    async def ensure(self, name: str, value: bytes, ttl_ms: int) -> Found:
        return await self._then_get(self._send("SET", name, value, "NX", "PX", ttl_ms), name)

    @abstractmethod
    async def _then_get(self, asked: Awaitable[Any], name: str) -> Found:
        """Read `name` right behind a command that was just sent (and must have been accepted)."""

    async def replace(self, name: str, expected: bytes, raw: bytes, expires_at_ms: int) -> bool:
        command = ("EVAL", REPLACE, 1, name, expected, raw, expires_at_ms)
        return bool(await self._send(*command, parse=self._changed(name)))

    async def take_lease(self, name: str, lease: bytes, lease_ms: int) -> bool:
        return bool(await self._send("SET", name, lease, "NX", "PX", lease_ms))

    async def renew(self, name: str, lease: bytes, lease_ms: int) -> Found:
        # Our own change ends the tracking of the name; the read starts it again.
        return await self._then_get(self._send("EVAL", RENEW, 1, name, lease, lease_ms), name)

    async def release(self, name: str, lease: bytes) -> None:
        await self._send("EVAL", RELEASE, 1, name, lease, parse=self._changed(name))

    async def figures(self) -> dict[str, int | str]:
        info = await self._send("INFO")
        pairs = [line.split(":", 1) for line in info.decode(errors="replace").splitlines() if ":" in line]
        return self._chosen({name: int(value) if value.isdigit() else value for name, value in pairs})

    def _chosen(self, info: Mapping[str, int | str]) -> dict[str, int | str]:
        return {name: info[name] for name in _FIGURES if name in info}

    def _changed(self, *names: str) -> Callable[[Any], Any]:
        """Tells the listener at the place in the stream where Redis made our own change (it sends us none: NOLOOP)."""

        def parse(reply: Any) -> Any:
            self._listener.changed(names)
            return reply

        return parse


class UntrackedCommands(Commands):
    """A store that hears nothing of others' changes: the near cache stays off, and waiting is looking again."""

    tracks = False
    last_error = ""

    @property
    def epoch_minus_local_s(self) -> float:
        return time.time() - time.monotonic()

    async def get(self, name: str) -> Found:
        return self._listener.arrived(name, await self._send("GET", name))

    async def _then_get(self, asked: Awaitable[Any], name: str) -> Found:
        await asked
        return await self.get(name)

    async def delete(self, names: Iterable[str]) -> int:
        names = tuple(names)
        try:
            replies = await asyncio.gather(*[self._send("UNLINK", name, parse=self._changed(name)) for name in names])
        except BaseException:
            self.keep(names)
            raise
        return sum(replies)

    async def wait_changed(self, held: Held, timeout_s: float) -> None:
        await asyncio.sleep(POLL_S)
