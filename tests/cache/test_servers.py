"""Servers, proxies and networks that people have: each degrades, and `stats` says what it does without."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis.asyncio as redis

from easymo.cache import CacheService, Strategy
from easymo.cache.errors import PatternRefused, Unavailable
from easymo.embedded import Valkey
from tests.cache.conftest import Loader, Open, eventually
from tests.cache.proxy import Proxy
from tests.conftest import missing_wheels_skip

TAGGED = Strategy("row", key="row:{id}", ttl=60, tags=("rows",))

REFUSALS = {
    "unsupported": {name: f"ERR unsupported command '{name}'" for name in ("HELLO", "TIME", "CLIENT")},
    "no HELLO, in other words": {"HELLO": "ERR Command is not available: 'HELLO', please check"},
    "no HELLO, by permission": {"HELLO": "NOPERM this user has no permissions to run the 'hello' command"},
    "no TIME": {"TIME": "NOPERM User app has no permissions to run the 'time' command"},
    "no EVAL": {"EVAL": "NOPERM User app has no permissions to run the 'eval' command"},
    "no UNLINK": {"UNLINK": "ERR unknown command 'UNLINK', with args beginning with: 'x'"},
    "no CLIENT": {"CLIENT": "ERR invalid command"},
    "no MGET and no PTTL": {"MGET": "ERR unknown command 'MGET'", "PTTL": "ERR unknown command 'PTTL'"},
    "least privilege": {
        name: f"NOPERM no permissions to run '{name}'" for name in ("TIME", "EVAL", "CLIENT", "UNLINK")
    },
}


@pytest.fixture
def own() -> Iterator[Valkey]:
    with missing_wheels_skip(), Valkey() as server:
        yield server


@pytest.fixture
async def admin(own: Valkey) -> AsyncIterator[redis.Redis]:
    async with redis.Redis.from_url(own.url) as client:
        yield client


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_what_a_server_refuses_is_done_without_and_said(valkey: Valkey, open_cache: Open, refusal: str) -> None:
    async with Proxy(valkey.url, REFUSALS[refusal]).running() as proxy:
        cache, other = await open_cache(proxy.url), await open_cache(valkey.url)
        loader = Loader()
        for _ in range(10):
            assert await cache.get_or_set("k", loader) == "value"
            assert await cache.get_or_set(TAGGED(1), Loader("row")) == "row"
        assert loader.calls == 1
        await other.set("k", "changed", ttl=60)
        await cache.get("fence")
        assert await cache.get("k") == "changed"
        await cache.delete("k")
        await eventually(lambda: cache.local_stats().deletions_waiting == 0)

        async def gone() -> bool:
            return await other.get("k") is None

        await eventually(gone)
        await cache.invalidate_tag("rows")
        await eventually(lambda: cache.local_stats().deletions_waiting == 0)
        assert await cache.get(TAGGED(1)) is None
        assert await cache.get_many(["a", "b"]) == {}
        await cache.set_many({"a": 1, "b": 2})
        assert await cache.get_many(["a", "b"]) == {"a": 1, "b": 2}
        stats = cache.local_stats()
        assert stats.connected
        assert stats.without or refusal == "no MGET and no PTTL"


async def test_a_proxy_that_hangs_up_at_hello_is_used_without_it(valkey: Valkey, open_cache: Open) -> None:
    async with Proxy(valkey.url, close_at=("HELLO", "TIME", "UNLINK", "INFO", "SCAN", "CLIENT")).running() as proxy:
        cache, loader = await open_cache(proxy.url), Loader()
        for _ in range(5):
            assert await cache.get_or_set("k", loader) == "value"
        assert loader.calls == 1
        await cache.delete("k")
        assert await cache.get("k") is None
        with pytest.raises(PatternRefused, match="refuses SCAN"):
            await cache.invalidate_pattern("k*")
        assert (await cache.stats()).server is None
        stats = cache.local_stats()
        assert (stats.connected, stats.near, stats.losses) == (True, False, 0)
        assert "HELLO" in stats.near_reason


async def test_a_pattern_without_scan_is_refused_with_a_sentence(valkey: Valkey, open_cache: Open) -> None:
    async with Proxy(valkey.url, {"SCAN": "NOPERM no permissions to run 'scan'"}).running() as proxy:
        cache = await open_cache(proxy.url)
        with pytest.raises(PatternRefused, match="invalidate_tag"):
            await cache.invalidate_pattern("k*")
        assert cache.local_stats().deletions_waiting == 0


async def test_after_a_failover_that_keeps_the_connection_it_finds_the_new_primary(open_cache: Open) -> None:
    with missing_wheels_skip(), Valkey(port=0) as old, Valkey(port=0) as new:
        async with (
            redis.Redis.from_url(old.url) as old_admin,
            redis.Redis.from_url(new.url) as new_admin,
            Proxy(f"redis://127.0.0.1:{old.port}").running() as proxy,
        ):
            await new_admin.replicaof("127.0.0.1", old.port)

            async def is_synchronised() -> bool:
                return bool((await new_admin.info("replication"))["master_link_status"] == "up")

            await eventually(is_synchronised, timeout_s=10)
            cache, other = await open_cache(proxy.url), await open_cache(f"redis://127.0.0.1:{new.port}")
            await cache.set("k", "old", ttl=600)

            async def is_copied() -> bool:
                return await other.get("k") == "old"

            await eventually(is_copied)
            await new_admin.replicaof("NO", "ONE")
            proxy.target = f"redis://127.0.0.1:{new.port}"
            await old_admin.replicaof("127.0.0.1", new.port)
            done = await cache.delete("k")
            assert (int(done), done.undone) == (0, 1)

            async def is_deleted() -> bool:
                return await other.get("k") is None

            await eventually(is_deleted, timeout_s=10)
            await cache.set("after", 1)
            assert await other.get("after") == 1


async def test_a_server_that_says_moved_is_followed(valkey: Valkey, redis7: Valkey, open_cache: Open) -> None:
    with missing_wheels_skip(), Valkey(port=0) as right:
        moved = dict.fromkeys(("GET", "SET", "EVAL", "UNLINK"), f"MOVED 3999 127.0.0.1:{right.port}")
        async with Proxy(valkey.url, moved).running() as proxy:
            cache = await open_cache(proxy.url)

            async def works() -> bool:
                await cache.set("k", 1, ttl=60)
                return await cache.get("k") == 1

            await eventually(works, timeout_s=6)


@pytest.mark.parametrize("given", ["text", "pair", "async"])
async def test_credentials_are_asked_for_each_connection(
    own: Valkey, admin: redis.Redis, open_cache: Open, given: str
) -> None:
    await admin.execute_command("ACL", "SETUSER", "app", "on", ">first", "~*", "+@all")
    token = "first"

    async def later() -> tuple[str, str]:
        return "app", token

    ways = {"text": lambda: token, "pair": lambda: ("app", token), "async": later}
    cache = await open_cache(f"unix://app@{own.url.removeprefix('unix://')}", credentials=ways[given])
    await cache.set("k", 1, ttl=60)
    await admin.execute_command("ACL", "SETUSER", "app", "resetpass", ">second")
    token = "second"
    await admin.execute_command("CLIENT", "KILL", "USER", "app")
    await eventually(lambda: cache.local_stats().connects == 2)
    assert await cache.get("k") == 1


async def test_credentials_that_cannot_be_had_are_a_bypass(own: Valkey, open_cache: Open) -> None:
    def fail() -> str:
        raise LookupError("no token service")

    cache = await open_cache(own.url, credentials=fail)
    assert await cache.get_or_set("k", Loader()) == "value"
    assert "no token service" in cache.local_stats().last_error


async def test_a_user_without_a_password_in_the_url(own: Valkey, admin: redis.Redis, open_cache: Open) -> None:
    await admin.execute_command("ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all")
    await admin.execute_command("ACL", "SETUSER", "default", "off")
    cache = await open_cache(f"unix://app@{own.url.removeprefix('unix://')}")
    await cache.set("k", 1, ttl=60)
    assert await cache.get("k") == 1


@pytest.mark.parametrize("one_way_ms", [20, 60, 100])
async def test_a_far_server_is_used_and_stats_says_how_far_it_is(
    valkey: Valkey, open_cache: Open, one_way_ms: int
) -> None:
    async with Proxy(valkey.url, delay_s=one_way_ms / 1000).running() as proxy:
        cache, loader = await open_cache(proxy.url, timeout=0.05, near_bytes=0), Loader()
        for _ in range(5):
            await cache.get_or_set("k", loader)
        stats = cache.local_stats()
        assert (loader.calls, stats.losses, stats.timeouts) == (1, 0, 0)
        assert stats.rtt_s >= one_way_ms / 1000
        assert stats.timeout_s > stats.rtt_s


async def test_a_silence_fails_the_call_and_not_the_connection(valkey: Valkey, open_cache: Open) -> None:
    async with Proxy(valkey.url).running() as proxy:
        cache = await open_cache(proxy.url, timeout=0.05)
        await cache.set("k", 1, ttl=60)
        proxy.speaks.clear()
        assert await cache.get("other", "default") == "default"
        assert not cache.local_stats().connected
        proxy.speaks.set()
        await eventually(lambda: cache.local_stats().connected)
        stats = cache.local_stats()
        assert (stats.losses, stats.connects) == (0, 1)
        assert await cache.get("k") == 1


async def test_a_large_value_is_not_late(valkey: Valkey, open_cache: Open) -> None:
    cache = await open_cache(valkey.url, timeout=0.05, near_bytes=0)
    large = "x" * 100_000_000
    await cache.set("large", large, ttl=60)
    small = [cache.get_or_set(f"small{i}", Loader(i)) for i in range(20)]
    assert await cache.get("large") == large
    assert await asyncio.gather(*small) == list(range(20))
    stats = cache.local_stats()
    assert (stats.losses, stats.timeouts) == (0, 0)
    await cache.delete("large")


async def test_a_script_runs_on_the_wire_of_the_cache(valkey: Valkey, open_cache: Open, namespace: str) -> None:
    cache = await open_cache(valkey.url)
    script = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
    assert [await cache.eval(script, [f"{namespace}!count"], [2]) for _ in range(3)] == [2, 4, 6]
    async with CacheService("memory://") as without:
        with pytest.raises(Unavailable):
            await without.eval(script, ["x"], [1])


async def test_a_life_that_another_client_shortened_ends_near_copies_too(
    valkey: Valkey, open_cache: Open, namespace: str
) -> None:
    cache = await open_cache(valkey.url)
    await cache.set("k", "value", ttl=600)
    async with redis.Redis.from_url(valkey.url) as client:
        await client.pexpire(f"{namespace}:k", 300)
        ends_at_ms = await client.pexpiretime(f"{namespace}:k")

        async def over() -> bool:
            seconds, microseconds = await client.time()
            if await cache.get("k") is None:
                return True
            # A life has whole milliseconds: its last one is still its own.
            now_ms = seconds * 1000 + microseconds // 1000
            assert now_ms <= ends_at_ms, "Redis said that it was over, then it was served"
            return False

        await eventually(over)
    assert cache.local_stats().strategies[""].near_hits > 0
