"""The stored form: golden files, and what a program in another language may do with our keys."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import redis.asyncio as redis

from easymo.cache import CacheService, Strategy
from easymo.cache.stored_form import Foreign, Lease, Stored, pack, unpack
from tests.cache.conftest import Loader, Open, eventually

GOLDEN = Path(__file__).parent / "golden"
TAGGED = Strategy("row", key="row:{id}", ttl=60, tags=("rows",))
PLAIN = Stored(b"em\x01V" + bytes(range(8)), 1_764_000_000_000, 1_764_000_060_000, 1_764_000_090_000, {}, b'{"a":1}')
WITH_TAGS = msgspec.structs.replace(PLAIN, tags={"user:7": "00112233aabbccdd", "users": "ffeeddcc99887766"})


@pytest.fixture
async def cache(server_url: str, open_cache: Open) -> CacheService:
    return await open_cache(server_url)


@pytest.fixture
async def client(server_url: str) -> AsyncIterator[redis.Redis]:
    """Any other program."""
    async with redis.Redis.from_url(server_url) as client:
        yield client


@pytest.mark.parametrize(("name", "stored"), [("value.bin", PLAIN), ("value-with-tags.bin", WITH_TAGS)])
def test_the_stored_form_is_the_golden_one(name: str, stored: Stored) -> None:
    golden = (GOLDEN / name).read_bytes()
    assert pack(stored) == golden
    assert unpack(golden) == stored


def test_a_lease_is_the_golden_one() -> None:
    golden = (GOLDEN / "lease.bin").read_bytes()
    assert unpack(golden) == Lease(golden)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"em",
        b'{"a":1}',
        pack(PLAIN).replace(b"\x01", b"\x02", 1),
        pack(PLAIN)[:30],
        pack(PLAIN)[:40],
        pack(WITH_TAGS)[:60],
        pack(WITH_TAGS).replace(b'"user', b"\xff\xffxxx", 1),
        (GOLDEN / "lease.bin").read_bytes() + b"x",
    ],
)
def test_what_is_damaged_or_foreign_is_neither_value_nor_lease(raw: bytes) -> None:
    assert isinstance(unpack(raw), Foreign)


@pytest.mark.parametrize("raw", [b"not ours", b"", pack(PLAIN)[:37], b"x" * 100])
async def test_a_foreign_entry_is_a_counted_miss_and_is_replaced(
    cache: CacheService, client: redis.Redis, namespace: str, raw: bytes
) -> None:
    await client.set(f"{namespace}:k", raw, ex=60)
    assert await cache.get("k") is None
    loader = Loader()
    assert await cache.get_or_set("k", loader) == "value"
    assert await cache.get("k") == "value"
    # What has no bytes at all is removed by the first who sees it.
    assert (await cache.stats()).strategies[""].corrupt == (2 if raw else 1)


async def test_a_foreign_list_is_a_counted_miss_and_is_replaced(
    cache: CacheService, client: redis.Redis, namespace: str
) -> None:
    await client.lpush(f"{namespace}:k", "x")
    assert await cache.get_or_set("k", Loader()) == "value"
    assert await cache.get("k") == "value"
    assert (await cache.stats()).strategies[""].corrupt == 1


async def test_a_damaged_payload_is_a_counted_miss_and_is_replaced(
    cache: CacheService, client: redis.Redis, namespace: str
) -> None:
    await cache.set("k", {"a": 1}, ttl=60)
    await client.setrange(f"{namespace}:k", 41, b"\x00\xff")
    loader = Loader({"a": 2})
    assert await cache.get("k") is None
    assert await cache.get_or_set("k", loader) == {"a": 2}
    assert await cache.get("k") == {"a": 2}
    assert (await cache.stats()).strategies[""].corrupt == 2


@pytest.mark.parametrize("command", ["DEL", "UNLINK", "EXPIRE 0", "FLUSHDB"])
async def test_what_any_client_deletes_is_gone_from_every_near_cache(
    cache: CacheService, client: redis.Redis, open_cache: Open, server_url: str, namespace: str, command: str
) -> None:
    other = await open_cache(server_url)
    await cache.set("k", "old", ttl=60)
    for each in (cache, other):
        assert await each.get("k") == "old"
        assert each.local_stats().near_entries == 1
    match command.split():
        case ["EXPIRE", zero]:
            await client.execute_command("EXPIRE", f"{namespace}:k", zero)
        case ["FLUSHDB"]:
            await client.flushdb()
        case [word]:
            await client.execute_command(word, f"{namespace}:k")
    for each in (cache, other):
        await each.get("fence")
        assert await each.get("k") is None


async def test_any_clients_del_of_a_tag_invalidates_its_values(
    cache: CacheService, client: redis.Redis, namespace: str
) -> None:
    await cache.get_or_set(TAGGED(1), Loader())
    assert await cache.get(TAGGED(1)) == await cache.get(TAGGED(1)) == "value"
    await client.delete(f"{namespace}~tag:rows")
    await cache.get("fence")
    assert await cache.get(TAGGED(1)) is None


async def test_any_clients_del_during_a_load_wins(cache: CacheService, client: redis.Redis, namespace: str) -> None:
    loader = Loader("old")
    loader.hold()
    call = asyncio.create_task(cache.get_or_set("k", loader))
    await loader.started.wait()
    await client.delete(f"{namespace}:k")
    await cache.get("fence")
    assert await cache.get_or_set("k", Loader("new")) == "new"
    loader.release()
    assert await call == "old"
    assert await cache.get("k") == "new"


async def test_a_value_written_by_another_program_as_documented_is_read(
    cache: CacheService, client: redis.Redis, namespace: str
) -> None:
    """The recipe of docs/reference/cache-stored-form.md, in plain Python."""
    now_ms = int(time.time() * 1000)
    header = b"em\x01V" + b"8 random"
    for moment_ms in (now_ms + 50_000, now_ms + 60_000, now_ms + 60_000):
        header += moment_ms.to_bytes(8, "big")
    raw = header + (0).to_bytes(4, "big") + json.dumps({"from": "elsewhere"}).encode()
    await client.execute_command("SET", f"{namespace}:k", raw, "PXAT", now_ms + 60_000)
    assert await cache.get("k") == {"from": "elsewhere"}


async def test_a_near_copy_never_outlives_the_key_in_redis(
    cache: CacheService, client: redis.Redis, namespace: str
) -> None:
    await cache.set("k", "value", ttl=0.5)
    expires_at_ms = await client.pexpiretime(f"{namespace}:k")
    assert await cache.get("k") == "value"

    async def over() -> bool:
        seconds, microseconds = await client.time()
        if await cache.get("k") is None:
            return True
        assert seconds * 1000 + microseconds / 1000 < expires_at_ms, "Redis said that it was over, then it was served"
        return False

    await eventually(over)


async def test_every_key_in_redis_has_an_end(cache: CacheService, client: redis.Redis, namespace: str) -> None:
    await cache.get_or_set(TAGGED(1), Loader())
    await cache.set("k", 1)
    names = [name async for name in client.scan_iter(match=f"{namespace}*")]
    assert len(names) == 3
    for name in names:
        assert await client.pttl(name) > 0
