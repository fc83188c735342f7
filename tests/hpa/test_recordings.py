"""A real controller's recorded syncs and sizes, played through the arithmetic and through the whole simulation.

Recorded against kube-controller-manager 1.36.2 with metrics APIs that told what a model of the load said; see
docs/reference/hpa-simulation.md. `python -m tests.hpa.recordings FOLDER` stores recordings here.
"""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from easymo.hpa.controller import Controller
from easymo.hpa.replicas import combine
from easymo.hpa.simulate import Demand
from easymo.hpa.status import Condition, status_after
from tests.hpa.recordings import (
    Recording,
    Seen,
    experiment_of,
    flag_s,
    is_later,
    last_of,
    proposals_of,
    recordings,
    rival_until,
    syncs_of,
)

BY_MILLISECONDS = {("rollout", 280), ("external-pending", 180)}
"""Syncs that milliseconds decide: the edge of a window, or pods that get ready while the controller looks."""

NOT_SAID = ("patch-hpa", "restart-controller")
"""What `simulate` has no words for: edits of the autoscaler, and restarts of its controller."""

JITTER = {
    "queue-length": "four syncs took 19.94 s where they usually take 20.06 s, so a policy's period had not ended",
    "cpu-and-external": "syncs came 6 ms later than usual; after 57 of them one saw the sample of the next second",
}
"""Experiments in which the jitter of the recorded syncs decided an edge: simulated with the recorded times of syncs."""

ALL = list(recordings())


def test_the_recordings_are_here() -> None:
    assert len(ALL) >= 38


def controller_of(recording: Recording, seen: Seen) -> Controller:
    window_s = flag_s(recording, "downscale-stabilization")
    return Controller(seen.hpa.min_replicas, seen.hpa.max_replicas, seen.hpa.behavior, window_s)


def decisions(recording: Recording) -> Iterator[tuple[Seen, int, dict[str, Condition]]]:
    """Each recorded sync with the size and the conditions that the arithmetic makes of what the controller saw."""
    restarts = [at for at, kind, _ in recording["actions"] if kind == "restart-controller"]
    gate = recording["feature_gates"].get("HPAScaleToZero", False)
    controller: Controller | None = None
    status: dict[str, Condition] = {}
    for seen in syncs_of(recording):
        if seen.current is None:
            continue
        if controller is None or (restarts and seen.now > restarts[0]):
            restarts = restarts[1:] if controller else restarts
            controller = controller_of(recording, seen)
        controller.minimum, controller.maximum = seen.hpa.min_replicas, seen.hpa.max_replicas
        asked = proposals_of(seen, recording)
        wanted = combine([replicas for _, replicas in asked], seen.current)
        decision = controller.sync(seen.now, seen.current, wanted, ambiguous=seen.ambiguous)
        failed = [kind for kind, replicas in asked if replicas is None]
        status = status_after(
            status,
            decision,
            seen.current,
            wanted,
            failed,
            has_behavior=seen.hpa.behavior is not None,
            scale_to_zero=gate,
        )
        yield seen, decision.replicas, status


@pytest.mark.parametrize("recording", ALL, ids=lambda recording: recording["name"])
def test_each_recorded_sync_is_decided_as_the_controller_did(recording: Recording) -> None:
    count = 0
    for seen, replicas, status in decisions(recording):
        count += 1
        if (recording["name"], int(seen.now)) in BY_MILLISECONDS:
            continue
        shown = {kind: [str(is_true), reason] for kind, (is_true, reason) in status.items()}
        assert (seen.now, replicas, shown) == (seen.now, seen.replicas, seen.conditions)
    assert count > 20


Steps = list[tuple[float, int]]


def changes_of(recording: Recording, *, recorded_times: bool) -> tuple[Steps, Steps]:
    """The simulated and the recorded sizes, each with the time from which it held."""
    experiment = experiment_of(recording)
    rival = {"ambiguous_from": int(not is_later(recording))} if rival_until(recording) > 0 else {}
    if recorded_times:
        work_s = experiment.conditions.work_s(len(experiment.hpa.metrics))
        experiment = experiment._replace(cut=Demand(experiment.demand, recording["syncs_s"], work_s))
    found = experiment.simulate(**rival)
    initial = experiment.conditions.initial_replicas or 0
    steps = [(sync.time_s, sync.replicas) for sync in found.syncs] + list(experiment.conditions.resizes)
    real = [(at, size) for at, size in recording["replicas"]]
    if real[0][0] > 0:
        real.insert(0, (0.0, 0))
    return _distinct([(0.0, initial), *sorted(steps)]), real


def _distinct(steps: Steps) -> Steps:
    return [step for i, step in enumerate(steps) if i == 0 or step[1] != steps[i - 1][1]]


def same_ratio(simulated: Steps, real: Steps, end_s: float) -> float:
    """The share of the time in which both have the same size."""
    times = sorted({0.0, end_s, *(at for at, _ in [*simulated, *real] if at < end_s)})
    return sum(end - at for at, end in pairwise(times) if last_of(simulated, at, 0) == last_of(real, at, 0)) / end_s


@pytest.mark.parametrize("recording", ALL, ids=lambda recording: recording["name"])
def test_a_simulation_has_the_sizes_that_the_controller_had(recording: Recording) -> None:
    name = recording["name"]
    if unsaid := {kind for _, kind, _ in recording["actions"] if kind in NOT_SAID}:
        pytest.skip(f"{name}: simulate has no words for {', '.join(sorted(unsaid))}")
    simulated, real = changes_of(recording, recorded_times=name in JITTER)
    ratio = same_ratio(simulated, real, recording["duration_s"])
    print(f"{name}: the same size {ratio:.1%} of the time, {len(real) - 1} changes")
    assert [size for _, size in simulated] == [size for _, size in real]
    late_s = [abs(ours - theirs) for (ours, _), (theirs, _) in zip(simulated, real, strict=True)]
    assert max(late_s) < 1.1 * flag_s(recording, "sync-period")
    assert ratio >= 0.95
