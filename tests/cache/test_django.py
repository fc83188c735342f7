"""The Django backend: what Django's documentation says of a cache backend, on each kind of store.

Django's wheel has none of Django's own tests, and what they store by pickle does not apply.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
import pytest
from asgiref.sync import SyncToAsync
from django.conf import settings

from easymo.cache.errors import UnstorableValue
from easymo.cache.sync import Cache
from tests.cache.conftest import free_port

if not settings.configured:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    settings.configure(USE_TZ=True, DATABASES={"default": database})
    django.setup()

from easymo.cache.django import Backend


@pytest.fixture(params=["valkey", "memory"])
def cache(request: pytest.FixtureRequest, namespace: str) -> Iterator[Any]:
    url = request.getfixturevalue("valkey").url if request.param == "valkey" else "memory://"
    backend = Backend(url, {"OPTIONS": {"namespace": namespace, "timeout": 1.0}, "TIMEOUT": 300})
    try:
        yield backend
    finally:
        backend.cache.close()


def test_values_come_back(cache: Any) -> None:
    for value in ("text", 7, 1.5, True, None, [1, 2], {"a": {"b": 1}}, "ÿ", ""):
        cache.set("key", value)
        assert cache.get("key", "absent") == value
    assert cache.get("absent") is None
    assert cache.get("absent", "default") == "default"
    with pytest.raises(UnstorableValue):
        cache.set("object", object())


def test_add_stores_only_where_there_is_nothing(cache: Any) -> None:
    assert cache.add("key", 1)
    assert not cache.add("key", 2)
    assert cache.get("key") == 1
    assert not cache.add("gone", 1, timeout=0)


def test_delete_and_has_key(cache: Any) -> None:
    cache.set_many({"a": 1, "none": None, "with a space and ü/:%": 3})
    assert cache.has_key("a")
    assert cache.has_key("none")
    assert "a" in cache
    assert cache.delete("a")
    assert not cache.delete("a")
    assert "a" not in cache
    assert cache.get_many(["a", "none", "with a space and ü/:%"]) == {"none": None, "with a space and ü/:%": 3}
    cache.delete_many(["none", "with a space and ü/:%"])
    assert cache.get_many(["none"]) == {}


def test_counters_are_changed_where_they_are(cache: Any) -> None:
    cache.set("count", 41)
    assert cache.incr("count") == 42
    assert cache.incr("count", 10) == cache.get("count") == 52
    assert cache.decr("count", 2) == 50
    for change in (cache.incr, cache.decr):
        with pytest.raises(ValueError, match="not found"):
            change("absent")


def test_versions_are_apart(cache: Any) -> None:
    cache.set("key", 1)
    cache.set("key", 2, version=2)
    assert (cache.get("key"), cache.get("key", version=2), cache.get("key", version=3)) == (1, 2, None)
    assert cache.incr_version("key", version=2) == 3
    assert (cache.get("key", version=2), cache.get("key", version=3)) == (None, 2)


def test_timeouts(cache: Any) -> None:
    cache.set("key", 1, timeout=None)
    assert cache.touch("key", 0.05)
    cache.set("now", 1, timeout=0)
    cache.set("past", 1, timeout=-1)
    assert cache.get("now") is cache.get("past") is None
    assert not cache.touch("absent")
    ends_at = time.monotonic() + 5
    while cache.get("key") is not None:
        assert time.monotonic() < ends_at, "it outlived its timeout"


def test_get_or_set_and_clear(cache: Any) -> None:
    assert cache.get_or_set("key", lambda: 1) == cache.get_or_set("key", 2) == 1
    cache.clear()
    assert cache.get("key") is None


async def test_the_async_methods(cache: Any) -> None:
    try:
        await cache.aset("key", 1)
        assert await cache.aget("key") == 1
        assert await cache.aincr("key") == 2
        assert await cache.adelete("key")
    finally:  # asgiref's thread would outlive the test
        used, SyncToAsync.single_thread_executor = SyncToAsync.single_thread_executor, ThreadPoolExecutor(1)
        used.shutdown()


def test_a_server_that_is_not_there_is_no_error() -> None:
    backend = Backend(f"redis://127.0.0.1:{free_port()}", {})
    try:
        backend.set("key", 1)
        assert backend.get("key", "default") == "default"
        assert backend.set_many({"a": 1}) == ["a"]
    finally:
        backend.cache.close()


def test_on_commit_deletes_after_djangos_commit(cache: Any) -> None:
    from django.db import connection, transaction

    front: Cache = cache.cache
    front.set("k", "old")
    with transaction.atomic():
        with front.after_commit(connection) as later:
            later.delete("k")
        assert front.get("k") == "old"
    assert front.get("k") is None
    front.set("k", "old")

    def fail() -> None:
        with transaction.atomic():
            with front.after_commit(connection) as later:
                later.delete("k")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert front.get("k") == "old"
    connection.close()


def test_it_is_found_by_its_name() -> None:
    from django.core.cache import CacheHandler

    handler = CacheHandler({"default": {"BACKEND": "easymo.cache.django.Backend", "LOCATION": "memory://"}})
    handler["default"].set("key", 1)
    assert handler["default"].get("key") == 1
    handler["default"].cache.close()
