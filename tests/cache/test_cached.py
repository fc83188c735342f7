"""The decorator: the key from the arguments, the type from the annotation."""

import msgspec
import pytest

from easymo.cache import CacheService, Strategy, cached

USER = Strategy("user", key="user:{user_id}:{detail}", ttl=60)


class User(msgspec.Struct, frozen=True):
    id: int


async def test_a_cached_function_runs_once_per_key_and_returns_its_type() -> None:
    calls: list[tuple[object, ...]] = []
    async with CacheService("memory://") as cache:

        @cached(USER, cache, ignore=("connection",))
        async def user(connection: object, user_id: int, detail: str = "short") -> User:
            calls.append((connection, user_id, detail))
            return User(user_id)

        assert await user("connection 1", 7) == User(7)
        assert await user("connection 2", user_id=7) == User(7)
        assert await user("connection 1", 7, "long") == User(7)
        assert await cache.delete(USER(7, "short")) == 1
        assert await user("connection 3", 7) == User(7)
    assert calls == [("connection 1", 7, "short"), ("connection 1", 7, "long"), ("connection 3", 7, "short")]
    assert user.__name__ == "user"


async def test_the_service_may_come_later() -> None:
    services: list[CacheService] = []

    @cached(USER, lambda: services[0])
    async def user(user_id: int, detail: str) -> User:
        return User(user_id)

    async with CacheService("memory://") as cache:
        services.append(cache)
        assert await user(1, "x") == User(1)
        assert await cache.get(USER(1, "x"), type=User) == User(1)


def test_a_field_without_an_argument_is_refused_at_the_declaration() -> None:
    with pytest.raises(TypeError, match=r"no argument \['detail'\]"):

        @cached(USER, CacheService("memory://"))
        async def user(user_id: int) -> User:
            return User(user_id)
