"""Webhooks a second by group commit, by one insert per request, and of a route that stores nothing.

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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from benchmarks.ingest_load import SECRET
from benchmarks.ingest_ways import ALONE, GROUP, STATIC, WAYS, serve_way
from easymo.embedded import Postgres
from easymo.load import Job, Stage, run_process
from easymo_platform.operations import serve
from easymo_platform.operations.migrate import main as migrate

P95_BELOW_MS = 250.0
FIRST_RPS, HALVINGS, STEP_S = 500, 3, 2.5
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
                    yield msgspec.json.decode(line)["url"], process.pid
                    break
            else:
                raise SystemExit(f"{way} did not start")
        finally:
            process.kill()


def cpu_s(pid: int) -> float:
    """CPU time of a process and of its children, those that have ended too."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended meanwhile
        return 0.0
    return sum(map(int, fields[11:15])) * _TICK_S + sum(cpu_s(int(child)) for child in children)


def step(url: str, pid: int, postgres: Postgres, rate: int, seconds: float, salt: str) -> Step:
    """One rate for some seconds, after half a second of it that is not counted."""
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


def capacity(way: str, postgres: Postgres, step_s: float, salt: str) -> list[Step]:
    """The rates that were tried; the highest one held is the capacity."""
    steps: list[Step] = []
    held, failed = 0, 0
    with service(way, postgres.url) as (url, pid):
        while not failed or len(steps) - doublings < HALVINGS:
            rate = round((held * failed) ** 0.5) if failed else 2 * held or FIRST_RPS
            tried = step(url, pid, postgres, rate, step_s, f"{salt}/{len(steps)}")
            steps.append(tried)
            say(
                f"  {way:<18} {rate:>6} requests/s: P99 {tried.p99_ms:7.1f} ms, {tried.service_cpu_us:5.0f} µs CPU each, "
                f"{tried.service_core_ratio:4.0%} of the core  {'held' if tried.held else 'not held'}"
            )
            held, failed = (rate, failed) if tried.held else (held, rate)
            if not tried.held and not held:
                raise SystemExit(f"{way} did not even hold {rate} requests/s: is the machine busy?")
            doublings = doublings if failed and len(steps) > 1 and steps[-2].held is False else len(steps)
    return steps
