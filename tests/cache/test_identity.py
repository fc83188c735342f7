"""What identifies: fields of keys, and texts put together by hand. Nobody reads another one's value."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import MagicMock, Mock
from uuid import UUID

import pytest

from easymo.cache import CacheService, Strategy, register_key_field
from easymo.cache.errors import CacheWarning, StrategyError
from tests.cache.conftest import Loader

ONE = Strategy("one of identity", key="identity:{a}", ttl=60, tags=("identity-tag:{a}", "identity-all"))
TWO = Strategy("two of identity", key="identity-two:{a}:{b}", ttl=60)


class Plain:
    def __init__(self, id_: int) -> None:
        self.id = id_


class WithText(Plain):
    def __str__(self) -> str:
        return "the same for all"


@dataclass(frozen=True)
class Place:
    latitude: float


class Colour(Enum):
    RED = 1


class Size(Enum):
    SMALL = 1


class Word(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Rights(Flag):
    READ = 1
    WRITE = 2


class Lazy:
    """What lazy proxies do: it says it is a text."""

    @property
    def __class__(self) -> Any:
        return str

    @__class__.setter
    def __class__(self, _: Any) -> None: ...


class Secret(str):
    def __str__(self) -> str:
        return "***"


class Point(NamedTuple):
    x: int
    y: int


class Tenant:
    def __init__(self, id_: int) -> None:
        self.id = id_


def generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    "argument",
    [
        Plain(1),
        WithText(1),
        Place(0.1),
        Mock(),
        MagicMock(),
        Mock(spec=str),
        Lazy(),
        generator(),
        generator,
        print,
        lambda: 1,
        0.1,
        float("nan"),
        1j,
        [1],
        {1},
        {"a": 1},
        bytearray(b"x"),
        memoryview(b"x"),
        object(),
        SimpleNamespace(a=1),
        Path("x"),
        ip_address("::1"),
        time(1),
        timedelta(1),
        (1, Plain(1)),
        ValueError("x"),
        Plain,
    ],
    ids=lambda argument: type(argument).__name__,
)
def test_what_does_not_identify_is_refused_with_a_sentence(argument: object) -> None:
    for call in (lambda: ONE(argument), lambda: TWO(1, argument), lambda: ONE.pattern(a=argument)):
        with pytest.raises(StrategyError, match="cannot be a field of a cache key"):
            call()


def test_what_identifies_has_a_text_of_its_own() -> None:
    texts = [
        ONE(argument).key
        for argument in (
            "a",
            7,
            True,
            None,
            UUID(int=1),
            Colour.RED,
            Size.SMALL,
            Rights.READ,
            Rights.READ | Rights.WRITE,
            date(2026, 1, 1),
            datetime(2026, 1, 1),
            Decimal("1.5"),
            b"a",
            b"",
            "",
            (),
            ("a",),
            ("a", "b"),
            (("a",), "b"),
            ("a", ("b",)),
            ("a~ib",),
            Secret("b"),
            Secret("c"),
        )
    ]
    assert len(set(texts)) == len(texts)


def test_mixed_enums_are_what_they_are_equal_to() -> None:
    assert ONE(Word.RED).key == ONE("red").key
    assert ONE(Number.ONE).key == ONE(1).key
    assert ONE(Point(1, 2)).key == ONE((1, 2)).key


def test_a_class_of_the_program_may_say_what_identifies_it() -> None:
    register_key_field(Tenant, lambda tenant: tenant.id)
    assert ONE(Tenant(7)).key == ONE(7).key
    register_key_field(Tenant, lambda tenant: tenant)
    with pytest.raises(RecursionError):
        ONE(Tenant(7))


@pytest.mark.parametrize("key", [7, None, b"k", ONE, 1.5, object()])
async def test_what_is_no_key_is_refused_with_a_sentence(key: Any) -> None:
    async with CacheService("memory://") as cache:
        for call in (cache.get(key), cache.set(key, 1), cache.get_or_set(key, Loader()), cache.delete(key)):
            with pytest.raises(StrategyError, match="A cache key is a text"):
                await call
        with pytest.raises(StrategyError, match="A tag is a text"):
            await cache.invalidate_tag(key)


async def test_one_key_in_place_of_a_list_is_refused() -> None:
    async with CacheService("memory://") as cache:
        with pytest.raises(StrategyError, match="list of keys"):
            await cache.get_many("abc")


IDS = ["7", "a/b", "org:7", "a b", "50%", "é", "x:y:z", "", "~none", "100%25", "a%2Fb"]


@pytest.mark.parametrize("id_", IDS)
async def test_an_id_in_a_text_is_encoded_as_the_strategy_does(id_: str) -> None:
    async with CacheService("memory://") as cache:
        for end in (
            lambda: cache.invalidate_tag(f"identity-tag:{id_}"),
            lambda: cache.invalidate_tag(ONE.tag(a=id_)),
            lambda: cache.delete(f"identity:{id_}"),
            lambda: cache.delete(ONE(id_)),
        ):
            await cache.get_or_set(ONE(id_), Loader("old"))
            await cache.get_or_set(ONE("another"), Loader("kept"))
            await end()
            assert await cache.get(ONE(id_)) is None
            assert await cache.get(ONE("another")) == "kept"


async def test_all_readings_of_a_text_with_two_fields_are_deleted() -> None:
    async with CacheService("memory://") as cache:
        for fields in (("a", "b:c"), ("a:b", "c")):
            await cache.set(TWO(*fields), 1)
        assert await cache.delete("identity-two:a:b:c") == 2


async def test_a_text_that_no_strategy_makes_warns_once() -> None:
    async with CacheService("memory://") as cache:
        with pytest.warns(CacheWarning, match=r"strategy\.tag"):
            await cache.invalidate_tag("identity-tga:7")
        with pytest.warns(CacheWarning, match="identiti:a/b"):
            await cache.delete("identiti:a/b")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await cache.invalidate_tag("identity-tga:7", "identity-all", "identity-tag:new/one")
            await cache.delete("identiti:a/b", "plain", "plain:7")


@pytest.mark.parametrize("named", [{"b": 1}, {"a": 1, "b": 1}])
def test_a_tag_that_the_strategy_does_not_have_is_refused(named: dict[str, int]) -> None:
    with pytest.raises(StrategyError, match="has 0 tags"):
        ONE.tag(**named)
    assert ONE.tag() == "identity-all"
    assert ONE.tag(a="x/y") == "identity-tag:x%2Fy"


@pytest.mark.parametrize("ttl", [float("inf"), float("nan"), 1e18, -1, timedelta(days=-1), "5m", None])
async def test_a_ttl_that_is_no_length_of_time_is_refused(ttl: Any) -> None:
    async with CacheService("memory://") as cache:
        chosen = Strategy("chosen ttl", key="chosen-ttl:{a}", ttl=lambda _: ttl)
        with pytest.raises(ValueError, match="duration"):
            await cache.get_or_set(chosen(1), Loader())
        if ttl is not None:
            with pytest.raises(ValueError, match="duration"):
                await cache.set("k", 1, ttl=ttl)
            with pytest.raises(ValueError, match="duration"):
                Strategy("x", key="x", ttl=ttl)
