"""Webhooks a second by group commit, by one insert per request, and of a route that stores nothing.

    python -m benchmarks.ingest [--quick] [--out DIR]

One service process on the last core; Postgres, which waits for its disk at every commit (fsync), and the load generator
share the others. Requests start at given times whatever the service does (open model); latency counts from then. A
capacity is the highest rate of rising ones at which every request is a 200 and P95 stays below 250 ms. The three take
turns, and the group commit is measured again at half its own capacity.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Request, post

from benchmarks.ingest_load import SECRET
from easymo.embedded import Postgres
from easymo.load import Job, Stage, run_process
from easymo_platform.operations import serve
from easymo_platform.operations.migrate import main as migrate
from easymo_platform.whatsapp_webhook import ingest
from easymo_platform.whatsapp_webhook.app import create as create_webhook
from easymo_platform.whatsapp_webhook.model import Accepted

WAYS = ("group-commit", "insert-per-request", "static-json")
P95_BELOW_MS = 250.0
FIRST_RPS, STEP_RATIO, STEP_S = 100, 1.25, 4.0
SCENARIO = Path(__file__).with_name("ingest_load.py")


def create(environ: Mapping[str, str]) -> Litestar:
    """The service, with the way to store that INGEST names."""
    way = environ["INGEST"]
    if way == "insert-per-request":
        # The same statement, code and pool; only nobody waits for anybody else.
        async def store_alone(self: ingest.Ingest, body: bytes, delivery: Any) -> Accepted:
            future = ingest.asyncio.get_running_loop().create_future()
            await self._store([ingest._Waiting(ingest.sha256(body).digest(), delivery, time.perf_counter(), future)])
            return await future

        ingest.Ingest.store = store_alone  # type: ignore[method-assign]
    app = create_webhook(environ)
    if way == "static-json":

        @post("/webhook", status_code=200)
        async def accept(request: Request[Any, Any, Any]) -> Accepted:
            await request.body()
            return Accepted(1, 0, 0)

        static = Litestar([accept], logging_config=None)
        static.state.runtime = app.state.runtime
        return static
    return app


def serve_way(way: str) -> None:
    """This process becomes the service, on the last core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0) | {(os.cpu_count() or 1) - 1})})
    serve.SERVICES = {"benchmark": serve.ServiceEntry("benchmarks.ingest", 0, "/")}
    serve.serve("benchmark", "127.0.0.1", 0, os.environ | {"INGEST": way})


@contextmanager
def service(way: str, database_url: str) -> Iterator[str]:
    """The service in a process of its own; its address."""
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
                    yield msgspec.json.decode(line)["url"]
                    break
            else:
                raise SystemExit(f"{way} did not start")
        finally:
            process.kill()


def load(url: str, rate: int, seconds: float, salt: str) -> Any:
    return run_process(
        Job(scenario=str(SCENARIO), urls={"": url}, stages=[Stage(rate, seconds)], seed=6, salt=salt, warm_up_s=0.5)
    )


def capacity_rps(way: str, database_url: str, step_s: float, salt: str) -> int:
    """The highest rate that the service held."""
    held, rate = 0, FIRST_RPS
    with service(way, database_url) as url:
        while True:
            result = load(url, rate, step_s, f"{salt}/{rate}")
            p95 = result.latency_ms.p95 if result.latency_ms else float("inf")
            ok = not result.errors and p95 < P95_BELOW_MS
            say(f"  {way:<18} {rate:>5} requests/s: P95 {p95:7.1f} ms  {'held' if ok else 'not held'}")
            if not ok:
                return held
            held, rate = rate, int(rate * STEP_RATIO)


def measure(rounds: int, step_s: float) -> dict[str, Any]:
    """Every way in turns, and the group commit at half its capacity."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[:-1]) or set(cores))
    capacities: dict[str, list[int]] = {way: [] for way in WAYS}
    with Postgres(settings={"fsync": "on"}) as postgres:
        migrate(["--database-url", postgres.url])
        for number in range(rounds):
            for way in WAYS:
                capacities[way].append(capacity_rps(way, postgres.url, step_s, f"{number}"))
        half = statistics.median_low(capacities["group-commit"]) // 2
        with service("group-commit", postgres.url) as url:
            result = load(url, half, 3 * step_s, "half")
    median = {way: statistics.median(values) for way, values in capacities.items()}
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cores": len(cores), "cpu": platform.processor() or platform.machine()},
        "python": platform.python_version(),
        "rounds": rounds,
        "step_s": step_s,
        "capacity_rps": capacities,
        "group_commit_over_insert_per_request_ratio": round(median["group-commit"] / median["insert-per-request"], 2),
        "group_commit_over_static_json_ratio": round(median["group-commit"] / median["static-json"], 2),
        "at_half_capacity": {
            "rate_rps": half,
            "p50_ms": result.latency_ms.p50,
            "p99_ms": result.latency_ms.p99,
            "errors": result.errors,
            "lateness_p99_ms": result.lateness_ms.p99,
        },
    }


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> int:
    """Measure, print, and store if asked. Returns 0."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one round of short steps: a smoke test")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write ingest.json there (evidence/ingest)")
    parser.add_argument("--serve", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_way(options.serve)
        return 0
    result = measure(1, 1.5) if options.quick else measure(3, STEP_S)
    result["quick"] = options.quick
    text = msgspec.json.format(msgspec.json.encode(result), indent=2).decode()
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "ingest.json").write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
