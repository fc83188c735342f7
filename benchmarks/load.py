"""Load generators beside each other: what they make of a server that stands still, and what a request costs them.

    python -m benchmarks.load [--quick] [--out DIR]

Accuracy: a server that answers at once but stands still for 200 ms every 5 s, and tools that are told to send 1,000
requests a second. A request that comes at any moment meets a standstill in 4 % of all cases and then waits 0 to 200 ms,
so P50 is near 0, P99 150 ms and the maximum 200 ms. The exact theory is computed from the server's own clock, for
evenly spaced requests; of Poisson arrivals the number that meets a standstill varies by itself, P99 by some 3 %.

Cost: CPU seconds of all the tool's processes, of a long run less those of a short one, per request of the difference;
so the start of a program does not count. wrk and hey are Debian packages, Locust comes with `make bench-load`; a tool
that is not there is left out, and the table says so. The server has the last core to itself, the tools the others.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.load_tools import Tool, accuracy_tools, cost_tools, versions
from tests.load import freezing_server

TARGET_RPS = 16_000
P99_WITHIN, CPU_US_AT_MOST = 0.05, 25.0
ACCURACY_S, COST_S, ROUNDS = 15, (2, 6), 2


@contextmanager
def server(*arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The server on the last core, in a process of its own."""
    command = [sys.executable, freezing_server.__file__, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        os.sched_setaffinity(process.pid, {(os.cpu_count() or 1) - 1})
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}", process
        finally:
            process.kill()


def theory(account: dict[str, Any]) -> dict[str, float]:
    """P50, P99 and maximum wait in ms of requests that come evenly between the first and the last one."""
    step_ns = 1_000_000
    waits_ms = [0.0] * ((account["last_ns"] - account["first_ns"]) // step_ns + 1)
    for begin_ns, end_ns in account["freezes"]:
        first = max(0, -(-(begin_ns - account["first_ns"]) // step_ns))
        for place in range(first, min(len(waits_ms), (end_ns - account["first_ns"]) // step_ns + 1)):
            waits_ms[place] = (end_ns - account["first_ns"] - place * step_ns) / 1e6
    waits_ms.sort()
    return {
        "p50_ms": waits_ms[len(waits_ms) // 2],
        "p99_ms": waits_ms[len(waits_ms) * 99 // 100],
        "max_ms": waits_ms[-1],
    }


def measure_accuracy(tool: Tool, seconds: int) -> dict[str, Any]:
    """What the tool reports of the server that stands still, beside the theory."""
    with server() as (url, process):
        reported = tool.run(url, seconds)
        account = json.loads(process.communicate()[0])
    true = theory(account)
    error = None if reported.p99_ms is None else reported.p99_ms / true["p99_ms"] - 1
    row = {**_row(tool, reported, seconds), "theory": true, "p99_error_ratio": error}
    say(f"  {tool.name:<28} P99 {_ms(reported.p99_ms):>7} ms, theory {true['p99_ms']:.1f} ms")
    return row


def measure_cost(tool: Tool, seconds: tuple[int, int], rounds: int) -> dict[str, Any]:
    """CPU of one request: the best of some rounds, since other work on the machine only ever adds."""
    best: dict[str, Any] | None = None
    for _ in range(rounds):
        with server("steady") as (url, _process):
            short, long = (tool.run(url, length) for length in seconds)
        cpu_us = (long.cpu_s - short.cpu_s) / (long.requests - short.requests) * 1e6
        say(f"  {tool.name:<28} {long.requests / seconds[1]:>8,.0f}/s, {cpu_us:6.1f} µs of CPU per request")
        if best is None or cpu_us < best["cpu_us_per_request"]:
            best = {**_row(tool, long, seconds[1]), "cpu_us_per_request": cpu_us}
    assert best is not None
    return best


def _row(tool: Tool, reported: Any, seconds: int) -> dict[str, Any]:
    return {
        "tool": tool.name,
        "told_rps": tool.rate_rps,
        "rate_rps": reported.requests / seconds,
        "errors": reported.errors,
        "p50_ms": reported.p50_ms,
        "p99_ms": reported.p99_ms,
        "max_ms": reported.max_ms,
        "void": reported.void,
    }


def there(tools: list[Tool]) -> list[Tool]:
    """The tools that can be run; the others are named on standard error."""
    for tool in tools:
        if how := tool.missing():
            say(f"SKIPPED: {tool.name}: it is not installed ({how})")
    return [tool for tool in tools if tool.missing() is None]


def measure(quick: bool) -> dict[str, Any]:
    """The whole benchmark."""
    accuracy_s, cost_s, rounds = (6, (2, 4), 1) if quick else (ACCURACY_S, COST_S, ROUNDS)
    os.sched_setaffinity(0, set(range((os.cpu_count() or 1) - 1)) or {0})
    wanted = [*accuracy_tools(), *cost_tools(TARGET_RPS)]
    accuracy = [measure_accuracy(tool, accuracy_s) for tool in there(accuracy_tools())]
    cost = [measure_cost(tool, cost_s, rounds) for tool in cost_tools(TARGET_RPS) if tool.missing() is None]
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "quick": quick,
        "machine": {"cores": os.cpu_count(), "cpu": _cpu()},
        "python": platform.python_version(),
        "versions": versions(),
        "missing": sorted({tool.program or "" for tool in wanted if tool.missing()}),
        "accuracy": accuracy,
        "cost": cost,
        "reached": {
            "p99_within_5_percent": abs(accuracy[0]["p99_error_ratio"]) <= P99_WITHIN,
            "cpu_us_at_most_25": cost[0]["cpu_us_per_request"] <= CPU_US_AT_MOST,
        },
    }


def markdown(result: dict[str, Any]) -> str:
    """The two tables."""
    lines = [
        "| told to send 1,000/s to a server that stands still for 200 ms every 5 s | sent | P50 ms | P99 ms | max ms "
        "| theory P99 | error of P99 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["accuracy"]:
        ratio = row["p99_error_ratio"]
        error = "–" if ratio is None else f"{ratio * 100:+.0f} %".replace("-", "−")
        told = "" if row["told_rps"] else " (knows no rate)"
        lines.append(
            f"| {row['tool']}{told} | {row['rate_rps']:,.0f}/s | {_ms(row['p50_ms'])} | {_ms(row['p99_ms'])} "
            f"| {_ms(row['max_ms'])} | {row['theory']['p99_ms']:.1f} | {error} |"
        )
    lines += ["", "| what a request costs | rate | CPU µs per request |", "|---|---:|---:|"]
    lines += [
        f"| {row['tool']}{'' if row['told_rps'] else ' (as fast as it can)'} | {row['rate_rps']:,.0f}/s "
        f"| {row['cpu_us_per_request']:.0f} |"
        for row in result["cost"]
    ]
    reached = result["reached"]
    known = ", ".join(f"{name} {version}" for name, version in result["versions"].items()) or "no peer"
    missing = f" Not installed, so left out: {', '.join(result['missing'])}." if result["missing"] else ""
    quick = " A quick run: its numbers decide nothing." if result["quick"] else ""
    lines += [
        "",
        f"P99 of `easymo load` (constant) within 5 % of theory: {_yes(reached['p99_within_5_percent'])}. At most 25 µs "
        f"of CPU per request at {TARGET_RPS:,}/s: {_yes(reached['cpu_us_at_most_25'])}. {result['when']}, "
        f"{result['machine']['cores']} cores ({result['machine']['cpu']}), Python {result['python']}, {known}."
        f"{missing}{quick}",
    ]
    return "\n".join(lines) + "\n"


def _yes(reached: bool) -> str:
    return "yes" if reached else "**no**"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> int:
    """Measure, print, and store if asked. Returns 0."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="short runs: a smoke test")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write load.json and load.md there (evidence/load)")
    options = parser.parse_args()
    result = measure(options.quick)
    print(markdown(result))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "load.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        (options.out / "load.md").write_text(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
