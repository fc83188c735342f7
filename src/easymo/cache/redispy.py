"""The store for Sentinel and Cluster: redis-py carries the commands, without the near cache."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from easymo.cache.commands import UntrackedCommands
from easymo.cache.counters import Events
from easymo.cache.errors import LateAnswer, Refused, Unavailable
from easymo.cache.store import BATCH, Listener
from easymo.cache.wire import Argument

SOCKET_TIMEOUT_S: Final = 1.0
"""What redis-py itself may take, for a hand-shake too; callers do not wait that long."""
RETRY_S: Final = 0.4
"""While the breaker is open, one question this often finds out whether the server is back."""
LATE_BEFORE_OPEN: Final = 3
"""So many late answers in a row open the breaker: one may only have had to make a new connection."""
MAX_CONCURRENT: Final = 16
_CODES: Final = {
    ReadOnlyError: "READONLY",
    OutOfMemoryError: "OOM",
    NoPermissionError: "NOPERM",
    AuthenticationError: "WRONGPASS",
}

_log = logging.getLogger("easymo.cache")


class RedisPyStore(UntrackedCommands):
    """A `Store` over a redis-py client, behind a circuit breaker.

    The first command that fails or is late opens it; then every call fails at once, and a task closes it again when
    the server answers and has got the deletions that were kept.
    """

    def __init__(self, url: str, listener: Listener, events: Events, timeout_s: float) -> None:
        super().__init__(listener)
        self.timeout_s = timeout_s
        self.why_not_tracking = f"{url.partition('://')[0]}:// has no coherent near cache"
        self._client = client_for(url)
        self._events = events
        self._gate = asyncio.Semaphore(MAX_CONCURRENT)
        self._running: set[asyncio.Task[Any]] = set()
        self._mending: asyncio.Task[None] | None = None
        self._late_in_a_row = 0
        self.connected = False

    async def open(self) -> None:
        try:
            async with asyncio.timeout(SOCKET_TIMEOUT_S):
                await self._ping()
        except (RedisError, OSError, TimeoutError) as error:
            self._events.connect_failures += 1
            self._fail(error)
        else:
            self._events.connects += 1
            self.connected = True

    async def close(self) -> None:
        for task in (*self._running, *([self._mending] if self._mending else [])):
            task.cancel()
            with suppress(asyncio.CancelledError, RedisError, OSError):
                await task
        await self._client.aclose()
        pool = getattr(self._client, "connection_pool", None)
        if isinstance(pool, SentinelConnectionPool):
            for sentinel in pool.sentinel_manager.sentinels:
                await sentinel.aclose()

    async def _send(self, *command: Argument, parse: Callable[[Any], Any] | None = None) -> Any:
        if not self.connected:
            raise Unavailable(self.last_error)
        # The command runs on when its caller is late or cancelled: a connection is never left with half an answer.
        task = asyncio.create_task(self._execute(command))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(_retrieve)
        await asyncio.wait((task,), timeout=self.timeout_s)
        if not task.done():
            error = LateAnswer("the server did not answer in time")
            self._late_in_a_row += 1
            if self._late_in_a_row >= LATE_BEFORE_OPEN:
                self._fail(error)
            raise error
        self._late_in_a_row = 0
        try:
            reply = task.result()
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error
        return parse(reply) if parse is not None else reply

    async def _execute(self, command: tuple[Argument, ...]) -> Any:
        async with self._gate:
            return await self._client.execute_command(*command)

    def _unavailable(self, error: Exception) -> Unavailable:
        code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "")
        if not isinstance(error, ResponseError) or isinstance(error, AuthenticationError):
            self._fail(error)
        return (
            Refused(f"{code} {error}".strip()) if code or isinstance(error, ResponseError) else Unavailable(str(error))
        )

    def _fail(self, error: Exception) -> None:
        if self.connected:
            self._events.losses += 1
            self._listener.lost()
        reason = str(error) or "no answer"
        if reason != self.last_error:
            _log.warning("Redis unavailable (%s); continuing without it and reconnecting", reason)
        self.connected, self.last_error = False, reason
        self._mend_later()

    def _mend_later(self) -> None:
        if self._mending is None or self._mending.done():
            self._mending = asyncio.create_task(self._mend(), name="easymo-cache-breaker")

    async def _ping(self) -> None:
        """Every primary must answer; it also makes the first connection to each."""
        whom = {"target_nodes": RedisCluster.PRIMARIES} if isinstance(self._client, RedisCluster) else {}
        await self._client.ping(**whom)

    async def _mend(self) -> None:
        while not self.connected or self.kept:
            await asyncio.sleep(RETRY_S)
            try:
                async with asyncio.timeout(SOCKET_TIMEOUT_S):
                    await self._ping()
                    await self.kept.send(self._delete_each, self._scan)
            except (RedisError, OSError, TimeoutError) as error:
                self.last_error = str(error) or "no answer"
                continue
            if not self.connected:
                self._events.connects += 1
            self.connected, self.last_error = True, ""

    async def _delete_each(self, *names: str) -> None:
        for name in names:  # each may live on another node
            await self._client.execute_command("UNLINK", name)

    def keep(self, names: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        super().keep(names, patterns)
        self._mend_later()

    async def scan(self, pattern: str) -> AsyncIterator[list[str]]:
        if not self.connected:
            raise Unavailable(self.last_error)
        try:
            async for names in self._scan(pattern):
                yield names
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error

    async def _scan(self, pattern: str) -> AsyncIterator[list[str]]:
        batch: list[str] = []
        async for name in self._client.scan_iter(match=pattern, count=BATCH):
            batch.append(name.decode(errors="surrogateescape"))
            if len(batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    async def figures(self) -> dict[str, int | str]:
        """Of a cluster: the sums over its primaries."""
        if not isinstance(self._client, RedisCluster):
            return self._chosen(await self._send("INFO"))
        totals: dict[str, int | str] = {}
        for node in self._client.get_primaries():
            for name, value in self._chosen(await self._client.info(target_nodes=node)).items():
                known = totals.get(name, 0)
                totals[name] = known + value if isinstance(value, int) and isinstance(known, int) else value
        return totals


def client_for(url: str) -> Any:
    """A redis-py client for redis[s]+sentinel://host:port,host:port/service and redis[s]+cluster://host:port,…

    `username:password@` stands before the hosts; what follows `?` are redis-py's own options (ssl_ca_certs=…).
    """
    scheme, _, rest = url.partition("://")
    options: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
    }
    rest, _, query = rest.partition("?")
    login, _, places = rest.rpartition("@")
    hosts, _, path = places.partition("/")
    options |= dict(parse_qsl(query))
    if login:
        username, _, password = login.partition(":")
        options |= {"username": unquote(username) or None, "password": unquote(password)}
    if scheme.startswith("rediss"):
        options["ssl"] = True
    addresses = [_host_and_port(host) for host in hosts.split(",")]
    if scheme.endswith("+cluster"):
        return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in addresses], **options)
    service = path.strip("/")
    if not service:
        raise ValueError("A Sentinel URL ends with the name of the service: redis+sentinel://host:26379/mymaster.")
    sentinel: Any = Sentinel  # untyped in redis-py
    return sentinel(addresses, sentinel_kwargs={"socket_timeout": SOCKET_TIMEOUT_S}, **options).master_for(service)


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"The cache URL names {text!r}; each host of a cluster or Sentinel needs a port (host:6379).")
    return host, int(port)


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
