"""A process of its own with a cache in it, led by lines of JSON on stdin; it answers each with one line."""

import asyncio
import json
import random
import sys
import time
from typing import Any

from easymo.cache import CacheService


async def _race(cache: CacheService, key: str, value: str, seed: int) -> None:
    """Write `key` at a random moment while reading it all the time."""
    chance = random.Random(seed)
    for _ in range(chance.randrange(4)):
        await cache.get(key)
    for _ in range(chance.randrange(6)):
        await asyncio.sleep(0)
    writing = asyncio.create_task(cache.set(key, value, ttl=60))
    while not writing.done():
        await cache.get(key)
        await asyncio.sleep(0)
    await writing


async def _settled(cache: CacheService, key: str) -> Any:
    """What the cache says once everything that Redis sent before is read: a round trip on the connection sees to it."""
    await cache.get(f"fence:{random.random()}")
    return await cache.get(key)


async def _stampede(cache: CacheService, key: str, callers: int, load_s: float) -> dict[str, float]:
    loads = 0

    async def load() -> str:
        nonlocal loads
        loads += 1
        await asyncio.sleep(load_s)
        return "value"

    async def call() -> float:
        started = time.perf_counter()
        assert await cache.get_or_set(key, load, ttl=60) == "value"
        return time.perf_counter() - started

    slowest_s = max(await asyncio.gather(*[call() for _ in range(callers)]))
    return {"loads": loads, "slowest_s": slowest_s}


async def answer(cache: CacheService, order: dict[str, Any]) -> Any:
    """Do what a line asks for."""
    match order.pop("do"):
        case "race":
            return await _race(cache, **order)
        case "settled":
            return await _settled(cache, **order)
        case "stampede":
            return await _stampede(cache, **order)
        case "lease forever":
            return await _lease_forever(cache, order["key"])
        case unknown:
            raise ValueError(unknown)


async def _lease_forever(cache: CacheService, key: str) -> None:
    loading = asyncio.Event()

    async def load() -> None:
        loading.set()
        await asyncio.Event().wait()

    _held.append(asyncio.create_task(cache.get_or_set(key, load)))
    await loading.wait()


_held: list[asyncio.Task[Any]] = []


async def main(url: str, namespace: str) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with CacheService(url, namespace=namespace, timeout=1.0) as cache:
        print("ready", flush=True)
        while line := await lines.readline():
            print(json.dumps(await answer(cache, json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
