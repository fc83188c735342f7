"""Keys: different arguments never share one, and nothing in an argument is a separator, a glob or a hash tag."""

import fnmatch
import re
import string
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from easymo.cache import Strategy
from easymo.cache.errors import StrategyError
from easymo.cache.key import escape_glob, glob_regex, text_of
from easymo.embedded import Valkey

arguments = st.one_of(
    st.text(max_size=8),
    st.text(alphabet=":%~{}*?[]\\/|é a0-_.", max_size=6),
    st.characters(categories=["Cs"]),
    st.integers(),
    st.booleans(),
    st.none(),
    st.uuids(),
    st.dates(),
    st.datetimes(),
    st.decimals(allow_nan=False),
)
TWO = Strategy("two", key="two:{a}:{b}", tags=("tag:{b}",))
ONE = Strategy("one", key="one:{a}:end")


def same(a: object, b: object) -> bool:
    """The contract: one text, one argument; the constants have none."""
    constants = (None, True, False)
    if any(a is constant or b is constant for constant in constants):
        return a is b
    return str(a) == str(b)


@given(arguments, arguments, arguments, arguments)
def test_different_arguments_never_share_a_key(a: object, b: object, c: object, d: object) -> None:
    assert (TWO(a, b).key == TWO(c, d).key) == (same(a, c) and same(b, d))


@pytest.mark.parametrize("constant", [None, True, False])
def test_a_text_that_looks_like_a_constant_has_a_key_of_its_own(constant: object) -> None:
    assert ONE(ONE(constant).key.split(":")[1]).key != ONE(constant).key


@given(arguments, arguments)
def test_the_short_way_makes_the_same_keys_as_the_general_one(a: object, b: object) -> None:
    assert ONE(a).key == ONE(a=a).key == f"one:{text_of(a)}:end"
    assert (ONE(a).key == ONE(b).key) == same(a, b)


@given(arguments, arguments)
def test_tags_of_different_arguments_differ_too(a: object, b: object) -> None:
    assert (TWO(1, a).tags == TWO(1, b).tags) == same(a, b)


@given(arguments)
def test_no_argument_brings_a_separator_a_glob_or_a_hash_tag_into_a_key(a: object) -> None:
    assert re.fullmatch(r"[\w.@+=%~-]*", text_of(a))


def test_ids_stay_readable_for_redis_cli() -> None:
    user = Strategy("user", key="user:{user_id}")
    assert user(7).key == user("7").key == user(user_id=7).key == "user:7"
    assert user(UUID(int=7)).key == "user:00000000-0000-0000-0000-000000000007"
    assert user("+250788123456").key == "user:+250788123456"
    assert TWO(date(2026, 11, 24), Decimal("1.50")).key == "two:2026-11-24:1.50"
    assert TWO(datetime(2026, 11, 24, 7, 30), None).key == "two:2026-11-24%2007%3A30%3A00:~none"


def test_a_key_carries_everything_of_its_strategy() -> None:
    key = Strategy("x", key="x:{a}:{b}", ttl=60, stale_for=5, jitter=0.1, tags=("b:{b}", "all"))("v", b=2)
    assert (key.key, key.ttl, key.stale_for, key.jitter, key.tags) == ("x:v:2", 60, 5, 0.1, ("b:2", "all"))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"key": "x:{a}{b}"}, "nothing separates 'a' from 'b'"),
        ({"key": "x:{a}-{b}"}, "nothing separates"),
        ({"key": "x:{a}%{b}"}, "nothing separates"),
        ({"key": "x:{a}:{a}"}, "twice"),
        ({"key": "x:{a.b}"}, "written {name} only"),
        ({"key": "x:{a!r}"}, "written {name} only"),
        ({"key": "x:{}"}, "written {name} only"),
        ({"key": "x:{a}", "tags": ("t:{c}",)}, "which key"),
        ({"key": "x", "jitter": 1.0}, "not a ratio"),
        ({"key": "x", "tags": "users"}, "with a comma"),
        ({"key": "x", "ttl": -1}, "below zero"),
    ],
)
def test_a_declaration_that_could_mix_up_keys_is_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Strategy("x", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("call", [((), {}), ((1, 2, 3), {}), ((1,), {"a": 1}), ((1,), {"c": 1}), ((1, [2]), {})])
def test_a_call_with_the_wrong_fields_is_refused(call: tuple[tuple[object, ...], dict[str, object]]) -> None:
    with pytest.raises(StrategyError):
        TWO(*call[0], **call[1])


@given(st.text(alphabet=string.printable, max_size=12))
def test_an_escaped_text_matches_itself_only(text: str) -> None:
    pattern = re.compile(glob_regex(escape_glob(text)), re.DOTALL)
    assert pattern.fullmatch(text)
    assert not pattern.fullmatch(text + "x")


GLOBS = [
    "*",
    "a*",
    "?b",
    "[ab]c",
    "[^a]b",
    "[a-c]*",
    "\\*",
    "a\\?b",
    "a[",
    "[]",
    "\\",
    "a.b",
    "x[b\\]]*",
    "[^]b",
    "a[bc",
]
TEXTS = ["", "a", "ab", "bb", "ac", "cb", "*", "a?b", "a[", "[]", "a.b", "axb", "\\", "a\n", "x]y", "xb"]


def test_globs_mean_in_memory_what_they_mean_in_redis(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        for glob in GLOBS:
            for text in TEXTS:
                client.set(f"glob:{text}", 1)
                theirs = bool(list(client.scan_iter(match=f"glob:{glob}")))
                client.delete(f"glob:{text}")
                ours = re.compile(glob_regex(glob), re.DOTALL).fullmatch(text) is not None
                assert ours == theirs, (glob, text)


def test_a_strategy_knows_the_pattern_of_its_keys() -> None:
    assert TWO.pattern() == "two:*:*"
    assert TWO.pattern(a="x*") == "two:x%2A:*"
    assert fnmatch.fnmatchcase(TWO(1, 2).key, TWO.pattern(b=2))
    with pytest.raises(StrategyError, match="no fields"):
        TWO.pattern(c=1)
