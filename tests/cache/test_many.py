"""Many at once: nothing is lost silently, and the event loop goes on."""

import asyncio
import time
from collections.abc import Iterator

import pytest
import redis.asyncio as redis

from easymo.cache import CacheService, Key, Strategy
from easymo.embedded import Valkey
from tests.cache.conftest import Loader, Open, free_port
from tests.conftest import missing_wheels_skip

ROW = Strategy("row of many", key="many-row:{id}", ttl=3600, tags=("many-rows",))

MANY = 30_000


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """A server that evicts nothing."""
    with missing_wheels_skip(), Valkey(settings={"maxmemory": "0"}) as server:
        yield server


async def longest_stall_s(work: object) -> float:
    """The longest time for which the event loop did nothing else."""
    longest, last = 0.0, time.thread_time()
    task = asyncio.ensure_future(work)  # type: ignore[call-overload]
    while not task.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    await task
    return longest


async def test_tens_of_thousands_of_writes_and_deletes_are_all_made(
    valkey: Valkey, open_cache: Open, namespace: str
) -> None:
    cache = await open_cache(valkey.url, timeout=0.05)
    keys = [f"v{i}" for i in range(MANY)]
    assert await cache.set_many(dict.fromkeys(keys, 1), ttl=3600) == MANY
    async with redis.Redis.from_url(valkey.url) as client:
        assert await client.exists(*[f"{namespace}:{key}" for key in keys[:: MANY // 100]]) == 100
    deleted = await cache.delete(*keys)
    assert (int(deleted), deleted.undone) == (MANY, 0)
    assert cache.local_stats().losses == 0


async def test_what_is_not_stored_or_deleted_is_said(open_cache: Open) -> None:
    cache = await open_cache(f"redis://127.0.0.1:{free_port()}")
    stored = await cache.set_many({"a": 1, "b": 2})
    assert (int(stored), stored.undone) == (0, 2)
    assert "Connect" in str(stored.error)
    deleted = await cache.delete("a", "b")
    assert (int(deleted), deleted.undone) == (0, 2)
    assert (await cache.invalidate_pattern("a*")).undone == 1


async def test_thousands_of_cold_keys_at_once_are_stored(valkey: Valkey, open_cache: Open) -> None:
    cache = await open_cache(valkey.url)
    started = time.process_time()
    await asyncio.gather(*[cache.get_or_set(f"few{i}", Loader(i)) for i in range(500)])
    few_s = (time.process_time() - started) / 500
    started = time.process_time()
    await asyncio.gather(*[cache.get_or_set(f"many{i}", Loader(i)) for i in range(4000)])
    many_s = (time.process_time() - started) / 4000
    assert len(await cache.get_many([f"many{i}" for i in range(4000)])) == 4000
    assert cache.local_stats().strategies[""].bypasses == 0
    assert many_s < 2 * few_s, "the cost of a key does not grow with their number"


async def test_a_tag_of_tens_of_thousands_of_near_values_does_not_stall_the_loop(
    valkey: Valkey, open_cache: Open
) -> None:
    cache = await open_cache(valkey.url, near_bytes=10**9)
    keys = [ROW(i) for i in range(MANY)]
    await cache.set_many(dict.fromkeys(keys, 1))
    await cache.get_many(keys)
    assert len(await cache.get_many(keys)) == cache.local_stats().near_entries == MANY
    assert await longest_stall_s(cache.invalidate_tag("many-rows")) < 0.02
    assert await cache.get(keys[0]) is None
    assert await cache.get_many(keys[-10:]) == {}


async def test_a_pattern_drops_only_near_copies_that_match(valkey: Valkey, open_cache: Open) -> None:
    cache = await open_cache(valkey.url)
    await cache.set_many({"a:1": 1, "a:2": 2, "b:1": 3})
    for key in ("a:1", "a:2", "b:1"):
        await cache.get(key)
    assert await cache.invalidate_pattern("a:*") == 2
    assert cache.local_stats().near_entries == 1


@pytest.fixture(params=["valkey", "memory"])
async def cache(request: pytest.FixtureRequest, open_cache: Open) -> CacheService:
    return await open_cache(request.getfixturevalue("valkey").url if request.param == "valkey" else "memory://")


async def test_what_is_missing_is_loaded_in_one_call(cache: CacheService) -> None:
    asked: list[list[Key]] = []

    async def load(keys: list[Key]) -> dict[Key, str]:
        asked.append(keys)
        return {key: f"loaded {key}" for key in keys if key != ROW(3)}

    await cache.set(ROW(1), "there")
    keys = [ROW(i) for i in range(1, 6)]
    wanted = {"many-row:1": "there"} | {f"many-row:{i}": f"loaded many-row:{i}" for i in (2, 4, 5)}
    assert await cache.get_many(keys, load=load) == wanted
    assert asked == [[ROW(2), ROW(3), ROW(4), ROW(5)]]
    assert await cache.get_many(keys) == wanted
    assert await cache.get_many(["plain"], load=lambda keys: _named(keys)) == {"plain": "plain!"}
    cache.disable()
    assert await cache.get_many(keys[:2], load=load) == {
        "many-row:1": "loaded many-row:1",
        "many-row:2": "loaded many-row:2",
    }


async def _named(keys: list[str]) -> dict[str, str]:
    return {key: f"{key}!" for key in keys}


async def test_a_load_of_many_is_joined_and_its_error_reaches_all(cache: CacheService) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def load(keys: list[str]) -> dict[str, str]:
        started.set()
        await go_on.wait()
        raise LookupError("no rows")

    first = asyncio.create_task(cache.get_many(["a", "b"], load=load))
    await started.wait()
    loader = Loader("own")
    second = asyncio.create_task(cache.get_or_set("a", loader))
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(LookupError):
        await first
    outcome = (await asyncio.gather(second, return_exceptions=True))[0]
    assert isinstance(outcome, LookupError) or outcome == "own"
    assert await cache.get_or_set("b", loader) == "own"


async def test_a_forced_load_replaces_a_fresh_value(cache: CacheService) -> None:
    loader = Loader("old")
    await cache.get_or_set("k", loader)
    loader.value = "new"
    assert await cache.get_or_set("k", loader) == "old"
    assert await cache.get_or_set("k", loader, force=True) == "new"
    assert await cache.get_or_set("k", loader) == await cache.get("k") == "new"
    assert await cache.get_or_set("absent", loader, force=True) == await cache.get("absent") == "new"
    assert loader.calls == 3


async def test_a_value_is_changed_without_losing_an_update(cache: CacheService) -> None:
    await cache.set("count", 0)
    await asyncio.gather(*[cache.change("count", lambda count: count + 1) for _ in range(50)])
    assert await cache.get("count") == 50
    assert not await cache.change("absent", lambda value: value)
    assert [await cache.add("lock", i) for i in range(2)] == [True, False]
    assert await cache.get("lock") == 0
