"""The rollback, done on the embedded platform under load and timed: the note promises less than five minutes.

    python -m drills.rollback --rate 40

`up` runs with its own servers and sample data; the note's load test goes on while `rollback all --yes` restarts the
services, takes cache and indexes away, and until some seconds after it. What `rollout undo` does on a cluster is a
process restart here. Afterwards the schema must be the one before the performance migration.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec

from drills.fleet import KEY, SECRET
from drills.report import write_evidence
from drills.traffic import SCENARIO, Traffic, scenario_environment
from easymo.indexes import difference, snapshot
from easymo_platform.operations.credentials import read_environment_file
from easymo_platform.operations.migrate import MIGRATIONS, migrate
from easymo_platform.operations.rollback.command import Report
from easymo_platform.operations.rollback.indexes import MIGRATION
from easymo_platform.operations.rollback.plan import STEPS

SCALE = "note"
AT_MOST_S = 60.0
TARGETS = {
    "voice-bridge": "VOICE_BRIDGE_URL",
    "whatsapp-webhook": "WHATSAPP_WEBHOOK_URL",
    "agent-core": "AGENT_CORE_URL",
}

_READY_WITHIN_S = 180
_STEADY_S = 3.0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One drill; ``step_seconds`` by step of the note's plan."""

    rate_rps: float
    scale: str
    requests: int
    errors: dict[str, int]
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    seconds: float
    step_seconds: dict[str, float]
    left_behind: list[str]
    """How the schema differs from the one before the performance migration."""

    @property
    def holds(self) -> bool:
        """In time, without a failed request, and nothing left."""
        return self.requests > 0 and not self.errors and self.seconds < AT_MOST_S and not self.left_behind


async def drill(rate_rps: float, scale: str, *, timeout_s: float = 10.0, stretch_s: float = 5.0) -> Result:
    """The whole drill, on an `up` of its own."""
    with tempfile.TemporaryDirectory(prefix="easymo-drill-") as name:
        folder = Path(name)
        async with _platform(folder, scale) as handed_over:
            traffic = Traffic(
                SCENARIO,
                {service: handed_over[variable] for service, variable in TARGETS.items()},
                rate_rps,
                environment=scenario_environment(scale),
                stretch_s=stretch_s,
                timeout_s=timeout_s,
            )
            async with traffic.flowing():
                await asyncio.sleep(_STEADY_S)
                report = await asyncio.to_thread(_roll_back, handed_over)
                await asyncio.sleep(_STEADY_S)
            left_behind = await _left_behind(handed_over["DATABASE_URL"], folder)
    latency_ms = traffic.latency_ms
    return Result(
        rate_rps=rate_rps,
        scale=scale,
        requests=traffic.requests,
        errors=traffic.errors,
        latency_p95_ms=latency_ms.p95 if latency_ms else None,
        latency_p99_ms=latency_ms.p99 if latency_ms else None,
        seconds=round(report.seconds, 1),
        step_seconds={
            step: round(sum(outcome.seconds for outcome in report.outcomes if outcome.step == step), 1)
            for step in STEPS
        },
        left_behind=left_behind,
    )


@asynccontextmanager
async def _platform(folder: Path, scale: str) -> AsyncIterator[dict[str, str]]:
    """A platform with sample data; what it hands over."""
    file = folder / "up.env"
    environ = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    environ |= {"SERVICE_JWT_KEYS": KEY, "WHATSAPP_APP_SECRET": SECRET, "LOG_LEVEL": "warning"}
    # The load replies to sessions that the sample data has left open; the sweeper would end them meanwhile.
    environ |= {"VOICE_SWEEP_INTERVAL_S": "86400", "AGENT_SWEEP_INTERVAL_S": "86400"}
    command = (sys.executable, "-m", "easymo_platform", "up", "--free-ports", "--scale", scale, "--env-file", str(file))
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_READY_WITHIN_S):
            async for line in process.stdout:
                if line.startswith(b"Ctrl-C"):
                    break
        assert process.returncode is None, f"the platform ended with {process.returncode}"
        yield read_environment_file(file)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _roll_back(handed_over: dict[str, str]) -> Report:
    command = [sys.executable, "-m", "easymo_platform", "rollback", "all", "--yes", "--json"]
    done = subprocess.run(command, env=handed_over, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return msgspec.json.decode(done.stdout, type=Report)


async def _left_behind(database_url: str, folder: Path) -> list[str]:
    """The schema now against that of a database which never saw the performance migration."""
    never = urlunsplit(urlsplit(database_url)._replace(path="/never"))
    others = folder / "migrations"
    shutil.copytree(MIGRATIONS, others, ignore=lambda _, names: [MIGRATION.name] if MIGRATION.name in names else [])
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("create database never")
        await migrate(never, others)
        without = await asyncpg.connect(never)
        try:
            await without.execute("create extension pg_stat_statements")
            return difference(await snapshot(without), await snapshot(connection))
        finally:
            await without.close()
    finally:
        await connection.close()


def page(result: Result) -> str:
    """The page of a drill."""
    lines = [
        "# Rollback under load",
        "",
        f"`rollback all --yes` on `up` (sample data: {result.scale}) at {result.rate_rps:g} requests/s: "
        f"**{result.seconds:.1f} s, {sum(result.errors.values())} failed of {result.requests:,} requests** "
        f"(P95 {result.latency_p95_ms or 0:.1f} ms, P99 {result.latency_p99_ms or 0:.1f} ms). The note promises less "
        "than 5 minutes. `kubectl rollout undo` is a process restart here: one machine has no earlier revision, and no "
        "autoscaler.",
        "",
        f"Schema afterwards: {'as before' if not result.left_behind else '; '.join(result.left_behind)}.",
        "",
        "| step | seconds |",
        "|---|---:|",
        *(f"| {step} | {seconds:.1f} |" for step, seconds in result.step_seconds.items()),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Do it, print what was seen. Returns 0 if it took less than a minute and no request failed."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--rate", type=float, default=40, help="requests per second (default: %(default)s)")
    parser.add_argument("--scale", default=SCALE, help="of the sample data (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for drill.json and drill.md")
    options = parser.parse_args()
    result = asyncio.run(drill(options.rate, options.scale))
    write_evidence(options.out, "drill", result, page(result))
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
