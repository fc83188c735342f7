"""The peers under one interface. One that is not installed has no column."""

import importlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from easymo.cache import CacheService, Strategy

Load = Callable[[], Awaitable[Any]]


class Row(msgspec.Struct, frozen=True):
    """One of the fifteen rows of the value: 2.7 kB as JSON, what a page of calls takes."""

    id: int
    caller: str
    callee: str
    status: str
    started_at: str
    duration_s: float
    note: str | None


VALUE = [
    Row(i, f"+25078800{i:04d}", f"+25073311{i:04d}", "completed", f"2026-11-24T07:{i:02d}:00+00:00", 12.5 * i, "x" * 40)
    for i in range(15)
]
ENCODED = msgspec.json.encode(VALUE)
CALL = Strategy("call", key="call:{id}", ttl=600)
LOADED = Strategy("loaded", key="loaded:{key}", refresh="background")
ROWS = tuple[Row, ...]
decode = msgspec.json.Decoder(ROWS).decode


class Peer(Protocol):
    """What is measured of each. A method that a peer does not have raises NotImplementedError."""

    name: str

    async def open(self, url: str) -> None: ...
    async def close(self) -> None: ...
    async def put(self, key: str) -> None: ...
    async def get(self, key: str) -> Any: ...
    async def get_or_set(self, key: str, load: Load, ttl_s: float) -> Any: ...
    async def set_text(self, key: str, text: str) -> None: ...
    async def get_text(self, key: str) -> Any: ...
    async def delete(self, key: str) -> None: ...


class Bare:
    """Base of the peers: nothing is there until it is written."""

    name = ""
    client: Any

    async def close(self) -> None:
        await self.client.aclose()

    async def get_or_set(self, key: str, load: Load, ttl_s: float) -> Any:
        raise NotImplementedError

    async def set_text(self, key: str, text: str) -> None:
        raise NotImplementedError

    async def get_text(self, key: str) -> Any:
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        raise NotImplementedError


class Easymo(Bare):
    """Ours; `near=False` shows the way to Redis."""

    def __init__(self, near: bool = True) -> None:
        self.name = "easymo"
        self._near = near

    async def open(self, url: str) -> None:
        options: dict[str, Any] = {} if self._near else {"near_bytes": 0}
        self.client = await CacheService(url, namespace="bench", timeout=2.0, **options).__aenter__()

    async def close(self) -> None:
        await self.client.__aexit__(None, None, None)

    async def put(self, key: str) -> None:
        await self.client.set(key, VALUE, ttl=600)

    async def get(self, key: str) -> Any:
        return await self.client.get(key, type=ROWS)

    async def get_many(self, keys: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = await self.client.get_many(keys, type=ROWS)
        return found

    async def get_or_set(self, key: str, load: Load, ttl_s: float) -> Any:
        return await self.client.get_or_set(LOADED(key), load, ttl=ttl_s, background_safe=True)

    async def set_text(self, key: str, text: str) -> None:
        await self.client.set(key, text, ttl=600)

    async def get_text(self, key: str) -> Any:
        return await self.client.get(key)

    async def delete(self, key: str) -> None:
        await self.client.delete(LOADED(key))


class RedisPy(Bare):
    name = "redis-py"

    async def open(self, url: str) -> None:
        self.client = importlib.import_module("redis.asyncio").Redis.from_url(url)

    async def get_many(self, keys: list[str]) -> dict[str, Any]:
        values = await self.client.mget(keys)
        return {key: decode(value) for key, value in zip(keys, values, strict=True) if value is not None}

    async def put(self, key: str) -> None:
        await self.client.set(key, ENCODED, ex=600)

    async def get(self, key: str) -> Any:
        return decode(await self.client.get(key))


class Coredis(Bare):
    name = "coredis"

    async def open(self, url: str) -> None:
        self.client = importlib.import_module("coredis").Redis.from_url(url)
        await self.client.__aenter__()

    async def close(self) -> None:
        await self.client.__aexit__(None, None, None)

    async def put(self, key: str) -> None:
        await self.client.set(key, ENCODED, ex=600)

    async def get(self, key: str) -> Any:
        return decode(await self.client.get(key))


class Glide(Bare):
    name = "valkey-glide"

    async def open(self, url: str) -> None:
        glide = importlib.import_module("glide")
        place = urlsplit(url)
        address = glide.NodeAddress(place.hostname, place.port)
        self.client = await glide.GlideClient.create(glide.GlideClientConfiguration([address], request_timeout=5000))

    async def close(self) -> None:
        await self.client.close()

    async def put(self, key: str) -> None:
        await self.client.set(key, ENCODED)

    async def get(self, key: str) -> Any:
        return decode(await self.client.get(key))


class Cashews(Bare):
    """`lock=True` and protected, its strongest form; `near=True` is its client_side cache."""

    def __init__(self, near: bool = False) -> None:
        self.name = "cashews"
        self._near = near
        self._decorated: dict[str, Load] = {}

    async def open(self, url: str) -> None:
        self.client = importlib.import_module("cashews").Cache()
        self.client.setup(url, client_side=self._near)
        await self.client.init()

    async def close(self) -> None:
        await self.client.close()

    async def put(self, key: str) -> None:
        await self.client.set(key, VALUE, expire=600)

    async def get(self, key: str) -> Any:
        return await self.client.get(key)

    async def get_or_set(self, key: str, load: Load, ttl_s: float) -> Any:
        # As a user would: decorated once, since its protection within the process belongs to the decorated function.
        if key not in self._decorated:
            self._decorated[key] = self.client.cache(ttl=ttl_s, key=key, lock=True)(load)
        return await self._decorated[key]()

    async def set_text(self, key: str, text: str) -> None:
        await self.client.set(key, text, expire=600)

    async def get_text(self, key: str) -> Any:
        return await self.client.get(key)

    async def delete(self, key: str) -> None:
        await self.client.delete(key)


class Aiocache(Bare):
    """`cached_stampede`, its protected form."""

    name = "aiocache"

    async def open(self, url: str) -> None:
        self._decorated: dict[str, Load] = {}
        aiocache = importlib.import_module("aiocache")
        serializers = importlib.import_module("aiocache.serializers")
        place = urlsplit(url)
        self._options = {"endpoint": place.hostname, "port": place.port, "serializer": serializers.PickleSerializer()}
        self._module = aiocache
        self.client = aiocache.RedisCache(**self._options)

    async def close(self) -> None:
        await self.client.close()

    async def put(self, key: str) -> None:
        await self.client.set(key, VALUE, ttl=600)

    async def get(self, key: str) -> Any:
        return await self.client.get(key)

    async def get_or_set(self, key: str, load: Load, ttl_s: float) -> Any:
        if key not in self._decorated:
            decorate = self._module.cached_stampede(
                lease=2, ttl=ttl_s, key_builder=lambda *_: key, cache=self._module.RedisCache, **self._options
            )
            self._decorated[key] = decorate(load)
        return await self._decorated[key]()

    async def delete(self, key: str) -> None:
        await self.client.delete(key)


PEERS: dict[str, Callable[[], Peer]] = {
    "easymo": Easymo,
    "redis-py": RedisPy,
    "coredis": Coredis,
    "valkey-glide": Glide,
    "cashews": Cashews,
    "aiocache": Aiocache,
}
_MODULES = {"easymo": "easymo", "redis-py": "redis", "valkey-glide": "glide"}


def installed() -> list[str]:
    """The names of the peers that can be imported here, ours first."""
    return [name for name in PEERS if importlib.util.find_spec(_MODULES.get(name, name)) is not None]
