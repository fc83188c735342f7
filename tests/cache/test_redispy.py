"""Sentinel with a real failover, and the breaker of the store that speaks through redis-py."""

import os
import signal
import time
from contextlib import ExitStack
from dataclasses import replace

import redis.asyncio as redis

from easymo.cache import CacheService, Strategy
from easymo.embedded import Valkey
from easymo.embedded.instance import Plan
from tests.cache.conftest import Cluster, Loader, Open, eventually
from tests.conftest import missing_wheels_skip

TAGGED = Strategy("row", key="row:{id}", ttl=60, tags=("rows",))


class Sentinel(Valkey):
    """The Valkey binary as a Sentinel that watches one primary."""

    def __init__(self, primary_port: int) -> None:
        super().__init__(port=0)
        self._primary_port = primary_port

    def _plan(self) -> Plan:
        plan = super()._plan()
        settings = (
            f"port {self.port}\\nbind 127.0.0.1\\nunixsocket {{sockets}}/valkey.sock\\ndir {{directory}}\\n"
            f"sentinel monitor main 127.0.0.1 {self._primary_port} 1\\n"
            "sentinel down-after-milliseconds main 300\\nsentinel failover-timeout main 3000\\n"
        )
        write = ["/bin/sh", "-c", f"printf '{settings}' > {{directory}}/sentinel.conf"]
        command = [plan.command[0], "{directory}/sentinel.conf", "--sentinel"]
        return replace(plan, command=command, prepare=[write])


async def test_a_real_sentinel_failover_is_survived(open_cache: Open) -> None:
    with missing_wheels_skip(), ExitStack() as stack:
        primary = stack.enter_context(Valkey(port=0))
        replica = stack.enter_context(Valkey(port=0, settings={"replicaof": f"127.0.0.1 {primary.port}"}))
        async with redis.Redis.from_url(replica.url) as admin:

            async def is_synchronised() -> bool:
                return (await admin.info("replication"))["master_link_status"] == "up"

            await eventually(is_synchronised, timeout_s=10)
            sentinel = stack.enter_context(Sentinel(primary.port or 0))
            async with redis.Redis.from_url(f"redis://127.0.0.1:{sentinel.port}") as watcher:

                async def knows_the_replica() -> bool:
                    return bool(await watcher.execute_command("SENTINEL REPLICAS", "main"))

                await eventually(knows_the_replica, timeout_s=15)
            cache = await open_cache(f"redis+sentinel://127.0.0.1:{sentinel.port}/main")
            assert await cache.get_or_set(TAGGED(1), Loader("before")) == "before"
            assert await cache.get(TAGGED(1)) == "before"
            assert not cache.local_stats().near
            assert "redis+sentinel" in cache.local_stats().near_reason
            assert primary.pid is not None
            os.kill(primary.pid, signal.SIGKILL)
            assert await cache.get_or_set("during", Loader("loaded")) == "loaded"
            await cache.delete(TAGGED(1))
            await eventually(lambda: cache.local_stats().connected, timeout_s=15)
            await eventually(lambda: cache.local_stats().deletions_waiting == 0, timeout_s=5)
            assert await cache.get(TAGGED(1)) is None
            await cache.set("after", 1)
            assert await cache.get("after") == 1


async def test_a_hung_cluster_node_opens_the_breaker_and_keeps_deletions(cluster: Cluster, open_cache: Open) -> None:
    cache = await open_cache(cluster.url, timeout=0.05)
    keys = [f"k{i}" for i in range(12)]  # some on each node
    for key in keys:
        await cache.set(key, "old", ttl=60)
    await eventually(lambda: _all_stored(cache, keys), timeout_s=5)
    node = cluster.nodes[0]
    assert node.pid is not None
    os.kill(node.pid, signal.SIGSTOP)
    try:
        for key in keys:
            assert await cache.get_or_set(key, Loader("loaded")) in ("old", "loaded")
        await cache.delete(*keys)
        started = time.monotonic()
        for key in keys * 10:
            await cache.get_or_set(key, Loader("loaded"))
        assert time.monotonic() - started < 1.0, "the breaker is open: nobody waits"
        assert cache.local_stats().timeouts >= 1
        assert cache.local_stats().deletions_waiting > 0
    finally:
        os.kill(node.pid, signal.SIGCONT)
    await eventually(lambda: cache.local_stats().connected, timeout_s=4)
    await eventually(lambda: cache.local_stats().deletions_waiting == 0, timeout_s=4)
    for key in keys:
        assert await cache.get(key) != "old"


async def _all_stored(cache: CacheService, keys: list[str]) -> bool:
    return len(await cache.get_many(keys)) == len(keys)
