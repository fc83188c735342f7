"""Faults of servers and services under load, one after the other, each with what must hold.

    python -m drills.chaos --seed 1

In every drill: no accepted write is lost, no changed value is shown as it was before, every failure is an answer or
comes within ten seconds, and five seconds after the fault nothing fails any more. The seed decides who asks for what.
"""

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import UUID

import msgspec

from drills.clients import READ, Answered, Clients, lost, stale
from drills.faults import FAULT_S, FAULTS, Fault, World, disk_full
from drills.fleet import Replica, environment, free_ports, running
from drills.proxy import proxied
from drills.report import write_evidence
from drills.servers import Breakable, SlowWire
from easymo.embedded import Postgres, Valkey
from easymo_platform.operations.migrate import migrate
from easymo_platform.sample_data import keys
from easymo_platform.sample_data.load import load

SCALE = "0.2"
RECOVERY_S = 5.0
RATE_RPS = 25.0
DISK = "700m"
MAX_CONNECTIONS = 40

_BEFORE_S = 1.0
_HOT = 10
_SERVICES = ("voice-bridge", "whatsapp-webhook")


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """What one fault did. ``recovery_s``: from the end of the fault to the end of the last request that failed."""

    name: str
    expected: str
    requests: int
    failed: int
    failed_by_kind: dict[str, int]
    cached_reads_meanwhile: int
    slowest_s: float
    recovery_s: float
    lost: list[str]
    stale: list[str]
    broken: list[str]

    @property
    def holds(self) -> bool:
        """Everything that must hold did."""
        return not self.broken


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """A small disk for the servers of the block; None where none can be mounted, which takes root."""
    with tempfile.TemporaryDirectory(prefix="easymo-disk-", dir="/var/tmp") as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=1777", "none", folder]
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
        before, tempfile.tempdir = tempfile.tempdir, folder if mounted else tempfile.tempdir
        try:
            yield Path(folder) if mounted else None
        finally:
            tempfile.tempdir = before
            if mounted:
                subprocess.run(["umount", "--lazy", folder], check=False)


@asynccontextmanager
async def world(disk: Path | None = None, scale: str = SCALE) -> AsyncIterator[World]:
    """Servers with sample data, and two processes of each service that is drilled."""
    settings = {"max_connections": str(MAX_CONNECTIONS), "shared_buffers": "128MB", "max_wal_size": "128MB"}
    settings |= {"checkpoint_timeout": "30s", "min_wal_size": "32MB"}
    postgres_port, valkey_port = free_ports(2)
    with Postgres(port=postgres_port, settings=settings) as postgres, Valkey(port=valkey_port) as valkey:
        await migrate(postgres.url)
        await load(postgres.url, scale, 1)
        breakable = Breakable(postgres), Breakable(valkey)
        try:
            async with SlowWire(valkey_port).running() as wire:
                environ = environment(postgres.url, valkey.url, SHUTDOWN_DELAY_S="2", RATE_LIMIT_STRANGER="0")
                slow = environ | {"REDIS_URL": f"redis://127.0.0.1:{wire.port}/0"}
                ports = iter(free_ports(6))
                replicas = [Replica(service, next(ports), environ) for service in _SERVICES for _ in range(2)]
                wired = [Replica(service, next(ports), slow) for service in _SERVICES]
                async with running([*replicas, *wired]):
                    yield World(*breakable, wire, replicas, wired, postgres.url, valkey.url, disk, scale)
        finally:
            for server in breakable:
                server.close()


async def drill(fault: Fault, on: World, live: list[UUID], seed: int, fault_s: float = FAULT_S) -> Drill:
    """One fault under load, and the state of everything after it."""
    if not fault.behind_proxy:
        replicas = on.wired if fault.wired else on.replicas
        voice, webhook = (_urls(replicas, service) for service in _SERVICES)
        return await _drill(fault, on, voice, webhook, live, seed, fault_s)
    async with proxied(on.replicas) as proxy:
        voice, webhook = ([proxy.urls[service]] for service in _SERVICES)
        return await _drill(fault, on, voice, webhook, live, seed, fault_s)


async def _drill(
    fault: Fault, on: World, voice: Sequence[str], webhook: Sequence[str], live: list[UUID], seed: int, fault_s: float
) -> Drill:
    replicas = _urls([*on.replicas, *on.wired], "voice-bridge")
    changing = set(keys.live_calls(on.scale))
    hot = [keys.call_id(n) for n in reversed(keys.recent_calls(on.scale)) if n not in changing][:_HOT]
    clients = Clients(voice, webhook, hot=hot, live=live, seed=seed, rate_rps=RATE_RPS)
    await clients.warm_up(replicas)
    async with clients.running():
        await asyncio.sleep(_BEFORE_S)
        begun = time.monotonic()
        async with fault.breaking(on):
            await asyncio.sleep(fault_s)
        ended = time.monotonic()
        await asyncio.sleep(RECOVERY_S + _BEFORE_S)
    answered = clients.ledger.answered
    return judge(
        fault,
        answered,
        begun,
        ended,
        lost=await lost(clients.ledger, on.database_url),
        stale=await stale(clients, replicas, on.database_url),
    )


def judge(
    fault: Fault, answered: Sequence[Answered], begun: float, ended: float, *, lost: list[str], stale: list[str]
) -> Drill:
    """What the requests say about a fault that lasted from ``begun`` to ``ended``."""
    failed = [request for request in answered if request.failed]
    kinds = sorted({request.kind for request in failed})
    by_kind = {kind: sum(request.kind == kind for request in failed) for kind in kinds}
    meanwhile = [r for r in answered if r.kind == READ and not r.failed and begun <= r.begun and r.ended <= ended]
    recovery_s = max([0.0, *(request.ended - ended for request in failed)])
    broken = []
    if harmed := [kind for kind in fault.unharmed if kind in by_kind]:
        broken.append(f"requests failed that must not: {', '.join(harmed)}")
    if fault.at_most is not None and len(failed) > fault.at_most:
        broken.append(f"{len(failed)} requests failed, at most {fault.at_most} may")
    if recovery_s > RECOVERY_S:
        broken.append(f"requests failed up to {recovery_s:.1f} s after the fault")
    broken += [f"{len(lost)} accepted writes are lost"] if lost else []
    broken += [f"{len(stale)} changed values are stale"] if stale else []
    broken += ["no cached read was answered meanwhile"] if fault.unharmed and not meanwhile else []
    return Drill(
        name=fault.name,
        expected=fault.expected,
        requests=len(answered),
        failed=len(failed),
        failed_by_kind=by_kind,
        cached_reads_meanwhile=len(meanwhile),
        slowest_s=round(max(request.ended - request.begun for request in answered), 2),
        recovery_s=round(recovery_s, 2),
        lost=lost,
        stale=stale,
        broken=broken,
    )


def _urls(replicas: Sequence[Replica], service: str) -> list[str]:
    return [replica.url for replica in replicas if replica.service == service]


async def campaign(names: Sequence[str], seed: int, disk: Path | None) -> list[Drill]:
    """The named faults in their order, on one platform."""
    live = [keys.call_id(number) for number in keys.live_calls(SCALE)]
    random.Random(seed).shuffle(live)
    chosen = [fault for fault in FAULTS if fault.name in names and (disk or fault.breaking is not disk_full)]
    drills = []
    async with world(disk) as on:
        for number, fault in enumerate(chosen):
            share = live[number :: len(chosen)]
            drills.append(await drill(fault, on, share, seed * 100 + number))
            sys.stdout.write(row(drills[-1]) + "\n")
            sys.stdout.flush()
    return drills


def row(drill: Drill) -> str:
    """A line of the table."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in drill.failed_by_kind.items()) or "–"
    verdict = "holds" if drill.holds else "; ".join(drill.broken)
    return (
        f"| {drill.name} | {drill.expected} | {drill.failed} of {drill.requests} ({kinds}) | "
        f"{drill.cached_reads_meanwhile} | {drill.slowest_s:.2f} s | {drill.recovery_s:.1f} s | "
        f"{len(drill.lost)} | {len(drill.stale)} | {verdict} |"
    )


def table(drills: Sequence[Drill]) -> str:
    """All of them, as Markdown."""
    head = (
        "| fault | expected | failed requests | cached reads meanwhile | slowest | recovered after | lost | stale | |"
    )
    return "\n".join((head, "|---|---|---|---:|---:|---:|---:|---:|---|", *map(row, drills)))


def main() -> int:
    """Run the drills, print the table. Returns 0 if everything held."""
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="FAULT", help="default: all")
    parser.add_argument("--out", type=Path, help="folder for faults.json and faults.md")
    options = parser.parse_args()
    with small_disk() as disk:
        if disk is None:
            sys.stdout.write("Not run: disk full (no small file system can be mounted here; it takes root).\n")
        drills = asyncio.run(campaign(options.only, options.seed, disk))
    write_evidence(options.out, "faults", drills, f"# Faults under load\n\n{table(drills)}\n")
    return 0 if all(drill.holds for drill in drills) else 1


if __name__ == "__main__":
    sys.exit(main())
