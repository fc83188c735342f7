"""The tools of the load benchmark: how each is started, and what it reports."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from easymo.load import Job, Stage, run_process

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Reported:
    """What a tool says of its run; times in ms, None where it does not say. `cpu_s` is what its processes used."""

    requests: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    cpu_s: float = 0.0
    void: str | None = None


@dataclass(frozen=True)
class Tool:
    """`play(url, seconds)` runs it; `program` must be there (None: it is ours). `rate_rps` None: as fast as it can."""

    name: str
    program: str | None
    rate_rps: int | None
    play: Callable[[str, int], Reported]

    def missing(self) -> str | None:
        """How to get the program, or None when it is there."""
        if self.program is None or find(self.program):
            return None
        return {"locust": "make bench-load installs it"}.get(self.program, f"apt-get install {self.program}")

    def run(self, url: str, seconds: int) -> Reported:
        """One run, with the CPU seconds of all its processes."""
        before = _children_s()
        reported = self.play(url, seconds)
        return Reported(**{**vars(reported), "cpu_s": _children_s() - before})


def find(program: str) -> str | None:
    """The program beside this Python, or on the path."""
    beside = Path(sys.executable).with_name(program)
    return str(beside) if beside.exists() else shutil.which(program)


def accuracy_tools() -> list[Tool]:
    """Every tool told to send 1,000 requests/s, in the ways in which that can be said to it."""
    return [
        *(
            Tool(f"easymo load, {how}", None, 1000, partial(_easymo, rate_rps=1000, arrivals=how))
            for how in ("constant", "poisson")
        ),
        Tool("Locust, 10 users × 100/s", "locust", 1000, lambda url, s: _locust(url, s, 10, 100)),
        Tool("Locust, 100 users × 10/s", "locust", 1000, lambda url, s: _locust(url, s, 100, 10)),
        Tool("hey -c 10 -q 100", "hey", 1000, lambda url, s: _hey(url, s, 10, 100)),
        Tool("wrk -c 10 --latency", "wrk", None, lambda url, s: _wrk(url, s, 10)),
    ]


def cost_tools(rate_rps: int) -> list[Tool]:
    """Ours at `rate_rps`, the others, which know no rate of their own, as fast as they can."""
    return [
        Tool("easymo load", None, rate_rps, lambda url, s: _easymo(url, s, rate_rps, "poisson")),
        Tool("Locust, 32 users", "locust", None, lambda url, s: _locust(url, s, 32, None)),
        Tool("hey -c 32", "hey", None, lambda url, s: _hey(url, s, 32, None)),
        Tool("wrk -c 32", "wrk", None, lambda url, s: _wrk(url, s, 32)),
    ]


def versions() -> dict[str, str]:
    """Version of every tool that is there."""
    found = {}
    for program, arguments in {"locust": ["--version"], "wrk": ["--version"], "hey": None}.items():
        if (path := find(program)) is None:
            continue
        if arguments is None:  # hey does not say
            found[program] = _debian_version(program)
            continue
        said = subprocess.run([path, *arguments], check=False, capture_output=True, text=True)
        number = re.search(r"\d+\.\d+(\.\d+)?", said.stdout + said.stderr)
        found[program] = number[0] if number else "unknown"
    return found


def _debian_version(package: str) -> str:
    if shutil.which("dpkg-query") is None:
        return "unknown"
    said = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], check=False, capture_output=True, text=True)
    return said.stdout or "unknown"


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _easymo(url: str, seconds: int, rate_rps: int, arrivals: str) -> Reported:
    result = run_process(
        Job(
            scenario=str(HERE / "load_page.py"),
            urls={"": url},
            stages=[Stage(rate_rps, seconds)],
            seed=1,
            arrivals="constant" if arrivals == "constant" else "poisson",
        )
    )
    times = result.latency_ms
    assert times is not None
    return Reported(result.sent, sum(result.errors.values()), times.p50, times.p99, times.max, void=result.void)


def _locust(url: str, seconds: int, users: int, rate: int | None) -> Reported:
    environment = {**os.environ, **({"LOCUST_RATE": str(rate)} if rate else {})}
    command = [str(find("locust")), "-f", str(HERE / "load_locust.py"), "--headless", "--host", url, "--json"]
    command += ["-u", str(users), "-r", str(users), "-t", f"{seconds}s"]
    said = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    [page] = json.loads(said) or [
        {"num_requests": 0, "num_failures": 0, "response_times": {}, "max_response_time": None}
    ]
    times = Counter({float(ms): count for ms, count in page["response_times"].items()})
    return Reported(
        requests=page["num_requests"],
        errors=page["num_failures"],
        p50_ms=_percentile(times, 0.50),
        p99_ms=_percentile(times, 0.99),
        max_ms=page["max_response_time"],
    )


def _percentile(times: Counter[float], share: float) -> float | None:
    """As Locust's own table has it: the rounded time at which so many requests are over."""
    ascending = sorted(times.elements())
    return ascending[min(int(share * len(ascending)), len(ascending) - 1)] if ascending else None


def _hey(url: str, seconds: int, connections: int, rate_per_connection: int | None) -> Reported:
    limit = ["-q", str(rate_per_connection)] if rate_per_connection else []
    command = [str(find("hey")), "-z", f"{seconds}s", "-c", str(connections), "-cpus", "1", *limit, f"{url}/"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = {status: int(count) for status, count in re.findall(r"\[(\d+)\]\s+(\d+) responses", said)}
    failed = sum(int(count) for count in re.findall(r"^\s+\[(\d+)\]\s+[A-Z]\w+ \"", said, re.MULTILINE))
    return Reported(
        requests=sum(counts.values()) + failed,
        errors=failed + sum(count for status, count in counts.items() if status != "200"),
        p50_ms=_seconds(said, r"50% in ([\d.]+) secs"),
        p99_ms=_seconds(said, r"99% in ([\d.]+) secs"),
        max_ms=_seconds(said, r"Slowest:\s+([\d.]+) secs"),
    )


def _seconds(said: str, pattern: str) -> float | None:
    found = re.search(pattern, said)
    return float(found[1]) * 1000 if found else None


def _wrk(url: str, seconds: int, connections: int) -> Reported:
    command = [str(find("wrk")), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"{url}/"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    total = re.search(r"(\d+) requests in", said)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    assert total is not None, said
    return Reported(
        requests=int(total[1]),
        errors=int(refused[1]) if refused else 0,
        p50_ms=_with_unit(said, r"50%\s+([\d.]+)(us|ms|s)"),
        p99_ms=_with_unit(said, r"99%\s+([\d.]+)(us|ms|s)"),
        max_ms=_with_unit(said, r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)"),
    )


def _with_unit(said: str, pattern: str) -> float | None:
    found = re.search(pattern, said)
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]] if found else None
