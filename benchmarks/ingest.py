"""Webhooks a second by group commit, by a transaction per request, and of a route that stores nothing.

    python -m benchmarks.ingest [--quick] [--out DIR]

One service process alone on the last core; Postgres, which waits for its disk at every commit (fsync and
synchronous_commit are on), and the load generator share the others. Requests start at given times whatever the service
does (open model); latency counts from then. A capacity is the highest rate at which every request is a 200 and P95
stays below 250 ms: the rate doubles until that fails, then the gap is halved. The ways take turns. Each is measured
again at half its own capacity; the CPU time per request is taken at the highest rate held, and says what bounds it.
"""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from benchmarks.ingest_load import SECRET
from benchmarks.ingest_ways import ALONE, ALONE_TERSE, GROUP, STATIC, WAYS, serve_way
from easymo.embedded import Postgres
from easymo.load import Job, Stage, run_process
from easymo_platform.operations import serve
from easymo_platform.operations.migrate import main as migrate

P95_BELOW_MS = 250.0
ROUNDS, FIRST_RPS, HALVINGS, STEP_S = 2, 1000, 3, 2.0
SCENARIO = Path(__file__).with_name("ingest_load.py")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Step(msgspec.Struct, frozen=True):
    """One rate, tried. ``service_core_ratio`` is how much of its core the service used."""

    rate_rps: int
    held: bool
    p50_ms: float
    p99_ms: float
    service_cpu_us: float
    postgres_cpu_us: float
    service_core_ratio: float
    lateness_p99_ms: float


@contextmanager
def service(way: str, database_url: str) -> Iterator[tuple[str, int]]:
    """The service in a process of its own; its address and process id."""
    environ = {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_ENABLED": "false",
        "AUTH_DISABLED": "true",
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_VERIFY_TOKEN": "unused",
    }
    command = [sys.executable, "-m", "benchmarks.ingest", "--serve", way]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if f'"event":"{serve.LISTENING}"' in line:
                    # What an overloaded service complains of must not fill the pipe: it would stop there.
                    threading.Thread(target=process.stderr.read, daemon=True).start()
                    yield msgspec.json.decode(line)["url"], process.pid
                    break
            else:
                raise SystemExit(f"{way} did not start")
        finally:
            process.kill()


def cpu_s(pid: int | None) -> float:
    """CPU time of a process and of its children, those that have ended too."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended meanwhile
        return 0.0
    return sum(map(int, fields[11:15])) * _TICK_S + sum(cpu_s(int(child)) for child in children)


def step(url: str, pid: int, postgres: Postgres, rate: int, seconds: float) -> Step:
    """One rate for some seconds, after half a second of it that is not counted."""
    salt = str(time.monotonic_ns())  # no message may be known from before
    job = Job(scenario=str(SCENARIO), urls={"": url}, stages=[Stage(rate, seconds)], seed=6, salt=salt, warm_up_s=0.5)
    before_s, postgres_before_s = cpu_s(pid), cpu_s(postgres.pid)
    result = run_process(job)
    used_s, postgres_used_s = cpu_s(pid) - before_s, cpu_s(postgres.pid) - postgres_before_s
    sent = rate * (seconds + 0.5)
    latency = result.latency_ms
    return Step(
        rate,
        not result.errors and latency is not None and latency.p95 < P95_BELOW_MS,
        latency.p50 if latency else 0.0,
        latency.p99 if latency else 0.0,
        round(1e6 * used_s / sent, 1),
        round(1e6 * postgres_used_s / sent, 1),
        round(used_s / (seconds + 0.5), 2),
        result.lateness_ms.p99 if result.lateness_ms else 0.0,
    )


def capacity(way: str, postgres: Postgres, first_rps: int, step_s: float) -> Step:
    """The highest rate that the service held. One that failed at a rate is not asked again: a new one is."""
    steps: list[Step] = []

    def held(url: str, pid: int, rate: int) -> bool:
        tried = step(url, pid, postgres, rate, step_s)
        steps.append(tried)
        say(
            f"  {way:<24} {rate:>6} requests/s: P99 {tried.p99_ms:6.1f} ms, {tried.service_cpu_us:4.0f} µs CPU, "
            f"{tried.service_core_ratio:4.0%} of the core  {'held' if tried.held else 'not held'}"
        )
        return tried.held

    rate = first_rps
    with service(way, postgres.url) as (url, pid):
        while held(url, pid, rate):
            rate *= 2
    low, high = rate // 2, rate
    for _ in range(HALVINGS):
        rate = round((low * high) ** 0.5)
        with service(way, postgres.url) as (url, pid):
            low, high = (rate, high) if held(url, pid, rate) else (low, rate)
    best = max((tried for tried in steps if tried.held), key=lambda tried: tried.rate_rps, default=None)
    if best is None:
        raise SystemExit(f"{way} held not even {rate} requests/s: nothing can be said on a machine as busy as this.")
    return best


async def empty(url: str) -> None:
    """Every capacity begins with empty tables."""
    connection = await asyncpg.connect(url)
    await connection.execute("truncate whatsapp_messages, webhook_deliveries")
    await connection.close()


def measure(rounds: int, first_rps: int, step_s: float) -> dict[str, Any]:
    """Every way in turns, and each at half its capacity."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[:-1]) or set(cores))
    best: dict[str, list[Step]] = {way: [] for way in WAYS}
    half: dict[str, Step] = {}
    with Postgres(settings={"fsync": "on", "synchronous_commit": "on"}) as postgres:
        migrate(["--database-url", postgres.url])
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for way in WAYS:
                asyncio.run(empty(postgres.url))
                best[way].append(capacity(way, postgres, first_rps, step_s))
        say("at half capacity")
        for way in WAYS:
            rate = round(statistics.median(tried.rate_rps for tried in best[way]) / 2)
            asyncio.run(empty(postgres.url))
            with service(way, postgres.url) as (url, pid):
                half[way] = step(url, pid, postgres, rate, 4 * step_s)
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cores": len(cores), "cpu": platform.processor() or platform.machine()},
        "python": platform.python_version(),
        "rounds": rounds,
        "step_s": step_s,
        "ways": {way: _way(best[way], half[way]) for way in WAYS},
        "ratios": {
            "capacity: group commit / insert per request": _over(best, "rate_rps", GROUP, ALONE),
            "capacity: group commit / insert per request in one statement": _over(best, "rate_rps", GROUP, ALONE_TERSE),
            "capacity: group commit / static JSON of the same framework": _over(best, "rate_rps", GROUP, STATIC),
            "CPU of the service: insert per request / group commit": _over(best, "service_cpu_us", ALONE, GROUP),
            "CPU of Postgres: insert per request / group commit": _over(best, "postgres_cpu_us", ALONE, GROUP),
        },
    }


def _median(steps: list[Step], name: str) -> float:
    return float(statistics.median(getattr(tried, name) for tried in steps))


def _over(best: dict[str, list[Step]], name: str, way: str, other: str) -> float:
    return round(_median(best[way], name) / _median(best[other], name), 2)


def _way(best: list[Step], half: Step) -> dict[str, Any]:
    names = ("service_cpu_us", "postgres_cpu_us", "service_core_ratio")
    return {
        "capacity_rps": _median(best, "rate_rps"),
        "capacities_rps": [tried.rate_rps for tried in best],
        **{name: _median(best, name) for name in names},
        "at_half_capacity": half,
    }


def markdown(result: dict[str, Any]) -> str:
    """The figures as a page of evidence."""
    rows = [
        f"| {way} | {figures['capacity_rps']:,.0f} | {half.rate_rps:,} | {half.p50_ms:.1f} | {half.p99_ms:.1f} "
        f"| {figures['service_cpu_us']:.0f} | {figures['service_core_ratio']:.0%} | {figures['postgres_cpu_us']:.0f} |"
        for way, figures in result["ways"].items()
        for half in [figures["at_half_capacity"]]
    ]
    head = ("way", "requests/s", "half", "P50 there, ms", "P99 there, ms", "CPU, µs", "of its core", "Postgres, µs")
    return "\n".join(
        [
            "# Webhook ingest: one service process on one core",
            "",
            f"Measured {result['when']} by `make bench-ingest`: {result['rounds']} rounds,",
            f"steps of {result['step_s']:g} s, {result['machine']['cores']} cores.",
            "Postgres waits for its disk at every commit. CPU times are per request.",
            "",
            f"| {' | '.join(head)} |",
            "|---" + "|---:" * (len(head) - 1) + "|",
            *rows,
            "",
            *(f"- {name}: {ratio:.2f}" for name, ratio in result["ratios"].items()),
            "",
        ]
    )


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> int:
    """Measure, print, and store if asked. Returns 0."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one round of short steps: a smoke test")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write ingest.json and ingest.md there (evidence/ingest)"
    )
    parser.add_argument("--serve", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_way(options.serve)
        return 0
    result = measure(1, 100, 0.5) if options.quick else measure(ROUNDS, FIRST_RPS, STEP_S)
    result["quick"] = options.quick
    page = markdown(result)
    print(page)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        text = msgspec.json.format(msgspec.json.encode(result), indent=2).decode()
        (options.out / "ingest.json").write_text(text + "\n")
        (options.out / "ingest.md").write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
