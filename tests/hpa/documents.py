"""``python -m tests.hpa.documents [--check]``: fills the simulated numbers into docs/explanation/the-four-policies.md.

They come from evidence/hpa/policies.json, which ``python -m benchmarks.hpa`` writes. Blocks stand between
``<!-- simulated: NAME -->`` and ``<!-- /simulated -->``; ``--check`` exits 1 when one is out of date.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "explanation" / "the-four-policies.md"
EVIDENCE = ROOT / "evidence" / "hpa"
BLOCK = re.compile(r"(<!-- simulated: (?P<name>[^>]+?) -->\n)(?P<body>.*?)(<!-- /simulated -->)", re.DOTALL)
SHOWN = {
    "voice-bridge-hpa": "voice-bridge",
    "video-orchestrator-hpa": "video-worker",
    "whatsapp-webhook-hpa": "whatsapp-webhook",
    "agent-core-hpa": "agent-core",
}


def circumstances(found: dict[str, Any]) -> str:
    given = found["conditions"]
    return (
        f"One ready pod serves {found['capacity_rps']:g} requests/s ({found['capacity_source']}), a worker renders one "
        f"film a minute (assumed). A pod is ready {given['startup_s'] + given['readiness_delay_s']:g} s after the "
        f"decision, the autoscaler sees figures that are {given['metric_lag_s']:g} s old, and decides every "
        f"{given['sync_period_s']:g} s."
    )


def scenario(found: dict[str, Any], name: str) -> str:
    rows = {(r["form"], r["autoscaler"]): r for r in found["rows"] if r["scenario"] == name}
    lines = [
        "| service | form | seconds short | over capacity | pod-hours | pods | changes | flaps |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for autoscaler, service in SHOWN.items():
        for form in ("note", "tuned"):
            row = rows.get((form, autoscaler))
            if row is not None:
                figures = f"{row['short_s']:,} | {row['over_ratio']:.1%} | {row['pod_hours']:,.1f}"
                rest = f"{row['least']}–{row['most']} | {row['changes']} | {row['flaps']}"
                lines.append(f"| {service} | {form} | {figures} | {rest} |")
    return "\n".join(lines)


def pinned(found: dict[str, Any]) -> str:
    row, heap = found["regrets"]["pinned"], found["regrets"]["heap_percent"]
    free = next(
        r for r in found["rows"] if (r["form"], r["scenario"], r["autoscaler"]) == ("note", "spike", "voice-bridge-hpa")
    )
    return (
        f"With a heap that stays at {heap:g} % of its request, voice-bridge still has {row['last']} pods 45 minutes "
        f"after the spike instead of {free['last']}, and costs {row['pod_hours']:.1f} pod-hours in that hour instead "
        f"of {free['pod_hours']:.1f}."
    )


def no_adapter(found: dict[str, Any]) -> str:
    row = found["regrets"]["no_adapter"]
    return (
        f"Without the adapter whatsapp-webhook grows by cpu to {row['most']} pods and stays there: {row['last']} at "
        "the end of the hour, and for good."
    )


def agent_core(found: dict[str, Any]) -> str:
    steps = ", then ".join(f"{before} → {after}" for before, after in found["regrets"]["agent_core_down"])
    return f"After the spike and 300 s, agent-core goes {steps}: in one sync."


def waiting_only(found: dict[str, Any]) -> str:
    row = found["regrets"]["waiting_only"]
    return (
        f"Scaled by the jobs that wait alone (two for each worker), the same day has {row['changes']} changes of size, "
        f"{row['flaps']} of them flaps, and {row['over_ratio']:.1%} of the films start late: whenever the workers have "
        "caught up, nothing waits and they leave."
    )


def three_hundred(found: dict[str, Any]) -> str:
    figures = found["three_hundred"]
    return (
        f"300 requests/s are the work of {figures['pods_at_capacity']} pods at full use and of "
        f"{figures['pods_at_target']} at the target of 70 % CPU. The minimum of {figures['minimum']} is left alone up "
        f"to about {figures['minimum_holds_rps']} requests/s, and the maximum serves {figures['maximum_holds_rps']}."
    )


def cost(found: dict[str, Any]) -> str:
    figures = found["cost"]
    day, change = figures["day_pod_hours"], figures["day_change"]
    return (
        f"One pod of each service is {figures['fixed_pods']} pods; the four minimums are {figures['least_pods']} "
        f"({figures['baseline_change']:+.0%}) and the four maximums {figures['most_pods']}. A day on which every "
        f"service goes from 20 to 80 % of its largest size takes {day['note']:,.0f} pod-hours in the note's form "
        f"({change['note']:+.0%} against {figures['fixed_pod_hours_a_day']}) and {day['tuned']:,.0f} in the tuned one."
    )


def render(name: str, found: dict[str, Any]) -> str:
    """What belongs into the block ``name``."""
    if name.startswith("scenario "):
        return scenario(found, name.removeprefix("scenario "))
    blocks = {
        "circumstances": circumstances,
        "pinned": pinned,
        "no adapter": no_adapter,
        "agent-core": agent_core,
        "waiting only": waiting_only,
        "three hundred": three_hundred,
        "cost": cost,
    }
    return blocks[name](found)


def fill(text: str, found: dict[str, Any]) -> str:
    """``text`` with every block filled."""
    return BLOCK.sub(lambda block: f"{block[1]}{render(block['name'], found)}\n{block[4]}", text)


def main(arguments: list[str]) -> int:
    """Fill or check; returns the exit code."""
    found = json.loads((EVIDENCE / "policies.json").read_text(encoding="utf-8"))
    text = DOCUMENT.read_text(encoding="utf-8")
    filled = fill(text, found)
    if filled != text and "--check" in arguments:
        sys.stderr.write(f"{DOCUMENT.name} is out of date against evidence/hpa: run python -m tests.hpa.documents.\n")
        return 1
    DOCUMENT.write_text(filled, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
