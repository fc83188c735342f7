"""The near cache: bounded by bytes, never a shared mutable value, and the fast path it is there for."""

import tracemalloc
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest

from easymo.cache import CacheService, Strategy
from easymo.cache.counters import Counters
from easymo.cache.immutable import is_immutable_type
from easymo.cache.near import ENTRY_OVERHEAD_BYTES, Entry, Near
from easymo.embedded import Valkey
from tests.cache.conftest import Loader, Open


class Frozen(msgspec.Struct, frozen=True):
    name: str
    at: datetime | None = None
    ids: tuple[UUID, ...] = ()


class WithList(msgspec.Struct, frozen=True):
    names: list[str]


class Thawed(msgspec.Struct):
    name: str


class Node(msgspec.Struct, frozen=True):
    child: "Node | None" = None


class Colour(Enum):
    RED = "red"


def entry(payload: bytes = b"1", tags: dict[str, str] | None = None) -> Entry:
    return Entry(b"", payload, 9e9, 9e9, 9e9, tags or {}, Counters())


def test_it_stays_below_its_limit_and_keeps_what_is_used() -> None:
    near = Near(100 * (ENTRY_OVERHEAD_BYTES + 10))
    for i in range(1000):
        near.put(f"k{i}", entry())
        if "k0" in near.entries:
            near.entries["k0"].visited = True
        assert near.bytes <= near.limit_bytes
    assert "k0" in near.entries
    assert "k500" not in near.entries
    assert 90 <= len(near.entries) <= 100


def test_what_is_larger_than_all_of_it_is_not_kept() -> None:
    near = Near(10_000)
    near.put("small", entry())
    near.put("large", entry(b"x" * 20_000))
    assert list(near.entries) == ["small"]


def test_its_size_goes_back_to_nothing() -> None:
    near = Near(10**6)
    for i in range(50):
        near.know_tag(f"t{i}", "1")
        near.put(f"k{i}", entry(b"x" * i, {f"t{i}": "1"}))
        near.keep_decoded(f"k{i}", near.entries[f"k{i}"], int, 1)
        near.put(f"k{i}", entry(b"x", {f"t{i}": "1"}))
    for i in range(50):
        near.drop_tag(f"t{i}")
    assert (near.bytes, len(near.entries), len(near.tags)) == (0, 0, 0)


def test_an_evicted_tag_takes_its_values_along() -> None:
    near = Near(20 * ENTRY_OVERHEAD_BYTES)
    for i in range(200):
        near.know_tag(f"t{i}", "1")
        near.put(f"k{i}", entry(tags={f"t{i}": "1"}))
        assert all(tag in near.tags for kept in near.entries.values() for tag in kept.tags)
        assert near.bytes <= near.limit_bytes


async def test_the_limit_holds_for_what_the_process_really_uses(valkey: Valkey, open_cache: Open) -> None:
    limit_bytes = 2_000_000
    cache = await open_cache(valkey.url, near_bytes=limit_bytes)
    row = Strategy("row", key="row:{id}", ttl=600)
    for i in range(3000):
        await cache.set(row(i), Frozen(f"name {i}" * 20, ids=(UUID(int=i),) * 5))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for i in range(3000):
        await cache.get(row(i), type=Frozen)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cache.local_stats().near_entries > 200
    assert cache.local_stats().near_bytes <= limit_bytes
    assert after - before <= limit_bytes


@pytest.mark.parametrize(
    "type_",
    [str, int, UUID, datetime, Colour, Literal["a"], Frozen, Frozen | None, tuple[Frozen, ...], Annotated[int, "x"]],
)
def test_what_nobody_can_change_is_shared(type_: Any) -> None:
    assert is_immutable_type(type_)


@pytest.mark.parametrize(
    "type_", [list[int], dict[str, int], Thawed, WithList, tuple[list[int], ...], list[Frozen], tuple, Node, dict]
)
def test_what_somebody_could_change_is_not(type_: Any) -> None:
    assert not is_immutable_type(type_)


async def test_callers_get_the_same_frozen_struct_but_never_the_same_list(valkey: Valkey, open_cache: Open) -> None:
    cache = await open_cache(valkey.url)
    await cache.set("frozen", Frozen("x"))
    await cache.set("list", WithList(["x"]))
    frozen = [await cache.get("frozen", type=Frozen) for _ in range(3)]
    lists = [await cache.get("list", type=WithList) for _ in range(3)]
    assert frozen[1] is frozen[2]
    assert lists[1] is not None
    assert lists[2] is not None
    assert lists[1].names is not lists[2].names


async def test_one_key_may_be_read_as_two_types(valkey: Valkey, open_cache: Open) -> None:
    cache = await open_cache(valkey.url)
    await cache.set("k", {"name": "x"})
    for _ in range(3):
        assert await cache.get("k", type=Frozen) == Frozen("x")
        assert await cache.get("k") == {"name": "x"}


async def test_a_second_read_asks_nobody(valkey: Valkey, open_cache: Open) -> None:
    cache: CacheService = await open_cache(valkey.url)
    user = Strategy("user", key="user:{user_id}", ttl=60, tags=("users",))
    loader = Loader({"name": "x"})
    for _ in range(3):
        await cache.get_or_set(user(7), loader, type=Frozen)
    before = (await cache.stats()).server
    for _ in range(100):
        await cache.get_or_set(user(7), loader, type=Frozen)
        await cache.get(user(7), type=Frozen)
    stats = await cache.stats()
    assert before is not None
    assert stats.server is not None
    commands = int(stats.server["total_commands_processed"]) - int(before["total_commands_processed"])
    assert commands < 20, "the statistics themselves and a heartbeat"
    assert stats.strategies["user"].near_hits >= 200


async def test_the_near_cache_can_be_turned_off_and_stats_says_so(valkey: Valkey, open_cache: Open) -> None:
    cache = await open_cache(valkey.url, near_bytes=0)
    tagged = Strategy("tagged", key="tagged:{id}", ttl=60, tags=("t",))
    loader = Loader()
    for _ in range(3):
        assert await cache.get_or_set(tagged(1), loader) == "value"
    stats = await cache.stats()
    assert (loader.calls, stats.near, stats.near_entries, stats.near_reason) == (1, False, 0, "near_bytes is 0")
    await cache.invalidate_tag("t")
    assert await cache.get(tagged(1)) is None
