"""Sentinel with a real failover, TLS, and the breaker of the store that speaks through redis-py."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis.asyncio as redis

from easymo.cache import CacheService, Strategy
from easymo.embedded import Valkey
from easymo.embedded.instance import Plan
from tests.cache.conftest import Cluster, DebianRedis, Loader, Open, eventually, free_port
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
        return Plan(plan.root, plan.parts, command, plan.stop_signal, prepare=[write])


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


class TlsRedis(DebianRedis):
    """Debian's Redis 7 that speaks TLS only (the wheel of Valkey has none)."""

    def __init__(self, certificate: Path, key: Path) -> None:
        files = {"tls-cert-file": str(certificate), "tls-key-file": str(key), "tls-ca-cert-file": str(certificate)}
        self.tls_port = free_port()
        super().__init__(settings=files | {"tls-port": str(self.tls_port), "tls-auth-clients": "no"})


@pytest.fixture
def tls(redis7: Valkey) -> Iterator[str]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("TLS IS NOT TESTED HERE: openssl is not installed, so there is no certificate")
    # Not below pytest's own directory, which the server's unprivileged user cannot enter.
    with tempfile.TemporaryDirectory(prefix="easymo-tls-") as name:
        folder = Path(name)
        certificate, key = folder / "cert.pem", folder / "key.pem"
        subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        command = (openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)
        subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
        folder.chmod(0o755)
        key.chmod(0o644)
        with TlsRedis(certificate, key) as server:
            yield f"rediss://localhost:{server.tls_port}?ssl_ca_certs={certificate}"


async def test_tls_works_and_says_that_the_near_cache_is_off(tls: str, open_cache: Open) -> None:
    cache = await open_cache(tls)
    assert await cache.get_or_set(TAGGED(1), Loader("value")) == "value"
    assert await cache.get(TAGGED(1)) == "value"
    await cache.invalidate_tag("rows")
    assert await cache.get(TAGGED(1)) is None
    stats = await cache.stats()
    assert (stats.connected, stats.near) == (True, False)
    assert stats.near_reason.startswith("rediss://")


async def test_a_certificate_that_nobody_vouches_for_is_a_bypass(tls: str, open_cache: Open) -> None:
    cache = await open_cache(tls.partition("?")[0])
    assert await cache.get_or_set("k", Loader()) == "value"
    assert not cache.local_stats().connected
    assert "certificate" in cache.local_stats().last_error.lower()


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
