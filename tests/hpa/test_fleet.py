"""The pods of a simulation: how each counts while it starts, who leaves first, and what a queue does."""

import pytest

from easymo.hpa.conditions import Conditions, Stretch
from easymo.hpa.fleet import Cohort, Fleet
from easymo.hpa.pod_rows import PodRow, PodRows
from easymo.hpa.replicas import PodLoad
from easymo.hpa.signals import load_of
from easymo.hpa.view import View

GIVEN = Conditions(
    capacity=100, startup_s=20, readiness_delay_s=10, metric_lag_s=30, metric_window_s=15, scrape_interval_s=0
)


def cohort() -> Cohort:
    return Cohort(1, 0.0, 20.0, 30.0, 0)


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
    assert cohort().state("cpu", now, now - 30, GIVEN) == cpu
    assert cohort().state(None, now, now - 30, GIVEN) == custom


def test_the_initialization_period_is_five_minutes_and_the_readiness_delay_half_a_minute() -> None:
    late = Cohort(1, 0.0, 20.0, 290.0, 0)
    assert late.state("cpu", 299, 269, GIVEN) == "unready"
    assert late.state("cpu", 301, 271, GIVEN) == "ready", "the period is over, whatever the sample's age"
    never = Cohort(1, 0.0, 20.0, float("inf"), 0)
    assert never.state("cpu", 400, 370, GIVEN) == "unready"


def test_a_pod_that_lost_readiness_counts_once_it_is_old() -> None:
    rows = [PodRow(60, ready=False), PodRow(500)]
    lost = Cohort(1, 0.0, 20.0, 30.0, 0, rows)
    assert [lost.readiness(t)[1] for t in (25, 30, 59, 60, 499, 500)] == [False, True, True, False, False, True]
    assert lost.state("cpu", 200, 170, GIVEN) == "unready"
    assert lost.state("cpu", 301, 271, GIVEN) == "ready", "it has been ready before"


def load_at(now: float, resource: str | None) -> PodLoad | None:
    fleet = Fleet(3, GIVEN)
    fleet.resize(5, 0.0)
    view = View(fleet, GIVEN, 120.0)
    view.look(now, 5)
    return load_of(view, lambda view, c: 0 if c and not c.readiness(now - 30)[1] else 40, 1000, resource, now - 30)


def test_what_starting_pods_add_to_the_samples() -> None:
    assert load_at(15, "cpu") == PodLoad(3, 3, 120, 3000, unready=2, unready_requested_m=2000)
    assert load_at(45, "cpu") == PodLoad(3, 3, 120, 3000, missing=(1000, 1000))
    assert load_at(50, None) == PodLoad(5, 5, 120, 5000), "they are sampled and had nothing to do yet"
    assert load_at(75, "cpu") == PodLoad(5, 5, 200, 5000)


def test_without_a_pod_that_counts_there_is_no_value() -> None:
    fleet = Fleet(0, GIVEN)
    fleet.resize(2, 0.0)
    view = View(fleet, GIVEN, 0.0)
    view.look(15.0, 2)
    assert load_of(view, lambda *_: 40, 1000, "cpu", -15.0) is None


def test_pods_that_do_not_serve_leave_first_and_then_the_newest() -> None:
    fleet = Fleet(2, GIVEN)
    fleet.resize(3, 0.0)
    fleet.resize(6, 20.0)
    fleet.resize(3, 35.0)
    assert (fleet.serving, fleet.replicas) == (3, 3)
    fleet.resize(1, 35.0)
    assert (fleet.serving, fleet.replicas) == (1, 1)


def test_a_pod_is_like_all_others_after_the_initialization_period_and_a_full_sample() -> None:
    fleet = Fleet(2, GIVEN)
    fleet.resize(3, 0.0)
    fleet.settle(300.0)
    assert fleet.mature == 2
    fleet.settle(301.0)
    assert (fleet.mature, fleet.young) == (3, [])


def test_no_pod_starts_while_the_cluster_is_full() -> None:
    given = Conditions(capacity=100, startup_s=20, readiness_delay_s=10, cluster_full=(Stretch(0, 100),))
    fleet = Fleet(1, given)
    fleet.resize(2, 10.0)
    assert (fleet.young[0].running_s, fleet.next_change(10.0)) == (100, 110)


def test_rows_about_single_pods_replace_the_model() -> None:
    rows = PodRows({0: [PodRow(50, ready=False), PodRow(80)]}, [PodRow(5, ready=True)])
    fleet = Fleet(2, Conditions(capacity=100, startup_s=2, readiness_delay_s=60, pods=rows))
    assert (fleet.mature, len(fleet.young)) == (1, 1)
    fleet.count_ready(60)
    assert fleet.serving == 1
    fleet.resize(3, 100)
    fleet.count_ready(104)
    assert fleet.serving == 2
    fleet.count_ready(105)
    assert fleet.serving == 3, "ready at the age of 5 s, where the model says 62 s"


def test_a_rollout_replaces_a_quarter_at_a_time_and_never_falls_below_three_quarters() -> None:
    fleet = Fleet(8, GIVEN)
    fleet.roll_out(0.0)
    seen = [(fleet.replicas, fleet.serving)]
    now = 0.0
    while (now := fleet.next_change(now)) < 1e6:
        fleet.count_ready(now)
        seen.append((fleet.replicas, fleet.serving))
    assert max(replicas for replicas, _ in seen) == 10
    assert min(serving for _, serving in seen) == 6
    assert seen[-1] == (8, 8)
    assert {c.version for c in fleet.young} == {1}


def test_what_is_not_served_waits_and_is_served_later() -> None:
    fleet = Fleet(2, GIVEN)
    assert fleet.serve(10, 150) == 150
    assert fleet.serve(10, 260) == 200
    assert (fleet.queue, fleet.short_s, fleet.over) == (600, 10, 600)
    assert fleet.serve(10, 170) == 200
    assert (fleet.queue, fleet.short_s) == (300, 10)
    assert fleet.empties_within(150) == 6
    assert fleet.serve(10, 150) == 180
    assert (fleet.queue, fleet.peak_queue) == (0, 600)


def test_what_is_shed_never_comes_back() -> None:
    fleet = Fleet(2, Conditions(capacity=100, overload="shed"))
    assert fleet.serve(10, 260) == 200
    assert (fleet.queue, fleet.short_s, fleet.over) == (0, 10, 600)
    assert fleet.serve(10, 150) == 150
