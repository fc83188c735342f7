"""Hits: from the process, and from Redis with a typed decode, for one caller and for fifty."""

import asyncio
import gc
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from benchmarks.cache.peers import CALL, PEERS, Cashews, Easymo, Row

KEYS = 64


def raw_socket_us(url: str, key: str, rounds: int) -> float:
    """The floor: P50 of a GET on a blocking socket, nothing decoded, in microseconds."""
    place = urlsplit(url)
    command = f"*2\r\n$3\r\nGET\r\n${len(key)}\r\n{key}\r\n".encode()
    with socket.create_connection((place.hostname or "", place.port or 0)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(command)
        size = len(client.recv(65536))
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            client.sendall(command)
            got = 0
            while got < size:
                got += len(client.recv(65536))
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


async def one_caller_us(get: Callable[[str], Awaitable[Any]], rounds: int) -> tuple[float, float]:
    """P50 of a call, and the processor time of this process per call, in microseconds.

    The wall clock holds the wake-up of an idle core, which is the same for every library; the processor time does not.
    """
    times = []
    cpu = time.process_time()
    for i in range(rounds):
        key = f"k{i % KEYS}"
        started = time.perf_counter()
        await get(key)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6, (time.process_time() - cpu) / rounds * 1e6


async def fifty_callers_per_s(get: Callable[[str], Awaitable[Any]], duration_s: float) -> tuple[float, float]:
    """Calls per second of fifty callers, each over its own keys (nothing to coalesce), and processor µs per call."""
    done = 0
    cpu = time.process_time()
    ends = time.perf_counter() + duration_s

    async def caller(number: int) -> None:
        nonlocal done
        i = number
        while time.perf_counter() < ends:
            i += 50
            await get(f"k{i % KEYS}")
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*[caller(i) for i in range(50)])
    return done / (time.perf_counter() - started), (time.process_time() - cpu) / done * 1e6


async def many_us(peer: Any, rounds: int) -> float:
    """Processor time of one read of a hundred keys with a typed decode, in microseconds."""
    keys = [f"k{i % KEYS}" for i in range(KEYS)] + [f"absent{i}" for i in range(100 - KEYS)]
    cpu = time.process_time()
    for _ in range(rounds):
        await peer.get_many(keys)
    return (time.process_time() - cpu) / rounds * 1e6


async def redis_hits(url: str, names: list[str], rounds: int, duration_s: float, repeats: int) -> dict[str, Any]:
    """For each peer the medians of `repeats` interleaved rounds; the floor is measured in each of them."""
    floors: list[float] = []
    alone: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    many: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    hundred: dict[str, list[float]] = {name: [] for name in names if name in ("easymo", "redis-py")}
    for _ in range(repeats):
        for name in names:
            peer = Easymo(near=False) if name == "easymo" else PEERS[name]()
            await peer.open(url)
            for i in range(KEYS):
                await peer.put(f"k{i}")
            await fifty_callers_per_s(peer.get, duration_s / 3)  # makes the connections of its pool
            await one_caller_us(peer.get, rounds // 5)
            gc.collect()
            alone[name].append(await one_caller_us(peer.get, rounds))
            many[name].append(await fifty_callers_per_s(peer.get, duration_s))
            if name in hundred:
                hundred[name].append(await many_us(peer, rounds // 20))
            await peer.close()
        floors.append(raw_socket_us(url, "k1", rounds))
    return {
        "floor_p50_us": statistics.median(floors),
        "one_caller_p50_us": {name: statistics.median(wall for wall, _ in values) for name, values in alone.items()},
        "one_caller_cpu_us": {name: statistics.median(cpu for _, cpu in values) for name, values in alone.items()},
        "fifty_callers_per_s": {name: statistics.median(rate for rate, _ in values) for name, values in many.items()},
        "fifty_callers_cpu_us": {name: statistics.median(cpu for _, cpu in values) for name, values in many.items()},
        "hundred_keys_cpu_us": {name: statistics.median(values) for name, values in hundred.items()},
    }


async def near_hits_us(url: str, names: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Mean of an awaited near hit in microseconds, best of five."""
    ours = Easymo()
    await ours.open(url)
    cache, value_type = ours.client, Row
    row = Row(1, "a", "b", "c", "d", 1.0, None)

    async def load() -> Row:
        return row

    async def by_text() -> None:
        for _ in range(rounds):
            await cache.get("call:7", type=value_type)

    async def by_strategy() -> None:
        for _ in range(rounds):
            await cache.get_or_set(CALL(7), load, type=value_type)

    for _ in range(3):
        await cache.get_or_set(CALL(7), load, type=value_type)
        await cache.get(CALL(7), type=value_type)
    results = {"get": {"easymo": await _best_us(by_text, rounds)}, "get_or_set": {}}
    results["get_or_set"]["easymo"] = await _best_us(by_strategy, rounds)
    await ours.close()
    if "cashews" in names:
        theirs = Cashews(near=True)
        await theirs.open(url)
        await theirs.put("k")
        await theirs.get("k")

        async def by_cashews() -> None:
            for _ in range(rounds):
                await theirs.client.get("k")

        results["get"]["cashews"] = await _best_us(by_cashews, rounds)
        await theirs.close()
    return results


async def _best_us(run: Callable[[], Awaitable[None]], rounds: int) -> float:
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        await run()
        best = min(best, time.perf_counter() - started)
    return best / rounds * 1e6
