"""The pods of a simulation: how each counts while it starts, who leaves first, and what a queue does."""

import pytest

from easymo.hpa.fleet import Batch, Fleet
from easymo.hpa.replicas import PodLoad
from easymo.hpa.signals import View, _load

STARTUP_S, READINESS_S, LAG_S, WINDOW_S = 20.0, 10.0, 30.0, 15.0


@pytest.mark.parametrize(
    ("now", "cpu", "custom"),
    [
        (15, "unready", "unready"),  # pending
        (45, "missing", "missing"),  # running since 20 s, but the newest sample is of 15 s
        (50, "unready", "ready"),  # a sample from before it was ready; only cpu asks
        (74, "unready", "ready"),  # ready since 30 s; the sample of 44 s began at 29 s
        (75, "ready", "ready"),
    ],
)
def test_a_starting_pod_counts_as_the_autoscaler_would_count_it(now: float, cpu: str, custom: str) -> None:
    batch = Batch(1, 0.0, STARTUP_S, READINESS_S)
    assert batch.state("cpu", now, now - LAG_S, WINDOW_S) == cpu
    assert batch.state(None, now, now - LAG_S, WINDOW_S) == custom


def load_at(now: float, resource: str | None) -> PodLoad | None:
    fleet = Fleet(3, 100.0)
    fleet.resize(2, 0.0, STARTUP_S, READINESS_S)
    view = View(fleet, WINDOW_S)
    view.now, view.sample_s = now, now - LAG_S
    return _load(view, 40, 1000, resource)


def test_what_starting_pods_add_to_the_samples() -> None:
    assert load_at(15, "cpu") == PodLoad(3, 3, 120, 3000, unready=2, unready_requested_m=2000)
    assert load_at(45, "cpu") == PodLoad(3, 3, 120, 3000, missing=(1000, 1000))
    assert load_at(50, None) == PodLoad(5, 5, 120, 5000), "they are sampled and had nothing to do yet"
    assert load_at(75, "cpu") == PodLoad(5, 5, 200, 5000)


def test_without_a_pod_that_counts_there_is_no_value() -> None:
    fleet = Fleet(0, 100.0)
    fleet.resize(2, 0.0, STARTUP_S, READINESS_S)
    view = View(fleet, WINDOW_S)
    view.now, view.sample_s = 15.0, -15.0
    assert _load(view, 40, 1000, "cpu") is None


def test_the_newest_pods_leave_first_so_that_serving_ones_stay() -> None:
    fleet = Fleet(2, 100.0)
    fleet.resize(1, 0.0, STARTUP_S, READINESS_S)
    fleet.resize(3, 20.0, STARTUP_S, READINESS_S)
    fleet.resize(-3, 35.0, STARTUP_S, READINESS_S)
    assert (fleet.serving, fleet.replicas) == (3, 3)
    fleet.resize(-2, 35.0, STARTUP_S, READINESS_S)
    assert (fleet.serving, fleet.replicas) == (1, 1)


def test_a_pod_is_like_all_others_after_two_minutes_and_a_full_sample() -> None:
    fleet = Fleet(2, 100.0)
    fleet.resize(1, 0.0, STARTUP_S, READINESS_S)
    fleet.settle(119.0, LAG_S + WINDOW_S)
    assert fleet.mature == 2
    fleet.settle(120.0, LAG_S + WINDOW_S)
    assert (fleet.mature, fleet.young) == (3, [])
    fleet.resize(1, 200.0, STARTUP_S, readiness_delay_s=200.0)
    fleet.settle(464.0, LAG_S + WINDOW_S)
    assert fleet.mature == 3
    fleet.settle(465.0, LAG_S + WINDOW_S)
    assert fleet.mature == 4


def test_what_is_not_served_waits_and_is_served_later() -> None:
    fleet = Fleet(2, 100.0)
    assert fleet.serve(10, 150) == 150
    assert fleet.serve(10, 260) == 200
    assert (fleet.queue, fleet.short_s, fleet.over) == (600, 10, 600)
    assert fleet.serve(10, 170) == 200
    assert (fleet.queue, fleet.short_s) == (300, 10)
    assert fleet.serve(10, 150) == 180
    assert (fleet.queue, fleet.peak_queue) == (0, 600)
