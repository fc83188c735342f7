"""Search a grid of bounds, targets and behavior for the cheapest autoscaler that is never short for too long."""

import multiprocessing
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from typing import Any, NamedTuple

import yaml
from msgspec import Struct, structs

from easymo.hpa.conditions import Conditions
from easymo.hpa.controller import tolerance_of
from easymo.hpa.errors import HpaError
from easymo.hpa.inputs import Scaled
from easymo.hpa.keda import Keda
from easymo.hpa.signals import Source, signals
from easymo.hpa.simulate import Demand, Totals, simulate
from easymo.hpa.spec import SOURCE_KEY, Behavior, Hpa, Metric, ScalingPolicy, ScalingRules
from easymo.trace import Series

CHUNK = 25
"""Candidates that a process takes at once: about a second's work on a day's demand."""

_FAST_UP = ScalingRules(0, "Max", (ScalingPolicy("Percent", 100, 15), ScalingPolicy("Pods", 4, 15)))
_SLOW_UP = ScalingRules(0, "Max", (ScalingPolicy("Pods", 2, 60),))


class Grid(Struct, frozen=True):
    """What is varied. ``factors`` multiply every target; ``ups`` and ``downs`` are the rules of both directions."""

    minimums: tuple[int, ...]
    maximums: tuple[int, ...]
    factors: tuple[float, ...]
    ups: tuple[ScalingRules, ...]
    downs: tuple[ScalingRules, ...]


class Candidate(Struct, frozen=True):
    """An autoscaler and what it would have come to."""

    hpa: Hpa
    totals: Totals


class Tuning(Struct, frozen=True):
    """The autoscaler as it is, and the candidates within the limit, cheapest first; none when none is."""

    now: Candidate
    best: list[Candidate]
    tried: int
    least_short_s: float
    """The fewest seconds short of any candidate: what no candidate can beat."""


def grid_for(hpa: Hpa, minimums: Sequence[int] = (), maximums: Sequence[int] = ()) -> Grid:
    """About a thousand candidates around ``hpa``: four minimums, two maximums, five targets, up to 27 behaviors.

    Raises:
        HpaError: for bounds below 1 or without a pair in order.
    """
    lows = tuple(minimums) or tuple(sorted({max(hpa.min_replicas + step, 1) for step in (-1, 0, 1, 2)}))
    highs = tuple(maximums) or tuple(sorted({hpa.max_replicas, -(-hpa.max_replicas * 3 // 2)}))
    if min(*lows, *highs, 1) < 1 or min(lows) > max(highs):
        raise HpaError("The bounds to try must be at least 1, and one minimum no larger than a maximum.")
    downs = tuple(
        ScalingRules(window_s, "Max", (policy,))
        for window_s, policy in product(
            (60, 180, 300, 600), (ScalingPolicy("Pods", 1, 60), ScalingPolicy("Percent", 100, 15))
        )
    )
    ups: tuple[ScalingRules, ...] = (_FAST_UP, _SLOW_UP)
    if hpa.behavior is not None:
        ups, downs = _with(ups, hpa.behavior.up), _with(downs, hpa.behavior.down)
    return Grid(lows, highs, (0.7, 0.85, 1.0, 1.15, 1.3), ups, downs)


def _with(rules: tuple[ScalingRules, ...], own: ScalingRules) -> tuple[ScalingRules, ...]:
    return rules if own in rules else (*rules, own)


def candidates(hpa: Hpa, grid: Grid, varied: Collection[str]) -> list[Hpa]:
    """Every autoscaler of ``grid``, each once; only the targets of the metrics in ``varied`` are."""
    found: dict[Hpa, None] = {}
    for low, high, factor, up, down in product(grid.minimums, grid.maximums, grid.factors, grid.ups, grid.downs):
        if low <= high:
            metrics = tuple(_scaled(m, factor) if m.name in varied else m for m in hpa.metrics)
            behavior = Behavior(up, down)
            found[structs.replace(hpa, min_replicas=low, max_replicas=high, metrics=metrics, behavior=behavior)] = None
    return list(found)


def _scaled(metric: Metric, factor: float) -> Metric:
    amount = max(round(metric.amount * factor), 1)
    if metric.target == "Utilization" and metric.amount <= 95:
        amount = min(amount, 95)  # beyond it a saturated pod never asks for help
    return structs.replace(metric, amount=amount)


def tune(
    scaled: Scaled,
    demand: Series,
    conditions: Conditions,
    sources: Mapping[str, Source],
    *,
    limit_short_s: float,
    grid: Grid,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Tuning:
    """Simulate every candidate of ``grid`` and keep those that are short for at most ``limit_short_s`` seconds.

    Cheapest means fewest pod-hours; of candidates that come to the same, the one with the smaller bounds is kept.
    ``on_progress`` gets how many candidates are done, and of how many.
    """
    if scaled.ambiguous_from is not None:
        raise HpaError(
            f"{scaled.hpa.name}: another autoscaler here scales the same pods, so neither would act "
            "(AmbiguousSelector). Remove one of them, then tune."
        )
    cut = Demand.at_period(demand, conditions, len(scaled.hpa.metrics))
    work = _Work(cut, conditions, dict(sources), scaled.requests_m, scaled.keda)
    now = Candidate(scaled.hpa, work(scaled.hpa))
    told, _ = signals(scaled.hpa, sources, conditions, tolerance_of(scaled.hpa.behavior), scaled.requests_m)
    tried = candidates(scaled.hpa, grid, {name for name, _ in told if sources.get(name) != "failing"})
    found: list[Candidate] = []
    least = now.totals.short_s
    done = 0
    for chunk in _spread(work, tried, processes or len(os.sched_getaffinity(0))):
        done += len(chunk)
        least = min(least, *(one.totals.short_s for one in chunk))
        found += [one for one in chunk if one.totals.short_s <= limit_short_s]
        if on_progress is not None:
            on_progress(done, len(tried))
    return Tuning(now, _distinct(sorted(found, key=_rank)), len(tried), least)


def _rank(one: Candidate) -> tuple[Any, ...]:
    targets = tuple(-metric.amount for metric in one.hpa.metrics)
    return round(one.totals.pod_hours, 6), one.totals.short_s, one.totals.changes, one.hpa.max_replicas, targets


def _distinct(ranked: Sequence[Candidate]) -> list[Candidate]:
    found: dict[Totals, Candidate] = {}
    for one in ranked:
        found.setdefault(one.totals, one)
    return list(found.values())


class _Work(NamedTuple):
    """Simulates candidates; sent to each process once."""

    demand: Demand
    conditions: Conditions
    sources: dict[str, Source]
    requests_m: dict[str, int] | None
    keda: Keda | None

    def __call__(self, hpa: Hpa) -> Totals:
        known = {"requests_m": self.requests_m, "keda": self.keda, "keep_syncs": False}
        return simulate(hpa, self.demand, self.conditions, self.sources, **known).totals  # type: ignore[arg-type]


_held: list[_Work] = []
"""In a process of the pool: the work that it was given at its start."""


def _begin(work: _Work) -> None:
    _held.append(work)


def _play(hpas: Sequence[Hpa]) -> list[Candidate]:
    return [Candidate(hpa, _held[0](hpa)) for hpa in hpas]


def _spread(work: _Work, hpas: Sequence[Hpa], processes: int) -> Iterator[list[Candidate]]:
    """Chunks of finished candidates, in any order; in this process where one is enough."""
    chunks = [hpas[i : i + CHUNK] for i in range(0, len(hpas), CHUNK)]
    if processes == 1 or len(chunks) == 1:
        for chunk in chunks:
            yield [Candidate(hpa, work(hpa)) for hpa in chunk]
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(work,)) as pool:
        running = [pool.submit(_play, chunk) for chunk in chunks]
        try:
            for future in as_completed(running):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def patch_of(scaled: Scaled, hpa: Hpa) -> str:
    """A patch for kustomize that gives the autoscaler of `scaled` the bounds, targets and behavior of `hpa`.

    Raises:
        HpaError: for a ScaledObject, whose triggers have other fields.
    """
    if scaled.keda is not None:
        raise HpaError(f"{scaled.document.name} is a ScaledObject: --patch writes only HorizontalPodAutoscalers.")
    metrics = []
    for written, metric in zip(scaled.document.content["spec"].get("metrics") or [], hpa.metrics, strict=False):
        key = SOURCE_KEY[metric.type]
        source = written[key]
        metrics.append({"type": metric.type, key: {**source, "target": _target(metric)}})
    spec: dict[str, Any] = {"minReplicas": hpa.min_replicas, "maxReplicas": hpa.max_replicas}
    if metrics:
        spec["metrics"] = metrics
    if hpa.behavior is not None:
        spec["behavior"] = {"scaleUp": _rules(hpa.behavior.up), "scaleDown": _rules(hpa.behavior.down)}
    written = scaled.document.content
    patch = {
        "apiVersion": written["apiVersion"],
        "kind": written["kind"],
        "metadata": {key: written["metadata"][key] for key in ("name", "namespace") if key in written["metadata"]},
        "spec": spec,
    }
    return yaml.safe_dump(patch, sort_keys=False)


def _target(metric: Metric) -> dict[str, Any]:
    if metric.target == "Utilization":
        return {"type": "Utilization", "averageUtilization": metric.amount}
    amount = f"{metric.amount}m" if metric.amount % 1000 else str(metric.amount // 1000)
    return {"type": metric.target, metric.target[0].lower() + metric.target[1:]: amount}


def _rules(rules: ScalingRules) -> dict[str, Any]:
    found: dict[str, Any] = {} if rules.window_s is None else {"stabilizationWindowSeconds": rules.window_s}
    found["selectPolicy"] = rules.select
    found["policies"] = [
        {"type": policy.type, "value": policy.value, "periodSeconds": policy.period_s} for policy in rules.policies
    ]
    if rules.tolerance is not None:
        found["tolerance"] = f"{round(rules.tolerance * 1000)}m"
    return found


def described(hpa: Hpa) -> tuple[str, str, str, str]:
    """Bounds, targets, and both directions, each in a few characters."""
    targets = ", ".join(
        f"{metric.name} {metric.amount if metric.target == 'Utilization' else f'{metric.amount / 1000:g}'}"
        + ("%" if metric.target == "Utilization" else "")
        for metric in hpa.metrics
    )
    if hpa.behavior is None:
        return f"{hpa.min_replicas}–{hpa.max_replicas}", targets, "default", "default"
    return f"{hpa.min_replicas}–{hpa.max_replicas}", targets, _short(hpa.behavior.up), _short(hpa.behavior.down)


def _short(rules: ScalingRules) -> str:
    if rules.select == "Disabled":
        return "never"
    word = " or " if rules.select == "Max" else " and "
    steps = word.join(f"{p.value}{'%' if p.type == 'Percent' else ''}/{p.period_s}s" for p in rules.policies)
    return f"{steps} after {rules.window_s}s" if rules.window_s else steps
