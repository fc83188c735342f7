"""The Redis commands of the cache, for any client that can send one."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from hashlib import sha1
from typing import Any, Final, NamedTuple

from easymo.cache.errors import Refused, Unavailable
from easymo.cache.key import glob_matches
from easymo.cache.store import BATCH, Done, Found, Held, KeptDeletions, Listener, batched
from easymo.cache.wire import Argument


class Script(NamedTuple):
    """A compare-and-change of one key, so it runs on a cluster as well, and its change as a command of its own."""

    lua: str
    command: Callable[..., tuple[Argument, ...]]


CLAIM: Final = Script(
    """
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #ARGV[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 0
""",
    lambda name, lease, lease_ms: ("SET", name, lease, "PX", lease_ms),
)
REPLACE: Final = Script(
    """
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
""",
    lambda name, raw, ttl_ms: ("SET", name, raw, "PX", ttl_ms, "XX"),
)
RENEW: Final = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
""",
    lambda name, lease_ms: ("PEXPIRE", name, lease_ms),
)
RELEASE: Final = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""",
    lambda name: ("DEL", name),
)
_FIGURES: Final = (  # noqa: SIM905 (fifteen lines otherwise)
    "redis_version valkey_version used_memory maxmemory maxmemory_policy evicted_keys expired_keys keyspace_hits "
    "keyspace_misses connected_clients tracking_clients tracking_total_keys total_commands_processed "
    "instantaneous_ops_per_sec uptime_in_seconds"
).split()

POLL_S: Final = 0.025
"""How often a call looks again for another process's value where no push says that it is there."""


class Commands:
    """The part of `Store` that is the same for every way of sending a command."""

    timeout_s = 0.0
    rtt_s = 0.0

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.kept = KeptDeletions(listener.everything, glob_matches)
        self.without: dict[str, str] = {}

    def keep(self, names: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        names, patterns = tuple(names), tuple(patterns)
        self.kept.keep(names, patterns)
        # An answer that was under way may have been kept in the process meanwhile.
        self._listener.changed(names)
        for pattern in patterns:
            self._listener.changed_matching(pattern)

    @abstractmethod
    def _send(self, *command: Argument, parse: Callable[[Any], Any] | None = None) -> Awaitable[Any]:
        """Send one command whose first key, if any, decides where it goes; raises Unavailable."""

    @abstractmethod
    def get(self, name: str) -> Awaitable[Found]: ...

    async def get_all(self, names: Sequence[str]) -> list[Found]:
        return await asyncio.gather(*[self.get(name) for name in names])

    def put(self, name: str, raw: bytes, ttl_ms: int, *, bulk: bool = False) -> Awaitable[Any]:
        return self._send("SET", name, raw, "PX", ttl_ms, parse=self._changed(name))

    async def claim(self, name: str, expected: bytes, lease: bytes, lease_ms: int) -> Found:
        if not expected:
            return await self._then_get(self._send("SET", name, lease, "NX", "PX", lease_ms), name)
        await self._compare(CLAIM, name, expected, lease, lease_ms)
        return await self.get(name)

    async def ensure(self, name: str, value: bytes, ttl_ms: int) -> Found:
        return await self._then_get(self._send("SET", name, value, "NX", "PX", ttl_ms), name)

    @abstractmethod
    async def _then_get(self, asked: Awaitable[Any], name: str) -> Found:
        """Read `name` right behind a command that was just sent (and must have been accepted)."""

    async def replace(self, name: str, expected: bytes, raw: bytes, ttl_ms: int) -> bool:
        return bool(await self._compare(REPLACE, name, expected, raw, ttl_ms))

    async def take_lease(self, name: str, lease: bytes, lease_ms: int) -> bool:
        return bool(await self._send("SET", name, lease, "NX", "PX", lease_ms))

    async def renew(self, name: str, lease: bytes, lease_ms: int) -> Found:
        # Our own change ends the tracking of the name; the read starts it again.
        await self._compare(RENEW, name, lease, lease_ms)
        return await self.get(name)

    async def release(self, name: str, lease: bytes) -> None:
        await self._compare(RELEASE, name, lease)

    async def _compare(self, script: Script, name: str, expected: bytes, *arguments: Argument) -> Any:
        """Run a compare-and-change; without scripts as a read and a write, between which another write may come."""
        parse = None if script is CLAIM or script is RENEW else self._changed(name)
        if "scripts" not in self.without:
            try:
                return await self._send("EVAL", script.lua, 1, name, expected, *arguments, parse=parse)
            except Refused as error:
                if not error.of_the_command:
                    raise
                self.without["scripts"] = f"a deletion within a round trip before a store may be lost ({error})"
        held = await self._send("GET", name)
        if held is None or not held.startswith(expected):
            return 0
        return await self._send(*script.command(name, *arguments), parse=parse)

    async def eval(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        try:
            digest = sha1(script.encode(), usedforsecurity=False).hexdigest()
            return await self._send("EVALSHA", digest, len(keys), *keys, *arguments)
        except Refused as error:
            if error.code != "NOSCRIPT":
                raise
            return await self._send("EVAL", script, len(keys), *keys, *arguments)

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

    async def scan(self, pattern: str) -> AsyncIterator[list[str]]:
        cursor: bytes | str = "0"
        while cursor != b"0":
            cursor, names = await self._send("SCAN", cursor, "MATCH", pattern, "COUNT", BATCH)
            if names:
                yield [name.decode(errors="surrogateescape") for name in names]

    async def delete(self, names: Iterable[str]) -> Done:
        deleted = waiting = 0
        problem: Unavailable | None = None
        asked: list[tuple[Sequence[str], Awaitable[int]]] = []
        for batch in batched(tuple(names)):
            try:
                asked.append((batch, self._unlink(batch)))
            except Unavailable as error:
                self.keep(batch)
                waiting, problem = waiting + len(batch), error
        for batch, answer in asked:
            try:
                deleted += await answer
            except Unavailable as error:
                waiting, problem = waiting + len(batch), error
        return Done(deleted, waiting, problem)

    @abstractmethod
    def _unlink(self, names: Sequence[str]) -> Awaitable[int]:
        """Delete names; what gets no good answer is kept."""


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

    async def _unlink(self, names: Sequence[str]) -> int:
        asked = [self._send("UNLINK", name, parse=self._changed(name)) for name in names]
        replies = await asyncio.gather(*asked, return_exceptions=True)
        failed = {name: reply for name, reply in zip(names, replies, strict=True) if isinstance(reply, BaseException)}
        if failed:
            self.keep(failed)
            raise next(iter(failed.values()))
        return sum(int(reply) for reply in replies if not isinstance(reply, BaseException))

    async def wait_changed(self, held: Held, timeout_s: float) -> None:
        await asyncio.sleep(POLL_S)
