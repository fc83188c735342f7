"""A program of a user, for `test_types`: mypy --strict and pyright find nothing wrong with it."""

import asyncio
from typing import TypedDict, assert_type

import msgspec
from pydantic import BaseModel

from easymo.cache import CacheService, Key, Strategy, Tag, cached
from easymo.cache.store import Done
from easymo.cache.sync import Cache


class User(BaseModel):
    id: int


class Row(TypedDict):
    id: int


class Frozen(msgspec.Struct, frozen=True):
    id: int


USER = Strategy("user", key="user:{user_id}", ttl=60, tags=("user:{user_id}",))
cache = CacheService("memory://")
front = Cache("memory://")


async def load() -> User:
    return User(id=1)


async def maybe() -> User | None:
    return None


async def several() -> list[User]:
    return []


async def row() -> Row:
    return {"id": 1}


@cached(USER, cache, ignore=("limit",))
async def user(user_id: int, limit: int = 5) -> User:
    return User(id=user_id)


class Service:
    @cached(USER, lambda: cache, ignore=("self",), background_safe=True)
    async def user(self, user_id: int) -> User:
        return User(id=user_id)


async def main() -> None:
    async with cache:
        assert_type(await cache.get_or_set(USER(1), load, type=User), User)
        assert_type(await cache.get_or_set(USER(1), maybe, type=User | None), User | None)
        assert_type(await cache.get_or_set(USER(1), several, type=list[User]), list[User])
        assert_type(await cache.get_or_set(USER(1), row, type=Row), Row)
        assert_type(await cache.get(USER(1), type=User), User | None)
        assert_type(await cache.get(USER(1), 0, type=User), User | int)
        assert_type(await cache.get_many([USER(1)], type=User), dict[str, User])
        await cache.get("key", type=User | None)
        assert_type(await cache.delete(USER(1)), Done)
        assert_type(USER.tag(user_id=1), Tag)
        assert_type(await user(1, limit=2), User)
        assert_type(user.key(1), Key)
        await user.invalidate(1)
        assert_type(await user.refresh(1), User)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(user(1))
        assert_type(task.result(), User)
        assert_type(await asyncio.create_task(user(2)), User)


def sync_main() -> None:
    assert_type(front.get_or_set("key", lambda: Frozen(1), type=Frozen), Frozen)
    assert_type(front.get("key", type=Frozen), Frozen | None)
