"""The faults of ``python -m drills.chaos``: what is done to the platform, and what must hold meanwhile."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from drills.clients import LIST, MESSAGE, READ, STATUS
from drills.fleet import Replica
from drills.servers import Breakable, SlowWire
from easymo.indexes import Retry, apply, read_declared, rollback
from easymo_platform.operations.rollback.indexes import MIGRATION

FAULT_S = 2.0
ALL = (READ, LIST, MESSAGE, STATUS)
_ROUNDS = 50
_SERVICES = ("voice-bridge", "whatsapp-webhook", "agent-core")


@dataclass(frozen=True)
class World:
    """What can be broken."""

    postgres: Breakable
    valkey: Breakable
    wire: SlowWire
    replicas: list[Replica]
    wired: list[Replica]
    """Replicas that reach Valkey by the slow wire; the others do without it, as it costs time even when it is fast."""
    database_url: str
    redis_url: str
    disk: Path | None
    """The small disk of the servers, if they have one of their own."""
    scale: str


@dataclass(frozen=True)
class Fault:
    """A fault, entered and left as a context. ``unharmed``: kinds of requests of which none may fail, at any time.

    ``at_most`` failures are allowed among all requests; None: as many as there are while the fault lasts.
    """

    name: str
    expected: str
    breaking: Callable[[World], AbstractAsyncContextManager[None]]
    unharmed: tuple[str, ...] = ALL
    at_most: int | None = 0
    behind_proxy: bool = False
    wired: bool = False


@asynccontextmanager
async def valkey_killed(world: World) -> AsyncIterator[None]:
    await asyncio.to_thread(world.valkey.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(world.valkey.start)


@asynccontextmanager
async def valkey_hung(world: World) -> AsyncIterator[None]:
    world.valkey.hang()
    try:
        yield
    finally:
        world.valkey.go_on()


@asynccontextmanager
async def valkey_slow(world: World) -> AsyncIterator[None]:
    world.wire.delay_s = 0.5
    try:
        yield
    finally:
        world.wire.delay_s = 0.0


@asynccontextmanager
async def valkey_full(world: World) -> AsyncIterator[None]:
    async with Redis.from_url(world.redis_url) as redis:
        before = await redis.config_get("maxmemory*")
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("maxmemory", "1")
        try:
            yield
        finally:
            for name in ("maxmemory", "maxmemory-policy"):
                await redis.config_set(name, before[name] or "")


@asynccontextmanager
async def postgres_killed(world: World) -> AsyncIterator[None]:
    await asyncio.to_thread(world.postgres.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(world.postgres.start)


@asynccontextmanager
async def postgres_restarted(world: World) -> AsyncIterator[None]:
    await asyncio.to_thread(world.postgres.shut_down)
    await asyncio.to_thread(world.postgres.start)
    yield


@asynccontextmanager
async def connections_exhausted(world: World) -> AsyncIterator[None]:
    """Somebody else takes every connection, and the services lose theirs: no new one is to be had."""
    admin = await asyncpg.connect(world.database_url)
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    ours = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = any($1)"
    try:
        for _ in range(_ROUNDS):  # what the services lose is taken as well, until they have nothing
            with suppress(asyncpg.TooManyConnectionsError):
                while True:
                    taken.append(await asyncpg.connect(world.database_url))
            if not await admin.fetch(ours, _SERVICES):
                break
        yield
    finally:
        await asyncio.gather(*(connection.close() for connection in taken))
        await admin.close()


@asynccontextmanager
async def lock_held_during_apply(world: World) -> AsyncIterator[None]:
    """An open transaction that has written to a table whose indexes are being built: apply waits, nobody else does."""
    declared = read_declared(MIGRATION)
    await rollback(world.database_url, declared)
    writer = await asyncpg.connect(world.database_url)
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute("update voice_calls set topic = topic where id = (select id from voice_calls limit 1)")
    patient = Retry(attempts=50, first_delay=timedelta(milliseconds=50), longest_delay=timedelta(seconds=1))
    applying = asyncio.create_task(apply(world.database_url, declared, retry=patient))
    yield
    assert not applying.done(), "the transaction must have held it up"
    await transaction.rollback()
    await writer.close()
    built = await applying
    assert len(built) == len(declared)


@asynccontextmanager
async def service_killed(world: World) -> AsyncIterator[None]:
    victims = [next(r for r in world.replicas if r.service == service) for service in _SERVICES[:2]]
    for victim in victims:
        await victim.end(signal.SIGKILL)
    try:
        yield
    finally:
        for victim in victims:
            await victim.start()


@asynccontextmanager
async def service_ended(world: World) -> AsyncIterator[None]:
    victims = [next(r for r in world.replicas if r.service == service) for service in _SERVICES[:2]]
    await asyncio.gather(*(victim.end() for victim in victims))
    try:
        yield
    finally:
        for victim in victims:
            await victim.start()


@asynccontextmanager
async def disk_full(world: World) -> AsyncIterator[None]:
    """Somebody fills the disk of the database to its last byte, and takes the file away later."""
    assert world.disk is not None
    filler = world.disk / "filler"
    admin = await asyncpg.connect(world.database_url)
    await admin.execute("create table grown (text text)")
    await asyncio.to_thread(_fill, filler)
    try:
        with suppress(asyncpg.DiskFullError):
            await admin.execute("insert into grown select repeat(md5(n::text), 50) from generate_series(1, 2000) n")
            raise AssertionError("the disk of the database is not full")
        yield
    finally:
        filler.unlink()
    if not await asyncio.to_thread(world.postgres.accepts):  # it gave up: somebody starts it
        await asyncio.to_thread(world.postgres.start)
    await admin.close()


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler:
        for piece in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while filler.write(bytes(piece)):
                    pass


FAULTS = (
    Fault("Valkey killed", "no request fails: reads go to Postgres", valkey_killed),
    Fault("Valkey hung", "no request fails: each waits 50 ms at most, then the breaker opens", valkey_hung),
    Fault("Valkey slow (500 ms)", "no request fails: slower than its time-out is away", valkey_slow, wired=True),
    Fault("Valkey out of memory", "no request fails: nothing is stored, deletions still work", valkey_full),
    Fault(
        "Postgres killed",
        "cached reads are answered; all else fails at once with 5xx, and nothing accepted is lost",
        postgres_killed,
        unharmed=(READ,),
        at_most=None,
    ),
    Fault(
        "Postgres restarted",
        "cached reads are answered; what hits the gap fails with 5xx",
        postgres_restarted,
        unharmed=(READ,),
        at_most=None,
    ),
    Fault(
        "Postgres out of connections",
        "cached reads are answered; all else fails with 5xx",
        connections_exhausted,
        unharmed=(READ,),
        at_most=None,
    ),
    Fault(
        "transaction holds a lock during apply",
        "no request fails: apply waits, and queues nobody behind it",
        lock_held_during_apply,
    ),
    Fault(
        "services killed (-9)",
        "only what the dead processes had taken fails; the proxy sends the rest to their replicas",
        service_killed,
        unharmed=(),
        at_most=20,
        behind_proxy=True,
    ),
    Fault("services ended (SIGTERM)", "no request fails", service_ended, behind_proxy=True),
    Fault(
        "disk of Postgres full",
        "cached reads are answered; writes fail with 5xx and are not acknowledged",
        disk_full,
        unharmed=(READ,),
        at_most=None,
    ),
)
