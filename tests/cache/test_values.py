"""Values: the same wherever they come from, and of the kinds that programs have."""

import ipaddress
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import numpy as np
import pydantic
import pytest
import redis.asyncio as redis

from easymo.cache import CacheService, Strategy
from easymo.cache.errors import UnstorableValue
from easymo.cache.stored_form import COMPRESSED, VALUE
from easymo.embedded import Valkey
from tests.cache.conftest import Loader, Open


class User(pydantic.BaseModel):
    id: int
    name: str = pydantic.Field(alias="userName")
    born: date | None = None
    tags: set[str] = set()


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    id: UUID
    at: datetime


class Row(TypedDict):
    id: int
    at: datetime


class Struct(msgspec.Struct):
    user: User
    path: Path


@dataclass
class Data:
    id: int
    amount: Decimal


class Point(NamedTuple):
    x: int
    y: int


class Colour(Enum):
    RED = "red"


USER = User(id=1, userName="Ada", born=date(1815, 12, 10), tags={"a"})
AT = datetime(2026, 1, 1)
TYPED: list[tuple[Any, Any]] = [
    (USER, User),
    ([USER], list[User]),
    (None, User | None),
    (USER, User | None),
    ({"a": USER}, dict[str, User]),
    (Strict(id=UUID(int=1), at=AT), Strict),
    ({"id": 1, "at": AT}, Row),
    (Struct(USER, Path("/x")), Struct),
    (Data(1, Decimal("1.5")), Data),
    (Point(1, 2), Point),
    ((1, "x"), tuple[int, str]),
    ({1, 2}, set[int]),
    ({1: "a"}, dict[int, str]),
    (b"\x00\xff", bytes),
    (Colour.RED, Colour),
    (timedelta(seconds=1.5), timedelta),
    (PurePosixPath("/a/b"), PurePosixPath),
    (ipaddress.ip_address("10.0.0.1"), ipaddress.IPv4Address),
    (ipaddress.ip_network("2001:db8::/32"), ipaddress.IPv6Network),
    (1.5, float),
]
UNTYPED: list[Any] = [
    float("nan"),
    float("inf"),
    AT,
    (1, 2),
    {
        1,
    },
    {1: "a"},
    b"x",
    USER,
    np.int64(7),
    np.float64(1.5),
    np.bool_(True),
    Path("/x"),
    ipaddress.ip_address("::1"),
    Data(1, Decimal("1.5")),
    {"id": 1, "at": AT},
    None,
    2**60,
]


@pytest.fixture
async def caches(valkey: Valkey, namespace: str, open_cache: Open) -> AsyncIterator[list[CacheService]]:
    """On in a server with and without a near cache, on in memory, off, and off from the start."""
    off, never = await open_cache("memory://"), CacheService("null://")
    off.disable()
    never.disable()
    async with never:
        yield [
            await open_cache(valkey.url),
            await open_cache(valkey.url, near_bytes=0, namespace=f"{namespace}b"),
            await open_cache("memory://"),
            off,
            never,
        ]


async def answers(caches: list[CacheService], value: Any, type_: Any) -> list[Any]:
    """What three calls in a row give, of each cache."""
    found = []
    for cache in caches:
        found += [await cache.get_or_set("k", Loader(value), type=type_) for _ in range(3)]
    return found


@pytest.mark.parametrize(("value", "type_"), TYPED, ids=lambda given: str(given)[:30])
async def test_a_typed_value_comes_back_as_it_was(caches: list[CacheService], value: Any, type_: Any) -> None:
    for found in await answers(caches, value, type_):
        assert found == value
        assert type(found) is type(value)


@pytest.mark.parametrize("value", UNTYPED, ids=lambda value: type(value).__name__)
async def test_an_untyped_value_is_the_same_json_wherever_it_comes_from(caches: list[CacheService], value: Any) -> None:
    first, *others = await answers(caches, value, Any)
    for other in others:
        assert other == first
        assert type(other) is type(first)
    assert isinstance(first, str | int | float | bool | list | dict | None)


@pytest.mark.parametrize(
    ("value", "type_"),
    [(math.nan, float), (object(), Any), (1j, Any), ("x", int), (lambda: 1, Any), ({(1, 2): 3}, Any)],
)
async def test_what_cannot_come_back_is_refused_everywhere(caches: list[CacheService], value: Any, type_: Any) -> None:
    for cache in caches:
        with pytest.raises(UnstorableValue, match="cannot be stored"):
            await cache.get_or_set("k", Loader(value), type=type_)


class Entity:
    """What an ORM gives."""

    def __init__(self, id_: int) -> None:
        self.id = id_


async def test_a_program_may_register_how_its_classes_are_stored(valkey: Valkey, open_cache: Open) -> None:
    encoders = {Entity: (lambda entity: {"id": entity.id}, lambda value: Entity(value["id"])), complex: str}
    cache = await open_cache(valkey.url, encoders=encoders)
    for _ in range(2):
        assert await cache.get_or_set("entity", Loader(Entity(7))) == {"id": 7}
        found = await cache.get_or_set("entity", Loader(Entity(7)), type=Entity)
        assert found.id == 7
        assert [each.id for each in await cache.get_or_set("list", Loader([Entity(1)]), type=list[Entity])] == [1]
        assert await cache.get_or_set("complex", Loader(1j)) == "1j"
    with pytest.raises(UnstorableValue, match="as a pair"):
        await cache.get_or_set("complex typed", Loader(1j), type=complex)


async def test_large_values_are_compressed_and_read_by_all(valkey: Valkey, namespace: str, open_cache: Open) -> None:
    cache, other = await open_cache(valkey.url, compress_from=1000, near_bytes=0), await open_cache(valkey.url)
    tagged = Strategy("tagged", key="tagged:{id}", ttl=60, tags=("tagged",))
    large, small = ["the same again"] * 1000, ["small"]
    assert await cache.get_or_set(tagged(1), Loader(large)) == large
    await cache.set("small", small)
    async with redis.Redis.from_url(valkey.url) as client:
        raw: Any = await client.get(f"{namespace}:tagged:1")
        raw_small: Any = await client.get(f"{namespace}:small")
        assert raw.startswith(COMPRESSED)
        assert len(raw) < 1000
        assert raw_small.startswith(VALUE)
        assert await cache.get(tagged(1)) == await other.get(tagged(1)) == large
        await client.setrange(f"{namespace}:tagged:1", len(raw) - 8, b"damaged!")
    assert await other.get_or_set(tagged(1), Loader("loaded again")) == "loaded again"


async def test_pydantic_models_are_sent_by_their_aliases() -> None:
    async with CacheService("memory://") as cache:
        assert b'"userName":"Ada"' in bytes(await cache.get_or_set_bytes("user", Loader(USER)))
