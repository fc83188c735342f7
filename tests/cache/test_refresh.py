"""Nobody waits for a hot key: refreshed before it expires, stale while it reloads or its loader fails."""

import asyncio
import time

import pytest

from easymo.cache import CacheService, Strategy
from easymo.embedded import Valkey
from tests.cache.conftest import Loader, Open, eventually

HOT = Strategy("hot", key="hot:{id}", ttl=0.4, refresh="background")
STALE = Strategy("stale", key="stale:{id}", ttl=0.01, stale_for=60, refresh="background")
PATIENT = Strategy("patient", key="patient:{id}", ttl=0.01, stale_for=60, soft_timeout=5, refresh="background")
HASTY = Strategy("hasty", key="hasty:{id}", ttl=0.01, stale_for=60, soft_timeout=0.01, refresh="background")
BRIEF = Strategy("brief", key="brief:{id}", ttl=0.01, stale_for=0.05, refresh="background")


@pytest.fixture(params=["valkey", "memory"])
async def cache(request: pytest.FixtureRequest, open_cache: Open) -> CacheService:
    return await open_cache(request.getfixturevalue("valkey").url if request.param == "valkey" else "memory://")


async def went_stale(cache: CacheService, key: object) -> None:
    """The ttl is over: `get` does not give the value any more."""

    async def gone() -> bool:
        return await cache.get(key) is None  # type: ignore[call-overload]

    await eventually(gone)


async def test_a_hot_key_is_loaded_again_before_it_expires_and_nobody_waits(cache: CacheService) -> None:
    loader = Loader()
    await cache.get_or_set(HOT(1), loader, background_safe=True)
    loader.hold()
    loads_that_end = time.monotonic() + 1.5
    slowest_s = 0.0
    while loader.calls < 4 and time.monotonic() < loads_that_end:
        started = time.monotonic()
        calls = [cache.get_or_set(HOT(1), loader, background_safe=True) for _ in range(20)]
        assert await asyncio.gather(*calls) == ["value"] * 20
        slowest_s = max(slowest_s, time.monotonic() - started)
        if loader.started.is_set():
            loader.release()
            await eventually(lambda: loader.finished == loader.calls)
            loader.hold()
        await asyncio.sleep(0.001)
    loader.release()
    assert loader.calls == 4
    assert (await cache.stats()).strategies["hot"].misses == 1, "only the first caller ever had to wait"


async def test_one_caller_of_many_refreshes(cache: CacheService) -> None:
    loader = Loader("old")
    await cache.get_or_set(STALE(1), loader, background_safe=True)
    await went_stale(cache, STALE(1))
    loader.value = "new"
    loader.hold()
    calls = [cache.get_or_set(STALE(1), loader, background_safe=True) for _ in range(50)]
    assert await asyncio.gather(*calls) == ["old"] * 50
    await loader.started.wait()
    assert loader.calls == 2
    loader.release()

    async def renewed() -> bool:
        return await cache.get_or_set(STALE(1), loader, background_safe=True) == "new"

    await eventually(renewed)


async def test_a_stale_value_is_a_hit_without_age_left_and_counted_apart(cache: CacheService) -> None:
    loader = Loader("old")
    await cache.get_or_set(STALE(1), loader, background_safe=True)
    await went_stale(cache, STALE(1))
    loader.hold()
    stale = await cache.get_or_set_bytes(STALE(1), loader, background_safe=True)
    assert (stale, stale.outcome, stale.max_age_s) == (b'"old"', "HIT", 0)
    assert (await cache.stats()).strategies["stale"].stale == 1
    loader.release()


async def test_a_stale_value_is_served_while_the_loader_fails_with_pauses_between_attempts(cache: CacheService) -> None:
    loader = Loader("old")
    await cache.get_or_set(STALE(1), loader, background_safe=True)
    await went_stale(cache, STALE(1))
    loader.error = ConnectionError("the database is away")
    assert await cache.get_or_set(STALE(1), loader, background_safe=True) == "old"
    await eventually(lambda: loader.finished == 2)
    for _ in range(20):
        assert await cache.get_or_set(STALE(1), loader, background_safe=True) == "old"
        await asyncio.sleep(0)
    assert loader.calls == 2
    assert (await cache.stats()).strategies["stale"].load_errors == 1


async def test_when_stale_for_is_over_the_error_reaches_the_caller(cache: CacheService) -> None:
    loader = Loader("old")
    await cache.get_or_set(BRIEF(1), loader, background_safe=True)
    loader.error = ConnectionError("the database is away")

    async def fails() -> bool:
        try:
            return await cache.get_or_set(BRIEF(1), loader, background_safe=True) != "old"
        except ConnectionError:
            return True

    await eventually(fails)


async def test_a_soft_time_out_prefers_the_new_value_when_it_comes_in_time(cache: CacheService) -> None:
    loader = Loader("old")
    await cache.get_or_set(PATIENT(1), loader, background_safe=True)
    await went_stale(cache, PATIENT(1))
    loader.value = "new"
    assert await cache.get_or_set(PATIENT(1), loader, background_safe=True) == "new"


async def test_a_soft_time_out_gives_the_stale_value_when_the_load_is_slow(cache: CacheService) -> None:
    loader = Loader("old")
    await cache.get_or_set(HASTY(1), loader, background_safe=True)
    await went_stale(cache, HASTY(1))
    loader.value = "new"
    loader.hold()
    assert await cache.get_or_set(HASTY(1), loader, background_safe=True) == "old"
    loader.release()

    async def renewed() -> bool:
        return await cache.get_or_set(HASTY(1), loader, background_safe=True) == "new"

    await eventually(renewed)
    assert loader.calls >= 2


async def test_a_refresh_under_way_when_the_key_is_deleted_stores_nothing(cache: CacheService) -> None:
    old = Loader("old")
    await cache.get_or_set(STALE(1), old, background_safe=True)
    await went_stale(cache, STALE(1))
    old.hold()
    await cache.get_or_set(STALE(1), old, background_safe=True)
    await old.started.wait()
    await cache.delete(STALE(1))
    assert await cache.get_or_set(STALE(1), Loader("new"), ttl=60) == "new"
    old.release()
    await eventually(lambda: old.finished == 2)
    await eventually(lambda: cache.local_stats().strategies["stale"].unstored == 1)
    assert await cache.get(STALE(1)) == "new"


async def test_two_processes_refresh_once(valkey: Valkey, open_cache: Open) -> None:
    url = valkey.url
    first, second = await open_cache(url), await open_cache(url)
    loader = Loader("old")
    await first.get_or_set(STALE(1), loader, background_safe=True)
    await went_stale(second, STALE(1))
    loader.hold()
    for cache in (first, second, first, second):
        assert await cache.get_or_set(STALE(1), loader, background_safe=True) == "old"
    await loader.started.wait()
    await asyncio.gather(first.get("fence"), second.get("fence"))
    assert loader.calls == 2
    loader.release()


async def test_jitter_shortens_a_ttl_by_no_more_than_its_ratio(cache: CacheService) -> None:
    spread = Strategy("spread", key="spread:{id}", ttl=1000, jitter=0.2)
    ages = [(await cache.get_or_set_bytes(spread(i), Loader())).max_age_s for i in range(50)]
    assert 799 <= min(ages) < 900 < max(ages) <= 1000
