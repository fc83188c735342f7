"""Servers of every kind the cache runs on, and loaders that tests can hold, fail and count."""

import asyncio
import os
import shutil
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis

from easymo.cache import CacheService
from easymo.embedded import Valkey
from easymo.embedded.instance import Plan
from tests.conftest import missing_wheels_skip

Open = Callable[..., Awaitable[CacheService]]


class DebianRedis(Valkey):
    """Debian's Redis 7 under the launcher that starts Valkey."""

    name = "Redis"

    def _plan(self) -> Plan:
        plan = super()._plan()
        program = Path(shutil.which("redis-server") or "redis-server")
        return replace(plan, root=str(program.parent), parts=[], command=[str(program), *plan.command[1:]])


class Cluster:
    """Three primaries without replicas, made of the Valkey binary."""

    def __init__(self, nodes: list[Valkey]) -> None:
        self.nodes = nodes
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)

    async def join(self, bus_ports: list[int]) -> None:
        """Give each node a third of the slots, introduce them, and wait until all agree."""
        clients = [redis.Redis.from_url(node.url) for node in self.nodes]
        bounds = [0, 5461, 10923, 16384]
        for index, client in enumerate(clients):
            await client.execute_command("CLUSTER", "ADDSLOTSRANGE", bounds[index], bounds[index + 1] - 1)
            await client.execute_command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, bus_ports[0])
        for client in clients:
            await eventually(partial(_agrees, client), timeout_s=10)
            await client.aclose()


async def _agrees(client: Any) -> bool:
    info = await client.execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3" and info["cluster_size"] == "3"


async def eventually(condition: Callable[[], Awaitable[bool] | bool], timeout_s: float = 3.0) -> None:
    """Wait until `condition` holds; fail after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.002)


class Loader:
    """A loader under the test's control: it counts, waits while `hold`ing, and raises `error` if there is one."""

    def __init__(self, value: Any = "value") -> None:
        self.value = value
        self.error: Exception | None = None
        self.calls = 0
        self.finished = 0
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    def hold(self) -> None:
        self.started.clear()
        self.go_on.clear()

    def release(self) -> None:
        self.go_on.set()

    async def __call__(self) -> Any:
        self.calls += 1
        value, error = self.value, self.error
        self.started.set()
        async with asyncio.timeout(10):  # a test that would wait for itself fails
            await self.go_on.wait()
        self.finished += 1
        if error is not None:
            raise error
        return value


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture(scope="session")
def redis7() -> Iterator[Valkey]:
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail(
                "CI must test on Debian's Redis 7, but redis-server is not installed: apt-get install redis-server"
            )
        pytest.skip("REDIS 7 IS NOT TESTED HERE: redis-server is not installed (apt-get install redis-server)")
    with DebianRedis() as server:
        yield server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with missing_wheels_skip(), ExitStack() as stack:
        bus_ports = [free_port() for _ in range(3)]
        nodes = [
            stack.enter_context(Valkey(port=0, settings={"cluster-enabled": "yes", "cluster-port": str(port)}))
            for port in bus_ports
        ]
        made = Cluster(nodes)
        asyncio.run(made.join(bus_ports))
        yield made


@pytest.fixture(params=["memory", "valkey", "redis7", "cluster"])
def any_url(request: pytest.FixtureRequest) -> str:
    """The address of each kind of store."""
    if request.param == "memory":
        return "memory://"
    url: str = request.getfixturevalue(request.param).url
    return url


@pytest.fixture(params=["valkey", "redis7"])
def server_url(request: pytest.FixtureRequest) -> str:
    """The address of each kind of server that the fast path speaks to."""
    url: str = request.getfixturevalue(request.param).url
    return url


@pytest.fixture
def namespace() -> str:
    """One of this test alone."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def open_cache(namespace: str) -> AsyncIterator[Open]:
    """Opens caches in the test's namespace and closes them after it.

    They are patient, so that a busy machine does not look like a slow Redis; tests of slowness say otherwise.
    """
    opened: list[CacheService] = []

    async def open_(url: str, **options: Any) -> CacheService:
        settings: dict[str, Any] = {"namespace": namespace, "timeout": 1.0, **options}
        cache = await CacheService(url, **settings).__aenter__()
        opened.append(cache)
        return cache

    try:
        yield open_
    finally:
        for cache in opened:
            await cache.__aexit__(None, None, None)
