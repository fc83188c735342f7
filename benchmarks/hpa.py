"""Speed of the simulator, and the note's four policies simulated: ``python -m benchmarks.hpa [--capacity N]``.

Writes ``speed.json`` (run it on an idle machine), ``policies.json`` and ``policies.html``; the documents take their
numbers from there. The capacity of a pod is that of the accepted proof, arm *both*, or what ``--capacity`` says.
"""

import argparse
import json
import os
import platform
import time
from math import ceil
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from easymo.hpa.conditions import Conditions
from easymo.hpa.inputs import Scaled, capacity_from, read_autoscalers
from easymo.hpa.report import html_page
from easymo.hpa.signals import Constant, Source
from easymo.hpa.simulate import Simulation, simulate
from easymo.hpa.tune import grid_for, tune
from easymo.trace import Series, shape

ROOT = Path(__file__).parents[1]
VERDICT = ROOT / "evidence" / "prove" / "verdict.json"
FORMS = {"note": ROOT / "k8s" / "autoscaling", "tuned": ROOT / "k8s" / "autoscaling" / "tuned"}
NOTE_RPS = {"before": 156.0, "after": 300.0}
RENDERS_PER_S = 1 / 60
"""A worker that renders one film a minute; nothing measures it, and only the ratio to the demand matters."""
HEAP_PERCENT = 65.0
"""A heap after a peak, in percent of its request."""


def speed() -> dict[str, Any]:
    """Seconds for a day of all four autoscalers, and for tuning one of them over that day."""
    autoscalers = read_autoscalers([FORMS["note"]])
    conditions = Conditions(capacity=NOTE_RPS["before"])
    day = shape("day", 60, 600)

    def four() -> float:
        began = time.perf_counter()
        for one in autoscalers:
            simulate(one.hpa, day, conditions, keep_syncs=False)
        return time.perf_counter() - began

    voice = next(one for one in autoscalers if one.hpa.name == "voice-bridge-hpa")
    grid = grid_for(voice.hpa)
    began = time.perf_counter()
    tuned = tune(voice, day, conditions, {}, limit_short_s=0, grid=grid)
    tuned_s = time.perf_counter() - began
    return {
        "day_of_four_services_s": round(min(four() for _ in range(5)), 3),
        "syncs": round(86_400 / conditions.sync_period_s) * len(autoscalers),
        "tune_candidates": tuned.tried,
        "tune_s": round(tuned_s, 1),
        "tune_s_per_1000": round(tuned_s * 1000 / tuned.tried, 1),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[1], 1),
        "python": platform.python_version(),
    }


def policies(capacity: float, source: str) -> tuple[dict[str, Any], list[Simulation], list[Simulation]]:
    """What the note's form and the tuned form do under the same demand, and the simulations behind it."""
    forms = {form: {one.hpa.name: one for one in read_autoscalers([folder])} for form, folder in FORMS.items()}
    rows, kept = [], {}
    for form, autoscalers in forms.items():
        for one in autoscalers.values():
            for scenario, (conditions, demand) in _scenarios(one, capacity).items():
                found = simulate(one.hpa, demand, conditions)
                kept[form, scenario, one.hpa.name] = found
                rows.append(_row(form, scenario, found))
    spikes = {form: [kept[form, "spike", name] for name in forms[form]] for form in FORMS}
    result = {
        "capacity_rps": capacity,
        "capacity_source": source,
        "conditions": asdict(Conditions(capacity=capacity)),
        "rows": rows,
        "regrets": _regrets(forms["note"], forms["tuned"], capacity),
        "cost": _cost(forms["note"], rows),
        "three_hundred": _three_hundred(forms["note"]["voice-bridge-hpa"], capacity),
    }
    return result, spikes["note"], spikes["tuned"]


def _scenarios(one: Scaled, capacity: float) -> dict[str, tuple[Conditions, Series]]:
    """A spike and a day between 20 and 80 % of what the largest size serves, and the note's own 156 to 300."""
    renders = one.hpa.target_name == "video-worker"
    conditions = Conditions(capacity=RENDERS_PER_S if renders else capacity)
    peak = 0.8 * one.hpa.max_replicas * conditions.capacity
    found = {name: (conditions, shape(name, peak / 4, peak)) for name in ("spike", "day")}
    if not renders:
        found["156 to 300"] = (conditions, shape("spike", NOTE_RPS["before"], NOTE_RPS["after"]))
    return found


def _row(form: str, scenario: str, found: Simulation) -> dict[str, Any]:
    totals = found.totals
    return {
        "form": form,
        "scenario": scenario,
        "autoscaler": found.name,
        "short_s": round(totals.short_s),
        "over_ratio": round(totals.over_requests / totals.requests, 4),
        "pod_hours": round(totals.pod_hours, 2),
        "least": totals.least_replicas,
        "most": totals.most_replicas,
        "last": found.syncs[-1].replicas,
        "changes": totals.changes,
        "flaps": totals.flaps,
    }


def _regrets(note: dict[str, Scaled], tuned: dict[str, Scaled], capacity: float) -> dict[str, Any]:
    """The note's form where memory does not shrink and where the adapter is missing, agent-core's way down, and a
    day of renders scaled by the jobs that wait alone (two for each worker)."""

    def spike(name: str, sources: dict[str, Source]) -> Simulation:
        conditions, demand = _scenarios(note[name], capacity)["spike"]
        return simulate(note[name].hpa, demand, conditions, note[name].sources(sources, demand.start_s, demand.end_s))

    down = [s for s in spike("agent-core-hpa", {}).syncs if s.replicas < s.current]
    video = tuned["video-orchestrator-hpa"]
    conditions, day = _scenarios(video, capacity)["day"]
    (jobs,) = video.hpa.metrics
    waiting = replace(video.hpa, metrics=(replace(jobs, amount=2000),))
    waiting_only = simulate(waiting, day, conditions, {jobs.name: "queue"})
    return {
        "heap_percent": HEAP_PERCENT,
        "waiting_only": _row("waiting only", "day", waiting_only),
        "pinned": _row("note", "spike", spike("voice-bridge-hpa", {"memory": Constant(HEAP_PERCENT)})),
        "no_adapter": _row("note", "spike", spike("whatsapp-webhook-hpa", {"http_requests_per_second": "failing"})),
        "agent_core_down": [[sync.current, sync.replicas] for sync in down],
    }


def _cost(note: dict[str, Scaled], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Pods against the note's "fixed 1 pod per service"."""
    fixed = len(note)
    least = sum(one.hpa.min_replicas for one in note.values())
    days = {f: sum(r["pod_hours"] for r in rows if (r["form"], r["scenario"]) == (f, "day")) for f in FORMS}
    return {
        "fixed_pods": fixed,
        "least_pods": least,
        "most_pods": sum(one.hpa.max_replicas for one in note.values()),
        "baseline_change": round(least / fixed - 1, 4),
        "fixed_pod_hours_a_day": 24 * fixed,
        "day_pod_hours": {form: round(hours, 1) for form, hours in days.items()},
        "day_change": {form: round(hours / (24 * fixed) - 1, 4) for form, hours in days.items()},
    }


def _three_hundred(voice: Scaled, capacity: float) -> dict[str, Any]:
    """How many pods of voice-bridge 300 requests/s need, and how far its smallest size gets without growing."""
    target = next(metric.amount for metric in voice.hpa.metrics if metric.name == "cpu") / 100
    return {
        "pods_at_capacity": ceil(NOTE_RPS["after"] / capacity),
        "pods_at_target": ceil(NOTE_RPS["after"] / capacity / target),
        "minimum": voice.hpa.min_replicas,
        "minimum_holds_rps": round(voice.hpa.min_replicas * capacity * target * 1.1),
        "maximum_holds_rps": round(voice.hpa.max_replicas * capacity),
    }


def main() -> None:
    """Measure, simulate, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "evidence" / "hpa")
    parser.add_argument("--capacity", type=float, help="requests/s of a pod (default: that of the accepted proof)")
    parser.add_argument("--only", choices=["speed", "policies"])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.only != "policies":
        _write(options.out / "speed.json", speed())
    if options.only != "speed":
        given = options.capacity is not None
        capacity = options.capacity if given else capacity_from(VERDICT, "both")
        source = "assumed" if given else "evidence/prove/verdict.json, arm both"
        result, note, tuned = policies(capacity, source)
        _write(options.out / "policies.json", result)
        (options.out / "policies.html").write_text(html_page(note, tuned), encoding="utf-8")


def _write(path: Path, result: dict[str, Any]) -> None:
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{path.name}: written")


if __name__ == "__main__":
    main()
