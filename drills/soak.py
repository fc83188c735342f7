"""Half of the measured capacity for a long time: do memory, descriptors, connections or latency grow?

    python -m drills.soak --seconds 900

The services of `easymo prove` run with cache and indexes on its sample data; the load is the note's, at half of the
capacity that the accepted proof found (evidence/prove). The first fifth is left out: caches fill, pools open. Before it
every session is read twice, which puts it into agent-core's near cache: by the load alone, which asks for most of them
seldom, that would fill for more than an hour, and its memory grow by 14 MiB an hour meanwhile.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg
import httpx
import msgspec
import psutil
from prometheus_client.parser import text_string_to_metric_families

from drills.fleet import KEY, Replica, environment, free_ports, running
from drills.report import write_evidence
from drills.traffic import SCENARIO, Traffic, scenario_environment
from drills.trend import BLOCKS, Trend, trend
from easymo.embedded import Postgres, Valkey
from easymo.proof.accepted.evidence import accepted_verdict
from easymo_platform.agent_core.api import READ
from easymo_platform.operations.migrate import migrate
from easymo_platform.runtime.auth import LOAD_TEST, Tokens
from easymo_platform.sample_data.load import load
from tests.load.services import SESSIONS, session_id

SCALE = "note"
SERVICES = ("voice-bridge", "whatsapp-webhook", "agent-core")
OF_CAPACITY = 0.5
NEAR_MB = 64

_ROOT = Path(__file__).parents[1]
_WARM_UP_RATIO = 0.2
_SHORTEST_STRETCH_S = 5.0
_MIB = 1024 * 1024
_NEAR_CACHE = "near cache (MiB)"
_CONNECTIONS = "select application_name, count(*) from pg_stat_activity where application_name = any($1) group by 1"

Series = dict[str, list[tuple[float, float]]]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One soak; ``trends`` by what was watched, its unit in the name. ``near_caches`` may grow up to their bound."""

    seconds: float
    rate_rps: float
    requests: int
    errors: dict[str, int]
    trends: dict[str, Trend]
    near_caches: dict[str, Trend]

    @property
    def holds(self) -> bool:
        """No request failed, and nothing grows that has no bound."""
        return not self.errors and not any(found.grows for found in self.trends.values())


async def soak(seconds: float, rate_rps: float) -> Result:
    """On servers of its own."""
    with Postgres() as postgres, Valkey() as valkey:
        await migrate(postgres.url)
        await load(postgres.url, SCALE, 1)
        ports = iter(free_ports(len(SERVICES)))
        more = {"LOG_LEVEL": "warning", "DATABASE_POOL_SIZE": "8", "CACHE_NEAR_MB": str(NEAR_MB)}
        environ = environment(postgres.url, valkey.url, **more)
        replicas = {service: Replica(service, next(ports), environ) for service in SERVICES}
        async with running(list(replicas.values())):
            stretch_s = max(_SHORTEST_STRETCH_S, seconds / BLOCKS)
            urls = {service: replica.url for service, replica in replicas.items()}
            await read_sessions(urls["agent-core"])
            traffic = Traffic(SCENARIO, urls, rate_rps, environment=scenario_environment(SCALE), stretch_s=stretch_s)
            async with traffic.flowing():
                series = await watch(replicas, postgres.url, seconds)
    trends = {name: trend(points) for name, points in (series | _latencies(traffic, stretch_s)).items()}
    return Result(
        seconds=seconds,
        rate_rps=rate_rps,
        requests=traffic.requests,
        errors=traffic.errors,
        trends={name: found for name, found in trends.items() if not name.endswith(_NEAR_CACHE)},
        near_caches={name: found for name, found in trends.items() if name.endswith(_NEAR_CACHE)},
    )


async def read_sessions(url: str) -> None:
    """Read every session of the sample data twice: what is asked for a second time is kept in the process."""
    token = Tokens([KEY], LOAD_TEST).sign("agent-core", (READ,), lifetime_s=3600)
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        for age in (*range(SESSIONS), *range(SESSIONS)):
            (await client.get(f"/sessions/{session_id(age)}")).raise_for_status()


async def watch(replicas: Mapping[str, Replica], database_url: str, seconds: float) -> Series:
    """Memory, near cache, descriptors and connections of each service, every second, without the first fifth."""
    series: Series = {}
    connection = await asyncpg.connect(database_url)
    try:
        async with httpx.AsyncClient() as client:
            started = time.monotonic()
            while (at := time.monotonic() - started) < seconds:
                if at >= seconds * _WARM_UP_RATIO:
                    held = {row[0]: row[1] for row in await connection.fetch(_CONNECTIONS, SERVICES)}
                    for service, replica in replicas.items():
                        seen = await _held(client, replica) | {"connections to Postgres": held.get(service, 0)}
                        for name, value in seen.items():
                            series.setdefault(f"{service}: {name}", []).append((at, float(value)))
                await asyncio.sleep(1.0)
    finally:
        await connection.close()
    return series


async def _held(client: httpx.AsyncClient, replica: Replica) -> dict[str, float]:
    process = psutil.Process(replica.pid)
    metrics = (await client.get(f"{replica.url}/metrics")).raise_for_status().text
    families = {family.name: family for family in text_string_to_metric_families(metrics)}
    return {
        "memory (MiB)": process.memory_info().rss / _MIB,
        _NEAR_CACHE: families["easymo_cache_near_bytes"].samples[0].value / _MIB,
        "descriptors": process.num_fds(),
    }


def _latencies(traffic: Traffic, stretch_s: float) -> Series:
    """P50 and P95 of each stretch, without the first fifth."""
    first = int(len(traffic.results) * _WARM_UP_RATIO)
    found = [(number * stretch_s, result.latency_ms) for number, result in enumerate(traffic.results)][first:]
    return {
        "latency P50 (ms)": [(at, latency_ms.p50) for at, latency_ms in found if latency_ms],
        "latency P95 (ms)": [(at, latency_ms.p95) for at, latency_ms in found if latency_ms],
    }


def page(result: Result) -> str:
    """The page of a soak."""
    lines = [
        "# Soak",
        "",
        f"{result.seconds:g} s at {result.rate_rps:g} requests/s: {result.requests:,} requests, "
        f"{sum(result.errors.values())} failed. Slopes are Theil–Sen's with Sen's 95 % interval, after the first "
        "fifth.",
        "",
        "| what | level | per hour | 95 % interval | |",
        "|---|---:|---:|---:|---|",
    ]
    lines += [_row(name, found, "grows" if found.grows else "flat") for name, found in result.trends.items()]
    lines += [_row(name, found, f"bound: {NEAR_MB}") for name, found in result.near_caches.items()]
    return "\n".join((*lines, ""))


def _row(name: str, found: Trend, verdict: str) -> str:
    interval = f"{found.low:+.2f} … {found.high:+.2f}"
    return f"| {name} | {found.level:.2f} | {found.per_hour:+.2f} | {interval} | {verdict} |"


def half_of_capacity() -> float:
    """Requests per second: half of what the accepted proof found with cache and indexes. Raises ProofError."""
    capacity_rps = accepted_verdict(_ROOT).arms["both"].capacity_rps
    assert capacity_rps is not None, "the accepted proof has found no capacity: name a --rate"
    return round(capacity_rps * OF_CAPACITY)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, print the slopes. Returns 0 if no request failed and nothing grows."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=900, help="default: %(default)s")
    parser.add_argument("--rate", type=float, help="requests per second (default: half of the proof's capacity)")
    parser.add_argument("--out", type=Path, help="folder for soak.json and soak.md")
    options = parser.parse_args(arguments)
    result = asyncio.run(soak(options.seconds, options.rate or half_of_capacity()))
    write_evidence(options.out, "soak", result, page(result))
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
