"""Single flight: callers share a load, and none of them can harm the others."""

import asyncio

import pytest

from easymo.cache import CacheService, Strategy
from easymo.cache.errors import CacheNotOpen, LoaderCancelled, LoaderTimeout
from tests.cache.conftest import Loader, Open, eventually

SLOW = Strategy("slow", key="slow:{id}", ttl=60, hard_timeout=0.02)


@pytest.fixture
async def cache(server_url: str, open_cache: Open) -> CacheService:
    return await open_cache(server_url)


@pytest.mark.parametrize(("who", "loads"), [(0, 2), (5, 1)], ids=["the first caller", "a waiter"])
@pytest.mark.parametrize("background_safe", [False, True])
async def test_a_cancelled_caller_harms_nobody(
    cache: CacheService, loader: Loader, who: int, loads: int, background_safe: bool
) -> None:
    """Its own load ends with it, and one of the others takes over; a load in the background goes on."""
    loader.hold()
    calls = [asyncio.create_task(cache.get_or_set("k", loader, background_safe=background_safe)) for _ in range(10)]
    await loader.started.wait()
    calls[who].cancel()
    await asyncio.gather(calls[who], return_exceptions=True)
    loader.release()
    others = [call for call in calls if call is not calls[who]]
    assert await asyncio.gather(*others) == ["value"] * 9
    assert calls[who].cancelled()
    assert loader.calls == (1 if background_safe else loads)


async def test_callers_cancelled_at_any_moment_leave_a_value_for_the_next(cache: CacheService) -> None:
    for steps in range(30):
        loader = Loader(steps)
        call = asyncio.create_task(cache.get_or_set(f"k{steps}", loader))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert await cache.get_or_set(f"k{steps}", loader) == steps
        assert await cache.get(f"k{steps}") == steps


async def test_a_load_in_the_background_that_everybody_left_is_finished_and_stored(
    cache: CacheService, loader: Loader
) -> None:
    loader.hold()
    call = asyncio.create_task(cache.get_or_set("k", loader, background_safe=True))
    await loader.started.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    loader.release()

    async def stored() -> bool:
        return await cache.get("k") == "value"

    await eventually(stored)


async def test_an_error_that_nobody_waits_for_is_counted_and_silent(cache: CacheService, loader: Loader) -> None:
    loader.error = LookupError("gone")
    loader.hold()
    call = asyncio.create_task(cache.get_or_set("k", loader, background_safe=True))
    await loader.started.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    loader.release()
    await eventually(lambda: cache.local_stats().strategies[""].load_errors == 1)


async def test_a_loader_that_cancels_itself_is_an_error_not_a_cancelled_caller(cache: CacheService) -> None:
    async def load() -> None:
        raise asyncio.CancelledError

    with pytest.raises(LoaderCancelled, match="from inside"):
        await cache.get_or_set("k", load)


async def test_a_hard_time_out_ends_the_load_within_the_call(cache: CacheService, loader: Loader) -> None:
    loader.hold()
    with pytest.raises(LoaderTimeout, match=r"0\.02 s"):
        await cache.get_or_set(SLOW(1), loader)
    loader.release()
    assert loader.finished == 0
    assert await cache.get_or_set(SLOW(1), loader) == "value"
    assert loader.calls == 2


async def test_a_hard_time_out_frees_the_caller_and_the_load_in_the_background_goes_on(
    cache: CacheService, loader: Loader
) -> None:
    loader.hold()
    with pytest.raises(LoaderTimeout, match=r"0\.02 s"):
        await cache.get_or_set(SLOW(1), loader, background_safe=True)
    loader.release()

    async def stored() -> bool:
        return await cache.get(SLOW(1)) == "value"

    await eventually(stored)
    assert loader.calls == 1


async def test_a_time_out_of_the_loader_itself_stays_what_it_is(cache: CacheService) -> None:
    async def load() -> None:
        raise TimeoutError("the database took too long")

    with pytest.raises(TimeoutError, match="the database"):
        await cache.get_or_set(SLOW(2), load)


async def test_closing_ends_loads_in_the_background_and_tells_all_who_wait(server_url: str) -> None:
    background, own = Loader(), Loader("own")
    background.hold()
    own.hold()
    async with CacheService(server_url, namespace="closing") as cache:
        owner = asyncio.create_task(cache.get_or_set("own", own))
        await own.started.wait()
        waiter = asyncio.create_task(cache.get_or_set("own", own))
        call = asyncio.create_task(cache.get_or_set("k", background, background_safe=True))
        await background.started.wait()
    for waiting in (call, waiter):
        with pytest.raises(CacheNotOpen):
            await waiting
    assert background.finished == 0
    own.release()
    assert await owner == "own", "it loads within its own call, which goes on"


async def test_a_long_load_keeps_its_lease(
    server_url: str, open_cache: Open, cache: CacheService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easymo.cache.lease._LEASE_MS", 300)
    monkeypatch.setattr("easymo.cache.lease.RENEW_S", 0.03)
    other = await open_cache(server_url)
    loader = Loader()
    loader.hold()
    first = asyncio.create_task(cache.get_or_set("k", loader))
    await loader.started.wait()
    second = asyncio.create_task(other.get_or_set("k", loader))
    await asyncio.wait((second,), timeout=0.9)  # three leases long
    loader.release()
    assert await first == await second == "value"
    assert loader.calls == 1


async def test_a_delete_by_any_client_during_a_renewed_load_is_heard(
    server_url: str, open_cache: Open, cache: CacheService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easymo.cache.lease.RENEW_S", 0.01)
    other = await open_cache(server_url)
    old = Loader("old")
    old.hold()
    first = asyncio.create_task(cache.get_or_set("k", old))
    await old.started.wait()
    commands = (await cache.stats()).server["total_commands_processed"]  # type: ignore[index]

    async def renewed() -> bool:
        return (await cache.stats()).server["total_commands_processed"] > commands + 10  # type: ignore[index, operator]

    await eventually(renewed)
    await other.delete("k")
    await cache.get("fence")
    assert await cache.get_or_set("k", Loader("new")) == "new"
    old.release()
    assert await first == "old"
    assert await cache.get("k") == "new"
