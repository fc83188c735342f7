"""Every process of every service restarted behind a proxy, one by one, under load: no request may fail.

    python -m drills.rolling --rate 200

Two processes of each service run behind haproxy, which asks /health/ready. Each is ended by SIGTERM, as a rollout does,
waited for, started again, and the next one follows once the proxy sends requests to it again.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from drills.fleet import Replica, environment, free_ports, running
from drills.proxy import Proxy, proxied
from drills.report import write_evidence
from drills.traffic import SCENARIO, Traffic, scenario_environment
from easymo.embedded import Postgres, Valkey
from easymo_platform.operations.migrate import migrate
from easymo_platform.operations.serve import SERVICES
from easymo_platform.sample_data.load import load

PROCESSES = 2
DELAY_S = 3.0
SCALE = "0.1"
TARGETS = ("voice-bridge", "whatsapp-webhook", "agent-core")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One rolling restart. ``seconds`` is the time from the first SIGTERM to when the last process serves again."""

    services: dict[str, int]
    restarts: int
    rate_rps: float
    requests: int
    errors: dict[str, int]
    exit_codes: list[int]
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    seconds: float

    @property
    def holds(self) -> bool:
        """No request failed, and every process ended as it should."""
        return self.requests > 0 and not self.errors and set(self.exit_codes) == {0}


async def restart_under_load(
    database_url: str,
    redis_url: str,
    services: Sequence[str],
    *,
    rate_rps: float,
    scale: str,
    scenario: Path = SCENARIO,
    stretch_s: float = 5.0,
    timeout_s: float = 10.0,
) -> Result:
    """Restart all processes of the services on a database that is migrated and filled already."""
    ports = iter(free_ports(PROCESSES * len(services)))
    environ = environment(database_url, redis_url, SHUTDOWN_DELAY_S=str(DELAY_S), DATABASE_POOL_SIZE="6")
    replicas = [Replica(service, next(ports), environ) for service in services for _ in range(PROCESSES)]
    async with running(replicas), proxied(replicas) as proxy:
        urls = {service: url for service, url in proxy.urls.items() if service in TARGETS}
        environ = scenario_environment(scale)
        traffic = Traffic(scenario, urls, rate_rps, environment=environ, stretch_s=stretch_s, timeout_s=timeout_s)
        async with traffic.flowing():
            exit_codes, seconds = await _restart(replicas, proxy)
    latency_ms = traffic.latency_ms
    return Result(
        services=dict.fromkeys(services, PROCESSES),
        restarts=len(replicas),
        rate_rps=rate_rps,
        requests=traffic.requests,
        errors=traffic.errors,
        exit_codes=exit_codes,
        latency_p95_ms=latency_ms.p95 if latency_ms else None,
        latency_p99_ms=latency_ms.p99 if latency_ms else None,
        seconds=round(seconds, 1),
    )


async def _restart(replicas: Sequence[Replica], proxy: Proxy) -> tuple[list[int], float]:
    """One after the other; their exit codes, and the seconds it took."""
    exit_codes = []
    started = time.monotonic()
    for replica in replicas:
        exit_codes.append(await replica.end())
        await replica.start()
        await proxy.until(replica, "UP")
    return exit_codes, time.monotonic() - started


def main() -> int:
    """Run it on servers of its own, print what was seen. Returns 0 if no request failed."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--rate", type=float, default=200, help="requests per second (default: %(default)s)")
    parser.add_argument("--services", nargs="+", choices=SERVICES, default=list(SERVICES), help="default: all")
    parser.add_argument("--out", type=Path, help="folder for rolling.json and rolling.md")
    options = parser.parse_args()
    with Postgres() as postgres, Valkey() as valkey:
        asyncio.run(migrate(postgres.url))
        asyncio.run(load(postgres.url, SCALE, 1))
        result = asyncio.run(
            restart_under_load(postgres.url, valkey.url, options.services, rate_rps=options.rate, scale=SCALE)
        )
    write_evidence(options.out, "rolling", result, report(result))
    return 0 if result.holds else 1


def report(result: Result) -> str:
    """The page of a run."""
    failed = sum(result.errors.values())
    return "\n".join(
        (
            "# Rolling restart under load",
            "",
            f"{result.restarts} processes of {len(result.services)} services, {PROCESSES} each behind haproxy, "
            f"restarted one by one in {result.seconds:.1f} s at {result.rate_rps:g} requests/s.",
            "",
            "| requests | failed | P95 | P99 |",
            "|---:|---:|---:|---:|",
            f"| {result.requests:,} | {failed} | {result.latency_p95_ms or 0:.1f} ms | "
            f"{result.latency_p99_ms or 0:.1f} ms |",
            "",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
