"""Stampede, hot key, and races: counted, not timed (except how long a caller waited)."""

import asyncio
import json
import random
import sys
import time
from typing import Any

import redis.asyncio as redis

from benchmarks.cache.peers import PEERS, Cashews, Easymo, Peer

LOAD_S = 0.2
CALLERS = 50
PROCESSES = 4


async def stampede_worker(name: str, url: str) -> None:
    """One of the processes of `stampede`: waits for a line, lets fifty callers ask, prints what happened."""
    peer = PEERS[name]()
    await peer.open(url)
    loads = 0

    async def load() -> str:
        nonlocal loads
        loads += 1
        await asyncio.sleep(LOAD_S)
        return "value"

    async def caller() -> float:
        started = time.perf_counter()
        await peer.get_or_set("cold", load, 60)
        return time.perf_counter() - started

    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    waits = await asyncio.gather(*[caller() for _ in range(CALLERS)], return_exceptions=True)
    times = [wait for wait in waits if isinstance(wait, float)]
    result = {"loads": loads, "failed": len(waits) - len(times), "slowest_ms": max(times, default=0.0) * 1000}
    print(json.dumps(result), flush=True)
    await peer.close()


async def stampede(url: str, name: str) -> dict[str, Any]:
    """Loads, failures, the longest wait and Redis commands when four processes ask for a cold key at once."""
    command = (sys.executable, "-m", "benchmarks.cache", "--stampede-worker", name, "--url", url)
    pipe = asyncio.subprocess.PIPE
    workers = [await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe) for _ in range(PROCESSES)]
    async with redis.Redis.from_url(url) as admin:
        await admin.flushall()
        for worker in workers:
            assert worker.stdout is not None
            await worker.stdout.readline()
        before = (await admin.info("stats"))["total_commands_processed"]
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write(b"go\n")
        outputs = [json.loads((await worker.communicate())[0].splitlines()[-1]) for worker in workers]
        commands = (await admin.info("stats"))["total_commands_processed"] - before
    return {
        "loads": sum(output["loads"] for output in outputs),
        "failed": sum(output["failed"] for output in outputs),
        "slowest_ms": max(output["slowest_ms"] for output in outputs),
        "commands": commands,
    }


async def fresh(peer: Peer, url: str) -> Peer:
    """The peer, open, with nothing of the others in the server."""
    async with redis.Redis.from_url(url) as admin:
        await admin.flushall()
    await peer.open(url)
    return peer


async def hot_key_slowest_ms(url: str, name: str, duration_s: float) -> float:
    """The longest wait of twenty callers of a key with a ttl of 1 s and a load of 200 ms, after the first load."""
    peer = await fresh(PEERS[name](), url)

    async def load() -> str:
        await asyncio.sleep(LOAD_S)
        return "value"

    await peer.get_or_set("hot", load, 1)
    ends = time.perf_counter() + duration_s
    slowest_s = 0.0

    async def caller() -> None:
        nonlocal slowest_s
        while time.perf_counter() < ends:
            started = time.perf_counter()
            await peer.get_or_set("hot", load, 1)
            slowest_s = max(slowest_s, time.perf_counter() - started)
            await asyncio.sleep(0.005)

    await asyncio.gather(*[caller() for _ in range(20)])
    await peer.close()
    return slowest_s * 1000


async def stale_after_delete(url: str, name: str, trials: int) -> int:
    """How often an old value is served after a delete that came while it was loaded."""
    peer = await fresh(PEERS[name](), url)
    stale = 0

    async def trial(number: int) -> None:
        nonlocal stale
        version, key, loading = 1, f"race:{number}", asyncio.Event()

        async def load() -> int:
            seen = version
            loading.set()
            await asyncio.sleep(0.005)
            return seen

        first = asyncio.create_task(peer.get_or_set(key, load, 60))
        await loading.wait()
        version = 2
        await peer.delete(key)
        await first
        served = await peer.get_or_set(key, load, 60)
        stale += served != 2

    for start in range(0, trials, 20):
        await asyncio.gather(*[trial(number) for number in range(start, min(start + 20, trials))])
    await peer.close()
    return stale


async def disagreements(url: str, name: str, trials: int) -> int:
    """How often two near caches differ 30 ms after both wrote a key at once, while both read it."""
    pair: list[Peer] = [Easymo() if name == "easymo" else Cashews(near=True) for _ in range(2)]
    for peer in pair:
        await fresh(peer, url)
    chance, differ = random.Random(1), 0

    async def write(peer: Peer, key: str, text: str, steps: int) -> None:
        for _ in range(steps):
            await peer.get_text(key)
        await peer.set_text(key, text)
        await peer.get_text(key)

    async def trial(number: int) -> None:
        nonlocal differ
        key = f"pair:{number}"
        await asyncio.gather(*[write(peer, key, f"{i}", chance.randrange(4)) for i, peer in enumerate(pair)])
        await asyncio.sleep(0.03)  # the peers have no way to wait for a message
        first, second = [await peer.get_text(key) for peer in pair]
        differ += first != second

    for start in range(0, trials, 10):
        await asyncio.gather(*[trial(number) for number in range(start, min(start + 10, trials))])
    for peer in pair:
        await peer.close()
    return differ
