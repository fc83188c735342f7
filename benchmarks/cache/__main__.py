"""Runs everything and prints the table: ``python -m benchmarks.cache [--quick] [--out DIR]``."""

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.cache import behaviour, hits
from benchmarks.cache.peers import installed
from easymo.embedded import Valkey

_PACKAGES = {"easymo": "easymo", "redis-py": "redis"}
_WITH_LOADS = ("easymo", "cashews", "aiocache")
_WITH_NEAR = ("easymo", "cashews")


async def measure(url: str, quick: bool) -> dict[str, Any]:
    """All results. `quick` checks that it runs; its numbers mean nothing."""
    names = installed()
    loading = [name for name in _WITH_LOADS if name in names]
    trials = 100 if quick else 1000
    results: dict[str, Any] = {
        "near": await hits.near_hits_us(url, names, 20_000 if quick else 200_000),
        "redis": await hits.redis_hits(url, names, 500 if quick else 5000, 0.2 if quick else 1.0, 1 if quick else 5),
        "stampede": {name: await behaviour.stampede(url, name) for name in loading},
        "hot_key_slowest_ms": {
            name: await behaviour.hot_key_slowest_ms(url, name, 2.5 if quick else 5) for name in loading
        },
        "stale_after_delete": {name: await behaviour.stale_after_delete(url, name, trials) for name in loading},
        "disagreements": {
            name: await behaviour.disagreements(url, name, trials) for name in _WITH_NEAR if name in names
        },
    }
    results["trials"], results["quick"] = trials, quick
    results["machine"] = {"python": platform.python_version(), "processor": platform.processor() or platform.machine()}
    results["versions"] = {name: version(_PACKAGES.get(name, name)) for name in names}
    return results


def rows(results: dict[str, Any]) -> list[tuple[str, str, bool, dict[str, str]]]:
    """The table of the claims: what, what must be reached, whether it is, and every peer's number."""
    near, hit = results["near"], results["redis"]
    floor, alone, many = hit["floor_p50_us"], hit["one_caller_p50_us"], hit["fifty_callers_per_s"]
    above = {name: value - floor for name, value in alone.items()}
    herd, ours = results["stampede"], results["stampede"]["easymo"]
    glide = many.get("valkey-glide")
    five_times = near["get"]["easymo"] * 5 <= near["get"].get("cashews", float("inf"))

    def cells(values: dict[str, float], form: str) -> dict[str, str]:
        return {name: form.format(value) for name, value in values.items()}

    return [
        (
            "near hit: get(str), µs",
            "≤ 0.6, ≥ 5× cashews client_side",
            near["get"]["easymo"] <= 0.6 and five_times,
            cells(near["get"], "{:.2f}"),
        ),
        (
            "near hit: get_or_set(strategy(id)), µs",
            "≤ 1.2",
            near["get_or_set"]["easymo"] <= 1.2,
            cells(near["get_or_set"], "{:.2f}"),
        ),
        (
            f"Redis hit + typed decode, 1 caller, P50 µs above the floor ({floor:.0f} µs)",
            "≤ 0.5 × redis-py",
            above["easymo"] <= 0.5 * above["redis-py"],
            cells(above, "{:.0f}"),
        ),
        (
            "the same, 50 callers, calls/s",
            "≥ 4 × redis-py, ≥ 2 × valkey-glide",
            many["easymo"] >= 4 * many["redis-py"] and (glide is None or many["easymo"] >= 2 * glide),
            cells(many, "{:,.0f}"),
        ),
        (
            "Redis hit, 1 caller, processor µs per call",
            "≤ 0.5 × redis-py",
            hit["one_caller_cpu_us"]["easymo"] <= 0.5 * hit["one_caller_cpu_us"]["redis-py"],
            cells(hit["one_caller_cpu_us"], "{:.0f}"),
        ),
        (
            "Redis hit, 50 callers, processor µs per call",
            "≤ 0.25 × redis-py",
            hit["fifty_callers_cpu_us"]["easymo"] <= 0.25 * hit["fifty_callers_cpu_us"]["redis-py"],
            cells(hit["fifty_callers_cpu_us"], "{:.1f}"),
        ),
        (
            "100 keys at once, processor µs per read",
            "≤ 0.8 × redis-py's mget",
            hit["hundred_keys_cpu_us"]["easymo"] <= 0.8 * hit["hundred_keys_cpu_us"]["redis-py"],
            cells(hit["hundred_keys_cpu_us"], "{:.0f}"),
        ),
        (
            "cold key, 4 processes × 50 callers, 200 ms load: loads / slowest ms / commands",
            "1 / ≤ 215 / ≤ 250",
            ours["loads"] == 1 and ours["slowest_ms"] <= 215 and ours["commands"] <= 250,
            {
                name: f"{r['loads']} / {r['slowest_ms']:.0f} / {r['commands']}"
                + (f" ({r['failed']} failed)" if r["failed"] else "")
                for name, r in herd.items()
            },
        ),
        (
            "hot key expiring, 20 callers: longest wait, ms",
            "≤ 10",
            results["hot_key_slowest_ms"]["easymo"] <= 10,
            cells(results["hot_key_slowest_ms"], "{:.0f}"),
        ),
        (
            f"stale serves in {results['trials']:,} delete-while-loading races",
            "0",
            results["stale_after_delete"]["easymo"] == 0,
            cells(results["stale_after_delete"], "{}"),
        ),
        (
            f"disagreements of two near caches, {results['trials']:,} racing writes",
            "0",
            results["disagreements"]["easymo"] == 0,
            cells(results["disagreements"], "{}"),
        ),
    ]


def as_markdown(results: dict[str, Any]) -> str:
    """The table, with a note when it was only a smoke run."""
    names = list(results["versions"])
    lines = ["| what | must reach | reached | " + " | ".join(f"{n} {results['versions'][n]}" for n in names) + " |"]
    lines.append("|---" * (3 + len(names)) + "|")
    for what, goal, reached, cells in rows(results):
        verdict = "yes" if reached else "**no**"
        lines.append(f"| {what} | {goal} | {verdict} | " + " | ".join(cells.get(n, "–") for n in names) + " |")
    if results["quick"]:
        lines.append("\nA smoke run (`--quick`): these numbers mean nothing.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cache", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    parser.add_argument("--out", type=Path, help="write cache.json and cache.md into this directory")
    parser.add_argument(
        "--url", help="a Redis of your own (redis://host:port); it is flushed. Default: Valkey, embedded"
    )
    parser.add_argument("--stampede-worker", metavar="PEER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stampede_worker:
        uvloop.run(behaviour.stampede_worker(options.stampede_worker, options.url))
        return
    if options.url:
        results = uvloop.run(measure(options.url, options.quick))
    else:
        with Valkey(port=0) as server:
            results = uvloop.run(measure(server.url, options.quick))
    print(as_markdown(results))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "cache.json").write_text(json.dumps(results, indent=2) + "\n")
        (options.out / "cache.md").write_text(as_markdown(results))


if __name__ == "__main__":
    main()
