"""Recordings of a real controller: what `simulate` needs to play one, and what the controller saw at each sync."""

import json
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from easymo.hpa.conditions import Conditions, Stretch
from easymo.hpa.controller import tolerance_of
from easymo.hpa.errors import MetricError
from easymo.hpa.manifests import Document
from easymo.hpa.pod_rows import NO_SAMPLE, PodRow, PodRows
from easymo.hpa.pods import Pod, Sample
from easymo.hpa.quantity import milli
from easymo.hpa.replicas import Proposal, average_value, total_average_value, total_value, utilization
from easymo.hpa.signals import Shared, Source
from easymo.hpa.simulate import Demand, Simulation, simulate
from easymo.hpa.spec import Hpa, Metric, MetricType, hpa_from
from easymo.hpa.workload import Workload
from easymo.trace import Series
from tests.hpa.vectors import load_of, serving

FOLDER = Path(__file__).parent / "recordings"
MIB = 2**20
Recording = dict[str, Any]


def recordings() -> Iterator[Recording]:
    """Every recording that is stored here, and those of the folder that `EASYMO_HPA_RECORDINGS` names."""
    for file in sorted(FOLDER.glob("*.json.zlib")):
        yield json.loads(zlib.decompress(file.read_bytes()))
    if others := os.environ.get("EASYMO_HPA_RECORDINGS"):
        for file in sorted(Path(others).glob("*.json")):
            yield json.loads(file.read_text(encoding="utf-8"))


def flag_s(recording: Recording, name: str) -> float:
    """A duration among the controller's flags, in seconds."""
    text = recording["controller_flags"][f"horizontal-pod-autoscaler-{name}"]
    minutes, _, seconds = text.rpartition("m")
    return 60 * float(minutes or 0) + float(seconds.rstrip("s") or 0)


def steps(listed: list[list[Any]], end_s: float, unit: float = 1.0) -> Series:
    """Steps of a recording as a series."""
    return Series(tuple(float(t) for t, _ in listed), tuple(milli(v) / 1000 * unit for _, v in listed), end_s)


class Experiment(NamedTuple):
    """What is simulated."""

    hpa: Hpa
    demand: Series
    conditions: Conditions
    sources: dict[str, Source]
    requests_m: dict[str, int]
    cut: Demand | None = None

    def simulate(self, **more: Any) -> Simulation:
        return simulate(
            self.hpa, self.cut or self.demand, self.conditions, self.sources, requests_m=self.requests_m, **more
        )


def workload_of(recording: Recording) -> Workload:
    """The Deployment that was scaled."""
    model = recording["workload"]
    pod: dict[str, Any] = {"containers": [], "initContainers": []}
    for container in model["containers"]:
        entry = {"name": container["name"], "resources": {"requests": container.get("requests") or {}}}
        if container.get("sidecar"):
            pod["initContainers"].append({**entry, "restartPolicy": "Always"})
        else:
            pod["containers"].append(entry)
    if "pod_requests" in model:
        pod["resources"] = {"requests": model["pod_requests"]}
    content = {"kind": "Deployment", "metadata": {"name": recording["name"]}, "spec": {"template": {"spec": pod}}}
    return Workload(Document("recording", content, {(): 1}))


def experiment_of(recording: Recording) -> Experiment:
    """A recording in the words of `easymo hpa simulate`: its manifest and its workload, and nothing that happened."""
    end_s = recording["duration_s"]
    hpa = hpa_from(recording["hpa"])
    requests_m = workload_of(recording).requests_m()
    inputs = recording["inputs"]
    demand = steps(inputs["demand"], end_s) if "demand" in inputs else Series((0.0,), (0.0,), end_s)
    return Experiment(hpa, demand, conditions_of(recording, hpa, requests_m), sources_of(recording, hpa), requests_m)


def conditions_of(recording: Recording, hpa: Hpa, requests_m: dict[str, int]) -> Conditions:
    model = recording["workload"]
    cpu = next((metric for metric in hpa.metrics if metric.name == "cpu"), None)
    request_m = requests_m.get(f"cpu/{cpu.container}" if cpu and cpu.container else "cpu", 1000)
    working = [c for c in model["containers"] if "constant_m" not in c]
    if cpu and cpu.container:
        working = [c for c in working if c["name"] == cpu.container]
    full_m = sum(c.get("full_m") or milli((c.get("requests") or {}).get("cpu", "1")) for c in working)
    startup_m, startup_s = model.get("startup_cpu_m_for_s", (0, 0))
    resizes = [(at, size) for at, kind, size in recording["actions"] if kind in ("scale", "create-deployment")]
    period_s = flag_s(recording, "sync-period")
    ready_s = model["ready_after_running_s"]
    return Conditions(
        capacity=model.get("capacity_per_pod", 1.0),
        overload="queue" if model.get("overload") == "backlog" else "shed",
        full_percent=100 * full_m / request_m or 100,
        constant_cpu_m=sum(c.get("constant_m", 0) for c in model["containers"]),
        startup_cpu_percent=100 * startup_m / request_m,
        startup_cpu_s=startup_s,
        startup_s=model["running_after_s"],
        readiness_delay_s=inf if ready_s is None else ready_s,
        metric_lag_s=model["sample_lag_s"],
        custom_lag_s=0,
        scrape_interval_s=model.get("scrape_every_s", 0),
        metric_window_s=model["sample_window_s"],
        first_sample_s=model.get("first_sample_after_running_s", 0),
        sync_period_s=period_s,
        first_sync_s=recording["hpa_created_s"] + period_s,
        downscale_window_s=flag_s(recording, "downscale-stabilization"),
        tolerance=recording["controller_flags"]["horizontal-pod-autoscaler-tolerance"],
        cpu_initialization_s=flag_s(recording, "cpu-initialization-period"),
        initial_readiness_delay_s=flag_s(recording, "initial-readiness-delay"),
        initial_replicas=0 if model.get("absent") else model["initial_replicas"],
        resizes=tuple(resizes),
        rollouts=tuple(at for at, kind, _ in recording["actions"] if kind == "rollout"),
        failures=tuple(failures_of(recording, hpa)),
        cluster_full=(Stretch(0.0, model["pending_until_s"]),) if "pending_until_s" in model else (),
        pods=pods_of(model),
    )


def failures_of(recording: Recording, hpa: Hpa) -> Iterator[tuple[str, Stretch]]:
    model = recording["workload"]
    for metric in hpa.metrics:
        resource = metric.type in ("Resource", "ContainerResource")
        external = model.get("external_fails_s", {}).get(metric.name.split("__")[-1], [])
        for begin, end, *_ in model.get("resource_metrics_fail_s", []) if resource else external:
            yield metric.name, Stretch(begin, end)


def pods_of(model: dict[str, Any]) -> PodRows | None:
    """What is known of single pods, as rows of a `pods.csv`."""
    rows: dict[int, dict[float, PodRow]] = {}
    for begin, end, numbers in model.get("unready_s", []):
        for number in numbers:
            rows.setdefault(number, {}).update({begin: PodRow(begin, ready=False), end: PodRow(end)})
    for begin, end, numbers in model.get("samples_missing_s", []):
        for number in numbers:
            absent = PodRow(begin, cpu_m=NO_SAMPLE, memory_m=NO_SAMPLE)
            rows.setdefault(number, {}).update({begin: absent, end: PodRow(end)})
    aged: list[PodRow] = []
    if "unready_after_ready_for_s" in model:
        after_s, for_s = model["unready_after_ready_for_s"]
        lost_s = model["running_after_s"] + model["ready_after_running_s"] + after_s
        aged = [PodRow(lost_s, ready=False), PodRow(lost_s + for_s)]
    ordered = {number: [by_time[t] for t in sorted(by_time)] for number, by_time in rows.items()}
    return PodRows(ordered, aged) if ordered or aged else None


def sources_of(recording: Recording, hpa: Hpa) -> dict[str, Source]:
    model, inputs, end_s = recording["workload"], recording["inputs"], recording["duration_s"]
    found: dict[str, Source] = {}
    for metric in hpa.metrics:
        name = metric.name.split("__")[-1]
        if metric.name == "memory":
            memory = model["memory_mib"]
            if "per_pod" in memory:
                found["memory"] = steps(memory["per_pod"], end_s, MIB)
            else:
                found["memory"] = Shared(round(memory["base"] * MIB * 1000), steps(memory["total"], end_s, MIB))
        elif metric.type == "Pods":
            found[metric.name] = "demand"
        elif metric.type in ("External", "Object"):
            shown = inputs.get(metric.type.lower(), {})
            found[metric.name] = steps(shown[name], end_s) if name in shown else "queue"
    return found


class Seen(NamedTuple):
    """One recorded sync: when, what the controller saw, and what it did. `acts` is false for one of a rival."""

    now: float
    hpa: Hpa
    current: int | None
    pods: list[Pod]
    answers: list[dict[str, Any]]
    ambiguous: bool
    replicas: int | None
    conditions: dict[str, list[str]]


def syncs_of(recording: Recording) -> Iterator[Seen]:
    """Every recorded sync of the autoscaler, in order."""
    inputs, manifest = recording["inputs"], recording["hpa"]
    patches = [(at, patch) for at, kind, patch in recording["actions"] if kind == "patch-hpa"]
    times = [(start_s, end_s) for start_s, end_s in pairwise([*recording["syncs_s"], recording["duration_s"]])]
    rival_s = rival_until(recording)
    for number, (start_s, next_s) in enumerate(times):
        if start_s < rival_s and shares_workload(recording) and number % 2 != is_later(recording):
            continue  # a sync of the other autoscaler
        answers = [answer for at, answer in inputs["answers"] if start_s - 0.005 <= at < next_s - 0.005]
        looked_s = max([start_s, *(at for at, _ in inputs["answers"] if start_s <= at < next_s - 0.005)]) + 0.005
        for _, patch in (p for p in patches if p[0] <= start_s):
            manifest = {**manifest, "spec": {**manifest["spec"], **patch["spec"]}}
        before = last_of(recording["replicas"], start_s, None)
        written_s = [at for at in recording["scale_writes_s"] if start_s <= at < next_s - 0.005]
        yield Seen(
            now=start_s + 0.004,
            hpa=hpa_from(manifest),
            current=before,
            pods=[pod_of(p, looked_s) for p in inputs["pods"] if exists(p, looked_s)],
            answers=answers,
            ambiguous=start_s < rival_s and (number > 0 or is_later(recording)),
            replicas=last_of(recording["replicas"], written_s[0] + 0.045, None) if written_s else before,
            conditions=last_of(recording["conditions"], next_s - 0.01, {}),
        )


def rival_until(recording: Recording) -> float:
    """Until when there is another autoscaler for the same pods."""
    deleted = [at for at, kind, _ in recording["actions"] if kind == "delete-hpa"]
    return (deleted[0] if deleted else inf) if "others" in recording else -inf


def shares_workload(recording: Recording) -> bool:
    target = recording["hpa"]["spec"]["scaleTargetRef"]
    return any(other["hpa"]["spec"]["scaleTargetRef"] == target for other in recording.get("others", {}).values())


def is_later(recording: Recording) -> bool:
    """Whether another autoscaler for the same pods was created before this one."""
    return any(o["hpa_created_s"] < recording["hpa_created_s"] for o in recording.get("others", {}).values())


def last_of(changes: Sequence[Sequence[Any]], time_s: float, default: Any) -> Any:
    """What holds at `time_s`."""
    return next((value for at, value in reversed(changes) if at <= time_s), default)


def exists(pod: dict[str, Any], now: float) -> bool:
    return bool(pod["created_s"] <= now and (pod["deleted_s"] is None or now < pod["deleted_s"]))


def pod_of(pod: dict[str, Any], now: float) -> Pod:
    """A pod as the controller saw it."""
    ready = [(is_ready, changed) for written, is_ready, changed in pod["ready"] if written <= now]
    running = pod["running_s"] is not None and pod["running_s"] <= now
    return Pod(
        name=pod["id"],
        phase="Running" if running else "Pending",
        ready=ready[-1][0] if ready else None,
        start_s=pod["start_time_s"],
        ready_changed_s=ready[-1][1] if ready else None,
    )


def proposals_of(seen: Seen, recording: Recording) -> list[tuple[MetricType, int | None]]:
    """Type and proposal of each metric from the recorded answers; None where the metric failed."""
    found: list[tuple[MetricType, int | None]] = []
    for metric in seen.hpa.metrics:
        resource = metric.type in ("Resource", "ContainerResource")
        api = "resource" if resource else metric.type.lower()
        answers = [a for a in seen.answers if a["api"] == api and (resource or a["metric"] == metric.name)]
        try:
            found.append((metric.type, _proposal(metric, answers, seen, recording).replicas))
        except MetricError:
            found.append((metric.type, None))
    return found


def _proposal(metric: Metric, answers: list[dict[str, Any]], seen: Seen, recording: Recording) -> Proposal:
    if not answers or "error" in answers[0] or answers[0].get("values") == [] or seen.current is None:
        raise MetricError("the API did not answer")
    answer, current = answers[0], seen.current
    flag = recording["controller_flags"]["horizontal-pod-autoscaler-tolerance"]
    tolerance = tolerance_of(seen.hpa.behavior, flag)
    if "values" in answer:
        total = sum(milli(value) for value in answer["values"])
        if metric.target == "AverageValue":
            return total_average_value(total, metric.amount, len(seen.pods), tolerance)
        return total_value(total, metric.amount, current, serving(seen.pods), tolerance)
    if "values_m" in answer:
        samples = {name: Sample(value, seen.now, 0) for name, value in answer["values_m"].items()}
        return average_value(load_of(seen.pods, samples, None), metric.amount, current, tolerance)
    samples = samples_of(metric, answer, recording)
    key = f"{metric.name}/{metric.container}" if metric.container else metric.name
    requests_m = workload_of(recording).requests_m()
    utilized = metric.target == "Utilization"
    if not samples or (utilized and key not in requests_m):
        raise MetricError("there is no sample, or no request")
    periods_s = flag_s(recording, "cpu-initialization-period"), flag_s(recording, "initial-readiness-delay")
    requests = {p.name: requests_m[key] for p in seen.pods} if utilized else None
    load = load_of(seen.pods, samples, metric.name, requests, seen.now, periods_s)
    return (utilization if utilized else average_value)(load, metric.amount, current, tolerance)


def samples_of(metric: Metric, answer: dict[str, Any], recording: Recording) -> dict[str, Sample]:
    """The samples of a resource answer, of one container where the metric names one."""
    names = [container["name"] for container in recording["workload"]["containers"]]
    used_by_pod, unit = (answer["cpu_m"], 1) if "cpu_m" in answer else (answer["memory_b"], 1000)
    samples = {}
    for name, used in used_by_pod.items():
        parts = used if isinstance(used, list) else [used]
        amount = parts[names.index(metric.container)] if metric.container and len(parts) > 1 else sum(parts)
        samples[name] = Sample(amount * unit, answer["sample_s"], recording["workload"]["sample_window_s"])
    return samples


def store(folder: Path) -> None:
    """Keep the recordings of `folder` here, without what no test reads."""
    FOLDER.mkdir(exist_ok=True)
    for file in sorted(folder.glob("*.json")):
        recording = json.loads(file.read_text(encoding="utf-8"))
        kept = {key: value for key, value in recording.items() if key not in ("status", "events", "desired")}
        kept["inputs"].pop("per_second", None)
        for other in kept.get("others", {}).values():
            other.pop("status", None)
            other.pop("events", None)
        packed = zlib.compress(json.dumps(kept, separators=(",", ":")).encode(), 9)
        (FOLDER / f"{file.stem}.json.zlib").write_bytes(packed)


if __name__ == "__main__":
    store(Path(sys.argv[1]))
