"""Seeded races: what was invalidated is not served, near caches agree, one of all processes loads."""

import asyncio
import json
import random
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio as redis

from easymo.cache import CacheService, Key, Strategy
from tests.cache import worker
from tests.cache.conftest import Open, eventually

TRIALS = 1_000
TAGGED = Strategy("row", key="row:{id}", ttl=60, stale_for=60, tags=("row-tag:{id}",))


class Worker:
    """A child process that runs `tests.cache.worker`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def order(self, do: str, **arguments: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do} | arguments).encode() + b"\n")

    async def answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(await self.process.stdout.readline())

    async def ask(self, do: str, **arguments: Any) -> Any:
        self.order(do, **arguments)
        return await self.answer()


@asynccontextmanager
async def workers(url: str, namespace: str, count: int) -> AsyncIterator[list[Worker]]:
    command = (sys.executable, "-m", "tests.cache.worker", url, namespace)
    pipe = asyncio.subprocess.PIPE
    processes = [await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe) for _ in range(count)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        yield [Worker(process) for process in processes]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.communicate()


class Table:
    """The truth: rows whose versions only grow. Reading and writing take a random number of steps."""

    def __init__(self, seed: int) -> None:
        self.versions: dict[int, int] = {}
        self.being_read: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._chance = random.Random(seed)

    async def pause(self) -> None:
        if self._chance.random() < 0.2:
            await asyncio.sleep(self._chance.random() * 0.003)
        for _ in range(self._chance.randrange(8)):
            await asyncio.sleep(0)

    async def read(self, row: int) -> int:
        await self.pause()
        version = self.versions.get(row, 0)
        self.being_read[row].set()
        await self.pause()
        return version

    async def write(self, row: int) -> int:
        await self.pause()
        self.versions[row] = version = self.versions.get(row, 0) + 1
        return version


@pytest.mark.parametrize("how", ["delete", "tag", "pattern"])
async def test_no_stale_value_is_served_after_an_invalidation_that_raced_a_load(
    server_url: str, open_cache: Open, how: str
) -> None:
    cache, other = await open_cache(server_url), await open_cache(server_url)
    table = Table(seed=20261124)
    stale: list[tuple[int, str]] = []

    async def invalidate(row: int) -> None:
        if how == "delete":
            await cache.delete(TAGGED(row))
        elif how == "tag":
            await cache.invalidate_tag(f"row-tag:{row}")
        else:
            await cache.invalidate_pattern(f"row:{row}")

    async def trial(row: int) -> None:
        readers = [
            asyncio.create_task(service.get_or_set(TAGGED(row), lambda: table.read(row))) for service in (cache, other)
        ]
        await table.being_read[row].wait()
        version = await table.write(row)
        await invalidate(row)
        if await cache.get_or_set(TAGGED(row), lambda: table.read(row)) < version:
            stale.append((row, "the process that invalidated"))
        await asyncio.gather(*readers)
        for service, whose in ((cache, "the process that invalidated, later"), (other, "another process")):
            await service.get(f"fence:{row}")
            if await service.get(TAGGED(row), version) < version:
                stale.append((row, whose))

    trials = TRIALS if how != "pattern" else 100  # each pattern walks through all keys
    for start in range(0, trials, 25):
        await asyncio.gather(*[trial(row) for row in range(start, start + 25)])
    assert stale == []


@pytest.mark.parametrize("background_safe", [False, True], ids=["in the call", "in the background"])
async def test_no_stale_value_is_served_when_a_refresh_races_a_delete(
    server_url: str, open_cache: Open, background_safe: bool
) -> None:
    cache, other = await open_cache(server_url), await open_cache(server_url)
    table = Table(seed=7)
    early = Strategy("early", key="early:{id}", ttl=0.001, stale_for=60, refresh="background")
    stale: list[int] = []
    refreshes: list[int] = []

    async def trial(row: int) -> None:
        await cache.get_or_set(early(row), lambda: table.read(row))
        await eventually(lambda: _is_stale(cache, early(row)))
        table.being_read[row].clear()
        refreshing = [
            asyncio.create_task(
                service.get_or_set(early(row), lambda: table.read(row), background_safe=background_safe)
            )
            for service in (cache, other)
        ]
        if await _soon(table.being_read[row]):
            refreshes.append(row)
        version = await table.write(row)
        await cache.delete(early(row))
        if await cache.get_or_set(early(row), lambda: table.read(row)) < version:
            stale.append(row)
        await asyncio.gather(*refreshing)
        await other.get(f"fence:{row}")
        if await other.get_or_set(early(row), lambda: table.read(row)) < version:
            stale.append(row)

    for start in range(0, TRIALS, 25):
        await asyncio.gather(*[trial(row) for row in range(start, start + 25)])
    assert stale == []
    assert len(refreshes) > TRIALS / 10, "hardly a refresh was under way: this proved nothing"


async def _is_stale(cache: CacheService, key: Key) -> bool:
    return await cache.get(key) is None


async def _soon(event: asyncio.Event) -> bool:
    """Whether it happens within some milliseconds."""
    try:
        async with asyncio.timeout(0.05):
            return await event.wait()
    except TimeoutError:
        return False


async def test_near_caches_of_two_processes_agree_after_racing_writes(
    server_url: str, open_cache: Open, namespace: str
) -> None:
    cache = await open_cache(server_url)
    disagreements: list[tuple[int, Any, Any]] = []
    async with workers(server_url, namespace, 1) as [child]:
        for trial in range(TRIALS):
            key = f"k{trial % 7}"
            child.order("race", key=key, value=f"child {trial}", seed=2 * trial)
            await worker.answer(cache, {"do": "race", "key": key, "value": f"parent {trial}", "seed": 2 * trial + 1})
            await child.answer()
            theirs = await child.ask("settled", key=key)
            ours = await worker.answer(cache, {"do": "settled", "key": key})
            if ours != theirs or str(trial) not in ours:
                disagreements.append((trial, ours, theirs))
    assert disagreements == []
    assert (await cache.stats()).strategies[""].near_hits > TRIALS


async def test_one_of_four_processes_loads_and_the_others_are_woken(server_url: str, namespace: str) -> None:
    async with workers(server_url, namespace, 4) as processes, redis.Redis.from_url(server_url) as admin:
        before = (await admin.info("stats"))["total_commands_processed"]
        for process in processes:
            process.order("stampede", key="cold", callers=50, load_s=0.2)
        results = [await process.answer() for process in processes]
        commands = (await admin.info("stats"))["total_commands_processed"] - before
    assert sum(result["loads"] for result in results) == 1
    assert commands <= 250


async def test_a_leaseholder_that_dies_is_replaced(server_url: str, namespace: str, open_cache: Open) -> None:
    cache: CacheService = await open_cache(server_url)
    async with workers(server_url, namespace, 1) as [child]:
        await child.ask("lease forever", key="k")

        async def load() -> str:
            return "loaded by the survivor"

        waiting = asyncio.create_task(cache.get_or_set("k", load))
        child.process.kill()
        async with asyncio.timeout(8):
            assert await waiting == "loaded by the survivor"
    assert await cache.get("k") == "loaded by the survivor"
