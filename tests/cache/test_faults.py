"""Bounded harm: whatever Redis does, callers get the loaded value, and nothing that was deleted comes back."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
import redis.asyncio as redis

from easymo.cache import CacheService, Strategy
from easymo.cache.errors import CacheNotOpen
from easymo.embedded import Valkey
from easymo.embedded.instance import Plan
from tests.cache.conftest import Loader, Open, eventually, free_port
from tests.conftest import missing_wheels_skip

TAGGED = Strategy("row", key="row:{id}", ttl=60, tags=("rows",))
NOT_A_WAIT_S = 0.5
"""A busy machine may take this long for what takes a millisecond; a client without a breaker takes seconds."""


@pytest.fixture
def server() -> Iterator[Valkey]:
    """A server of this test alone, which it may stop, break and restart."""
    with missing_wheels_skip(), Valkey() as own:
        yield own


@pytest.fixture
async def admin(server: Valkey) -> AsyncIterator[redis.Redis]:
    async with redis.Redis.from_url(server.url) as client:
        yield client


async def is_connected(cache: CacheService) -> bool:
    return cache.local_stats().connected


async def test_a_hung_server_costs_one_call_its_time_out_and_the_next_nothing(server: Valkey, open_cache: Open) -> None:
    cache = await open_cache(server.url, timeout=0.05)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        loader = Loader()
        started = time.monotonic()
        assert await cache.get_or_set("k", loader) == "value"
        assert time.monotonic() - started < NOT_A_WAIT_S
        assert not cache.local_stats().connected
        started = time.monotonic()
        for _ in range(100):
            assert await cache.get_or_set("k", loader) == "value"
        assert time.monotonic() - started < NOT_A_WAIT_S
        assert cache.local_stats().timeouts == 1
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await eventually(lambda: is_connected(cache), timeout_s=2)
    assert await cache.get_or_set("k", loader) == "value"
    await eventually(lambda: _is_stored(cache, "k"))


async def _is_stored(cache: CacheService, key: str) -> bool:
    return await cache.get(key) is not None


async def test_a_deletion_while_the_server_hangs_is_kept_and_sent_first(
    server: Valkey, open_cache: Open, namespace: str
) -> None:
    cache = await open_cache(server.url, timeout=0.05)
    await cache.set("k", "old", ttl=60)
    await cache.get_or_set(TAGGED(1), Loader("old"))
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        await cache.delete("k")
        await cache.invalidate_tag("rows")
        await cache.invalidate_pattern("nothing:*")
        assert cache.local_stats().deletions_waiting == 3
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await eventually(lambda: is_connected(cache), timeout_s=2)
    assert await cache.get("k") is None, "also before the deletion has been sent"
    assert await cache.get(TAGGED(1)) is None
    await eventually(lambda: cache.local_stats().deletions_waiting == 0)
    assert await cache.get("k") is None
    assert await cache.get(TAGGED(1)) is None
    stats = cache.local_stats()
    assert (stats.deletions_kept, stats.deletions_sent_late, stats.deletions_waiting) == (3, 3, 0)


async def test_too_many_kept_deletions_become_the_deletion_of_everything_in_the_namespace(
    server: Valkey, admin: redis.Redis, open_cache: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easymo.cache.store.MAX_KEPT", 10)
    cache = await open_cache(server.url, timeout=0.05)
    await cache.set_many({f"k{i}": i for i in range(20)}, ttl=60)
    await admin.set("not ours", 1)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for i in range(12):
            await cache.delete(f"k{i}")
        assert cache.local_stats().deletions_waiting < 10
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await eventually(lambda: is_connected(cache), timeout_s=2)
    assert await cache.get_many([f"k{i}" for i in range(20)]) == {}
    assert await admin.get("not ours") == b"1"


async def test_a_set_whose_caller_is_cancelled_never_leaves_the_old_value(server: Valkey, open_cache: Open) -> None:
    cache = await open_cache(server.url)
    await cache.set("k", "old", ttl=60)
    setting = asyncio.create_task(cache.set("k", "new", ttl=60))
    await asyncio.sleep(0)
    setting.cancel()
    await asyncio.gather(setting, return_exceptions=True)
    assert await cache.get("k") != "old"


async def test_a_call_that_waits_for_another_process_notices_that_the_server_hangs(
    server: Valkey, open_cache: Open
) -> None:
    holder, waiter = await open_cache(server.url, timeout=0.05), await open_cache(server.url, timeout=0.05)
    slow = Loader("of the holder")
    slow.hold()
    holding = asyncio.create_task(holder.get_or_set("k", slow))
    await slow.started.wait()
    waiting = asyncio.create_task(waiter.get_or_set("k", Loader("of the waiter")))
    await eventually(lambda: waiter._store._waiting == 1)  # type: ignore[attr-defined]
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(1.0):  # far less than the lease
            assert await waiting == "of the waiter"
    finally:
        os.kill(server.pid, signal.SIGCONT)
        slow.release()
    assert await holding == "of the holder"


async def test_a_restarted_server_is_used_again(open_cache: Open) -> None:
    with missing_wheels_skip(), ExitStack() as stack:
        port = free_port()
        with Valkey(port=port) as first:
            cache = await open_cache(first.url)
            await cache.set("k", "before", ttl=60)
            assert await cache.get("k") == await cache.get("k") == "before"
        await eventually(lambda: cache.local_stats().losses == 1)
        assert await cache.get("k") is None
        assert await cache.get_or_set("k", Loader("while it was away")) == "while it was away"
        stack.enter_context(Valkey(port=port))
        await eventually(lambda: is_connected(cache), timeout_s=2)
        assert await cache.get("k") is None
        await cache.set("k", "after", ttl=60)
        assert await cache.get("k") == "after"
        stats = cache.local_stats()
        assert (stats.losses, stats.connects) == (1, 2)


async def test_a_lost_connection_drops_the_near_cache(server: Valkey, admin: redis.Redis, open_cache: Open) -> None:
    cache = await open_cache(server.url)
    await cache.set("k", "old", ttl=60)
    assert await cache.get("k") == "old"
    assert cache.local_stats().near_entries == 1
    await admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await eventually(lambda: cache.local_stats().losses == 1)
    assert cache.local_stats().near_entries == 0


async def test_out_of_memory_loses_the_store_but_not_the_value_nor_a_deletion(
    server: Valkey, admin: redis.Redis, open_cache: Open
) -> None:
    cache = await open_cache(server.url)
    await cache.set("k", "old", ttl=60)
    await cache.get_or_set(TAGGED(1), Loader("old"))
    await admin.config_set("maxmemory-policy", "noeviction")
    await admin.config_set("maxmemory", "1")
    loader = Loader()
    for _ in range(2):
        assert await cache.get_or_set("other", loader) == "value"
        assert await cache.get("other") is None
    assert loader.calls == 2
    await cache.invalidate_tag("rows")
    assert await cache.get(TAGGED(1)) is None
    await cache.set("k", "new", ttl=60)
    assert await cache.get("k") is None, "a value that could not be replaced is not served any more"
    stats = cache.local_stats()
    assert stats.errors["OOM"] >= 3
    assert stats.connected


async def test_a_read_only_server_never_serves_what_was_deleted(
    server: Valkey, admin: redis.Redis, open_cache: Open
) -> None:
    cache = await open_cache(server.url)
    await cache.set("k", "old", ttl=60)
    await cache.get_or_set(TAGGED(1), Loader("old"))
    await admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    assert await cache.get("k") == "old", "it can still be read"
    await cache.delete("k")
    await cache.invalidate_tag("rows")
    assert await cache.get("k") is None
    assert await cache.get(TAGGED(1)) is None
    assert await cache.get_or_set("k", Loader("new")) == "new"
    assert cache.local_stats().errors["READONLY"] >= 2
    await admin.execute_command("REPLICAOF", "NO", "ONE")
    await eventually(lambda: cache.local_stats().deletions_waiting == 0)
    assert await cache.get("k") is None
    assert await cache.get(TAGGED(1)) is None


async def test_a_wrong_password_makes_every_call_a_bypass(server: Valkey, admin: redis.Redis, open_cache: Open) -> None:
    await admin.config_set("requirepass", "right")
    path = server.url.removeprefix("unix://")
    cache = await open_cache(f"unix://:wrong@{path}")
    loader = Loader()
    assert await cache.get_or_set("k", loader) == await cache.get_or_set("k", loader) == "value"
    stats = await cache.stats()
    assert not stats.connected
    assert stats.server is None
    assert stats.last_error.startswith("WRONGPASS")
    assert stats.strategies[""].bypasses == 2
    right = await open_cache(f"unix://:right@{path}")
    await right.set("k", 1, ttl=60)
    assert await right.get("k") == 1


async def test_an_acl_user_logs_in_with_hello(server: Valkey, admin: redis.Redis, open_cache: Open) -> None:
    await admin.execute_command("ACL", "SETUSER", "app", "on", ">p%40ss/", "~*", "+@all")
    cache = await open_cache(f"unix://app:p%2540ss%2F@{server.url.removeprefix('unix://')}?db=3")
    await cache.set("k", 1, ttl=60)
    assert await cache.get("k") == 1
    assert cache.local_stats().near
    assert await admin.dbsize() == 0, "it is in database 3"


async def test_without_permission_to_track_the_near_cache_is_off_and_stats_says_so(
    server: Valkey, admin: redis.Redis, open_cache: Open
) -> None:
    await admin.execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-client|tracking")
    cache = await open_cache(f"unix://app:secret@{server.url.removeprefix('unix://')}")
    other = await open_cache(server.url)
    await cache.set("k", "old", ttl=60)
    assert await cache.get("k") == await cache.get("k") == "old"
    await other.set("k", "new", ttl=60)
    assert await cache.get("k") == "new"
    assert cache.local_stats().near_entries == 0
    assert not cache.local_stats().near
    assert "NOPERM" in cache.local_stats().near_reason


async def test_a_cancelled_caller_does_not_shift_the_answers_of_the_others(server: Valkey, open_cache: Open) -> None:
    cache = await open_cache(server.url, near_bytes=0)
    await cache.set_many({f"k{i}": i for i in range(100)}, ttl=60)
    for round_ in range(20):
        reads = [asyncio.create_task(cache.get(f"k{i}")) for i in range(100)]
        await asyncio.sleep(0)
        for read in reads[round_::3]:
            read.cancel()
        answers = await asyncio.gather(*reads, return_exceptions=True)
        assert all(answer == i for i, answer in enumerate(answers) if not isinstance(answer, asyncio.CancelledError))


async def test_a_deletion_whose_caller_is_cancelled_is_made(server: Valkey, open_cache: Open) -> None:
    cache = await open_cache(server.url)
    await cache.set("k", "old", ttl=60)
    deleting = asyncio.create_task(cache.delete("k"))
    await asyncio.sleep(0)
    deleting.cancel()
    await asyncio.gather(deleting, return_exceptions=True)
    assert await cache.get("k") is None


async def test_a_server_that_is_not_there_is_no_error(open_cache: Open) -> None:
    cache = await open_cache(f"redis://127.0.0.1:{free_port()}")
    assert await cache.get_or_set("k", Loader()) == "value"
    assert await cache.delete("k") == 0
    await cache.set("k", 1)
    assert await cache.get_many(["k"]) == {}
    assert cache.local_stats().deletions_waiting == 1


async def test_redis_enabled_false_never_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    connections = 0

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    loader = Loader()
    async with listener:
        monkeypatch.setenv("REDIS_ENABLED", "false")
        async with CacheService.from_env() as cache:
            await cache.set("k", 1)
            await cache.delete("k")
            assert await cache.invalidate_pattern("*") == 0
            assert await cache.get_or_set("k", loader) == await cache.get_or_set("k", loader) == "value"
            assert (await cache.stats()).server is None
        assert (connections, loader.calls) == (0, 2)
        monkeypatch.setenv("REDIS_ENABLED", "true")
        async with CacheService.from_env():
            assert connections > 0


async def test_it_says_so_when_it_is_not_open() -> None:
    with pytest.raises(CacheNotOpen, match="async with cache"):
        await CacheService("memory://").get("k")


@pytest.mark.parametrize("url", ["http://x", "redis://host:port", "redis://h:1/one", "redis+sentinel://h:1"])
async def test_a_url_that_cannot_be_used_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)url"):
        CacheService(url)


class WithoutHello(Valkey):
    """A server that knows RESP2 only, as those older than Redis 6 do."""

    def _plan(self) -> Plan:
        plan = super()._plan()
        return replace(plan, command=[*plan.command, "--rename-command", "HELLO", ""])


async def test_a_server_without_resp3_serves_without_the_near_cache(open_cache: Open, loader: Loader) -> None:
    with missing_wheels_skip(), WithoutHello() as old:
        cache, other = await open_cache(old.url), await open_cache(old.url)
        assert await cache.get_or_set(TAGGED(7), loader) == "value"
        assert await other.get_or_set(TAGGED(7), loader) == await cache.get(TAGGED(7)) == "value"
        assert loader.calls == 1
        await other.invalidate_tag("rows")
        assert await cache.get(TAGGED(7)) is None
        assert await cache.get("never", "absent") == "absent"
        stats = cache.local_stats()
        assert (stats.connected, stats.near, stats.near_entries) == (True, False, 0)
        assert "no RESP3" in stats.near_reason
