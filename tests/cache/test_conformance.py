"""What every store must do: memory, Valkey, Debian's Redis 7 and a cluster run the same tests."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from easymo.cache import MISSING, CacheService, Strategy
from easymo.cache.errors import StrategyError, UnstorableValue
from tests.cache.conftest import Loader, Open, eventually


class Payment(msgspec.Struct, frozen=True):
    id: UUID
    amount: Decimal
    at: datetime
    note: str | None = None


PAYMENT = Payment(UUID(int=7), Decimal("12.30"), datetime(2026, 11, 24, 7, 30, tzinfo=UTC))
USER = Strategy("user", key="user:{user_id}", ttl=60, tags=("user:{user_id}", "users"))
FINAL = Strategy("message", key="message:{id}", ttl=lambda message: 3600 if message["read"] else 0)


@pytest.fixture
async def cache(any_url: str, open_cache: Open) -> CacheService:
    return await open_cache(any_url)


async def test_a_value_comes_back_as_it_was_set(cache: CacheService) -> None:
    await cache.set("k", {"a": [1, 2.5, "x", None]}, ttl=60)
    assert await cache.get("k") == {"a": [1, 2.5, "x", None]}


async def test_an_absent_value_is_the_default(cache: CacheService) -> None:
    assert await cache.get("absent") is None
    assert await cache.get("absent", MISSING) is MISSING


async def test_none_is_a_value(cache: CacheService) -> None:
    loader = Loader(None)
    assert await cache.get_or_set("none", loader) is None
    assert await cache.get_or_set("none", loader) is None
    assert loader.calls == 1
    assert await cache.get("none", MISSING) is None


async def test_datetime_decimal_and_uuid_come_back_typed(cache: CacheService) -> None:
    async def load() -> Payment:
        return PAYMENT

    for _ in range(3):
        assert await cache.get_or_set("payment", load, type=Payment) == PAYMENT
    assert await cache.get("payment", type=Payment) == PAYMENT


async def test_a_miss_returns_what_a_hit_would(cache: CacheService) -> None:
    loader = Loader({"id": UUID(int=1)})
    first = await cache.get_or_set("k", loader)
    assert first == {"id": str(UUID(int=1))} == await cache.get_or_set("k", loader)


async def test_a_ttl_ends(cache: CacheService) -> None:
    await cache.set("k", 1, ttl=timedelta(milliseconds=60))
    assert await cache.get("k") == 1

    async def gone() -> bool:
        return await cache.get("k") is None

    await eventually(gone)


async def test_a_ttl_of_zero_stores_nothing_and_removes_the_old_value(cache: CacheService) -> None:
    await cache.set("k", "old", ttl=60)
    await cache.set("k", "new", ttl=0)
    assert await cache.get("k") is None


async def test_a_ttl_below_zero_is_refused(cache: CacheService) -> None:
    with pytest.raises(ValueError, match="below zero"):
        await cache.set("k", 1, ttl=-1)


async def test_the_loader_may_choose_the_ttl_from_its_value(cache: CacheService) -> None:
    unread, read = Loader({"read": False}), Loader({"read": True})
    for _ in range(2):
        await cache.get_or_set(FINAL(1), unread)
        await cache.get_or_set(FINAL(2), read)
    assert (unread.calls, read.calls) == (2, 1)


async def test_delete_says_how_many_there_were(cache: CacheService) -> None:
    await cache.set_many({"a": 1, "b": 2}, ttl=60)
    assert await cache.delete("a", "b", "c") == 2
    assert await cache.get_many(["a", "b"]) == {}


async def test_many_are_read_and_written_together(cache: CacheService) -> None:
    await cache.set_many({"a": 1, USER(7): {"name": "x"}, "none": None}, ttl=60)
    assert await cache.get_many(["a", USER(7), "none", "absent"]) == {"a": 1, "user:7": {"name": "x"}, "none": None}


async def test_a_tag_invalidates_every_value_that_carries_it_and_no_other(cache: CacheService) -> None:
    loader = Loader("x")
    for user_id in (7, 8):
        await cache.get_or_set(USER(user_id), loader)
    await cache.invalidate_tag("user:7")
    assert await cache.get(USER(7)) is None
    assert await cache.get(USER(8)) == "x"
    await cache.invalidate_tag("users")
    assert await cache.get(USER(8)) is None
    assert await cache.get_or_set(USER(7), loader) == "x"
    assert await cache.get(USER(7)) == "x"


async def test_a_value_set_before_its_tag_is_invalidated_goes_too(cache: CacheService) -> None:
    await cache.set(USER(7), "x")
    assert await cache.get(USER(7)) == "x"
    await cache.invalidate_tag("users")
    assert await cache.get(USER(7)) is None


async def test_a_pattern_deletes_matching_keys_of_its_namespace_only(
    any_url: str, cache: CacheService, open_cache: Open
) -> None:
    await cache.set_many({"call:1": 1, "call:2": 2, "user:1": 3, "ca*l:1": 4}, ttl=60)
    assert await cache.invalidate_pattern("ca\\*l:*") == 1
    assert await cache.invalidate_pattern("call:[13]") == 1
    if any_url != "memory://":
        other = await open_cache(any_url, namespace="other")
        await other.set("call:9", 9, ttl=60)
        assert await cache.invalidate_pattern("*") == 2
        assert await other.get("call:9") == 9
    else:
        assert await cache.invalidate_pattern("call:?") == 1
        assert await cache.get("user:1") == 3


async def test_fifty_callers_make_one_load(cache: CacheService) -> None:
    loader = Loader()
    loader.hold()
    calls = [asyncio.create_task(cache.get_or_set("k", loader)) for _ in range(50)]
    await loader.started.wait()
    await asyncio.wait(calls, timeout=0.1)  # those that still ask the cluster join meanwhile; none can finish
    loader.release()
    assert await asyncio.gather(*calls) == ["value"] * 50
    assert loader.calls == 1


async def test_two_services_make_one_load(any_url: str, cache: CacheService, open_cache: Open) -> None:
    if any_url == "memory://":
        pytest.skip("memory:// is one service")
    other = await open_cache(any_url)
    loader = Loader()
    loader.hold()
    calls = [asyncio.create_task(service.get_or_set("k", loader)) for service in (cache, other) for _ in range(10)]
    await loader.started.wait()
    loader.release()
    assert await asyncio.gather(*calls) == ["value"] * 20
    assert loader.calls == 1


async def test_a_delete_during_the_load_wins(cache: CacheService) -> None:
    old = Loader("old")
    old.hold()
    first = asyncio.create_task(cache.get_or_set("k", old))
    await old.started.wait()
    await cache.delete("k")
    old.release()
    assert await first == "old"
    assert await cache.get_or_set("k", Loader("new")) == "new"
    assert await cache.get("k") == "new"


async def test_a_caller_after_a_delete_does_not_join_the_older_load(cache: CacheService) -> None:
    old = Loader("old")
    old.hold()
    first = asyncio.create_task(cache.get_or_set("k", old))
    await old.started.wait()
    await cache.delete("k")
    assert await cache.get_or_set("k", Loader("new")) == "new"
    old.release()
    await first
    assert await cache.get("k") == "new"


async def test_a_tag_invalidated_during_the_load_wins(cache: CacheService) -> None:
    old = Loader("old")
    old.hold()
    first = asyncio.create_task(cache.get_or_set(USER(7), old))
    await old.started.wait()
    await cache.invalidate_tag("user:7")
    old.release()
    assert await first == "old"
    assert await cache.get(USER(7)) is None
    assert await cache.get_or_set(USER(7), Loader("new")) == "new"


async def test_a_pattern_invalidated_during_the_load_wins(cache: CacheService) -> None:
    old = Loader("old")
    old.hold()
    first = asyncio.create_task(cache.get_or_set("call:1", old))
    await old.started.wait()
    await cache.invalidate_pattern("call:*")
    assert await cache.get_or_set("call:1", Loader("new")) == "new"
    old.release()
    await first
    assert await cache.get("call:1") == "new"


async def test_a_set_during_the_load_wins(cache: CacheService) -> None:
    old = Loader("old")
    old.hold()
    first = asyncio.create_task(cache.get_or_set("k", old))
    await old.started.wait()
    await cache.set("k", "set", ttl=60)
    old.release()
    await first
    assert await cache.get("k") == "set"


async def test_an_error_of_the_loader_reaches_every_waiter_and_is_not_cached(cache: CacheService) -> None:
    loader = Loader()
    loader.error = LookupError("no such user")
    loader.hold()
    calls = [asyncio.create_task(cache.get_or_set("k", loader)) for _ in range(5)]
    await loader.started.wait()
    await asyncio.wait(calls, timeout=0.1)  # those that still ask the cluster join meanwhile; none can finish
    loader.release()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LookupError] * 5
    assert loader.calls == 1
    loader.error = None
    assert await cache.get_or_set("k", loader) == "value"


async def test_what_json_cannot_carry_is_an_error_and_leaves_no_lease(cache: CacheService) -> None:
    with pytest.raises(UnstorableValue, match="cannot be stored"):
        await cache.get_or_set("k", Loader(object()))
    assert await cache.get_or_set("k", Loader("fine")) == "fine"


async def test_a_loader_that_breaks_its_type_is_an_error(cache: CacheService) -> None:
    with pytest.raises(UnstorableValue, match="does not fit"):
        await cache.get_or_set("k", Loader("text"), type=Payment)


async def test_a_value_of_another_shape_is_a_counted_miss(cache: CacheService) -> None:
    await cache.set("payment", {"shape": "of an older release"}, ttl=60)
    assert await cache.get("payment", type=Payment) is None
    loader = Loader(PAYMENT)
    assert await cache.get_or_set("payment", loader, type=Payment) == PAYMENT
    assert await cache.get_or_set("payment", loader, type=Payment) == PAYMENT
    assert loader.calls == 1
    assert (await cache.stats()).strategies[""].corrupt == 2


async def test_bytes_are_the_json_and_say_where_they_came_from(cache: CacheService) -> None:
    loader = Loader({"a": 1})
    first = await cache.get_or_set_bytes("k", loader, ttl=60)
    second = await cache.get_or_set_bytes("k", loader, ttl=60)
    assert (bytes(first), first.outcome) == (b'{"a":1}', "MISS")
    assert (bytes(second), second.outcome) == (b'{"a":1}', "HIT")
    assert 58 <= second.max_age_s <= first.max_age_s <= 60
    assert first.version == second.version


async def test_bytes_of_a_loader_are_taken_as_json(cache: CacheService) -> None:
    assert await cache.get_or_set_bytes("k", Loader(b"[1, 2]")) == b"[1, 2]"
    assert await cache.get("k") == [1, 2]


async def test_nobody_can_change_what_others_get(cache: CacheService) -> None:
    loader = Loader({"list": [1]})
    for _ in range(3):
        value = await cache.get_or_set("k", loader)
        assert value == {"list": [1]}
        value["list"].append(2)


async def test_two_strategies_that_make_the_same_keys_are_refused(cache: CacheService) -> None:
    await cache.get(USER(7))
    with pytest.raises(StrategyError, match="make the same keys"):
        await cache.get(Strategy("account", key="user:{account}", ttl=1)(7))


async def test_disabled_it_reads_and_stores_nothing(cache: CacheService) -> None:
    await cache.set("k", "old", ttl=60)
    cache.disable()
    loader = Loader("new")
    assert await cache.get("k") is None
    assert await cache.get_or_set("k", loader) == "new"
    assert (await cache.get_or_set_bytes("k", loader)).outcome == "BYPASS"
    await cache.delete("k")
    cache.enable()
    assert await cache.get("k") is None


async def test_every_read_is_counted_once(cache: CacheService) -> None:
    loader = Loader()
    await cache.get("absent")
    await cache.get_or_set("k", loader)
    for _ in range(4):
        await cache.get_or_set("k", loader)
    cache.disable()
    await cache.get("k")
    counted = (await cache.stats()).strategies[""]
    assert (counted.misses, counted.bypasses, counted.loads) == (2, 1, 1)
    assert counted.near_hits + counted.redis_hits == 4
