"""``python -m drills.proof.recorded_rounds``: plays the rounds that the judge is tried on, and keeps them.

One little server (tests/proof/other_system, with its index) under one scenario, again and again, nothing changed; then
the same server while it is stopped for a moment in every round. Only what a percentile needs is kept of a round.
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import msgspec
from msgspec import Struct

from easymo.embedded import Postgres
from easymo.indexes.sqlfile import read_statements
from easymo.load import Job, LoadResult, Stage, run_process
from easymo.load.histogram import Histogram

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "tests/proof/other_system"
FILE = ROOT / "evidence/judge/rounds.jsonl"
RATE_RPS, ROUND_S, WARM_UP_S = 600.0, 2.0, 0.2
#: One stop of the server in each of the stalled rounds: 4 % of the round's requests wait, half of STALL_S on average.
STALL_S = 0.08
TRIES = 10


class Recorded(Struct, frozen=True):
    """One round: how many requests, the histogram of their latencies (µs), and when it began (s after the first)."""

    stalled: bool
    began_s: float
    requests: int
    histogram: str

    def latencies_us(self) -> list[int]:
        """Every latency of the round, ascending, each within 0.1 %."""
        histogram = Histogram()
        histogram.add(self.histogram)
        return [latency for value, count in histogram.values() for latency in [value] * count]


def read(file: Path = FILE) -> list[Recorded]:
    """The rounds in the order in which they were played."""
    return [msgspec.json.decode(line, type=Recorded) for line in file.read_bytes().splitlines()]


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for name in ("schema.sql", "data.sql", "index.sql"):
            for statement in read_statements(SHOP / name):
                await connection.execute(statement.text)
    finally:
        await connection.close()


@contextmanager
def shop() -> Iterator[tuple[str, int]]:
    """The little server on its own Postgres: its address and its process."""
    with Postgres() as server, socket.socket() as probe:
        url = server.url
        asyncio.run(_fill(url))
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        process = subprocess.Popen(
            [sys.executable, "server.py", str(port)], cwd=SHOP, env={**os.environ, "DATABASE_URL": url}
        )
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("The shop did not start within 30 s.")


def job(url: str, number: int) -> Job:
    """One round against the shop."""
    return Job(
        scenario=str(SHOP / "load.py"),
        urls={"": url},
        stages=[Stage(RATE_RPS, ROUND_S)],
        seed=number,
        warm_up_s=WARM_UP_S,
    )


def play(url: str, number: int) -> LoadResult:
    """Play one round."""
    return run_process(job(url, number))


def play_starved(url: str) -> LoadResult:
    """A round of a generator that gets no CPU for 500 ms of every 550: it cannot send in time."""
    command = [sys.executable, "-m", "easymo.load", msgspec.json.encode(job(url, 1)).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        over = threading.Event()
        stopper = threading.Thread(target=_stop_again_and_again, args=(over, process.pid, 0.05, 0.5))
        stopper.start()
        try:
            output, _ = process.communicate(timeout=120)
        finally:
            over.set()
            stopper.join()
    return msgspec.json.decode(output, type=LoadResult)


def _stop_again_and_again(over: threading.Event, pid: int, run_s: float, stop_s: float) -> None:
    """Let the process run, stop it, and so on until ``over``; it is running then, or gone."""
    with suppress(ProcessLookupError):
        while not over.wait(run_s):
            os.kill(pid, signal.SIGSTOP)
            over.wait(stop_s)
            os.kill(pid, signal.SIGCONT)


def record(ordinary: int, stalled: int, file: Path) -> None:
    """Play and write; ``file`` is replaced when all rounds are there."""
    unfinished = file.with_suffix(".unfinished")
    with shop() as (url, pid), unfinished.open("wb") as out:
        began = time.monotonic()
        play(url, 0)
        for number in range(ordinary + stalled):
            over, stops = threading.Event(), number >= ordinary
            stopper = threading.Thread(
                target=_stop_again_and_again, args=(over, pid, ROUND_S - STALL_S, STALL_S), daemon=True
            )
            if stops:
                stopper.start()
            at_s = round(time.monotonic() - began, 2)
            latency_ms = _punctual(url, number + 1).latency_ms
            over.set()
            if stops:
                stopper.join()
            assert latency_ms is not None
            line = Recorded(stops, at_s, latency_ms.count, latency_ms.histogram)
            out.write(msgspec.json.encode(line) + b"\n")
    unfinished.replace(file)


def _punctual(url: str, number: int) -> LoadResult:
    """A round that counts; one whose generator was late is played again, but not for ever."""
    for _ in range(TRIES):
        result = play(url, number)
        if not result.void:
            return result
        print(f"round {number}: {result.void}", file=sys.stderr)
    raise SystemExit(f"The generator was late in {TRIES} rounds on end: this machine is too busy. Try an idle one.")


def main() -> None:
    """Record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=240)
    parser.add_argument("--stalled", type=int, default=20)
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args()
    record(given.rounds, given.stalled, given.out)


if __name__ == "__main__":
    main()
