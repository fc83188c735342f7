"""Simulated autoscalers: what they decide, and what it comes to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easymo.hpa.backtest import backtest, overlap
from easymo.hpa.conditions import Conditions
from easymo.hpa.errors import HpaError
from easymo.hpa.report import changes
from easymo.hpa.signals import Constant
from easymo.hpa.simulate import Simulation, simulate
from easymo.hpa.spec import Hpa, hpa_from
from easymo.trace import Series, shape

ON_TIME_S = 0.0
"""Work of syncs that are at round seconds."""
HOUR = 3600.0


def cpu(percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def memory(percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "memory", "target": target}}


def requests_per_pod(value: str, kind: str = "Pods", name: str = "http_requests_per_second") -> dict[str, Any]:
    source = {"metric": {"name": name}, "target": {"type": "AverageValue", "averageValue": value}}
    return {"type": kind, kind.lower(): source}


def hpa(*metrics: dict[str, Any], minimum: int = 2, maximum: int = 10, behavior: Any = None) -> Hpa:
    ref = {"kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": ref, "minReplicas": minimum, "maxReplicas": maximum, "metrics": list(metrics)}
    return hpa_from({"metadata": {"name": "web"}, "spec": spec | ({"behavior": behavior} if behavior else {})})


def sizes(simulation: Simulation) -> list[int]:
    return [sync.replicas for sync in simulation.syncs]


def test_a_steady_demand_settles_where_the_target_is_met() -> None:
    found = simulate(hpa(cpu(50)), Series((0.0,), (400.0,), HOUR), Conditions(capacity=100))
    assert sizes(found)[-1] == 8  # 400 of 800 requests/s are half
    assert found.totals.short_s == 0
    assert found.totals.flaps == 0


def test_nothing_happens_before_the_metric_shows_it_and_nothing_helps_before_pods_are_ready() -> None:
    conditions = Conditions(capacity=100, startup_s=40, readiness_delay_s=20, metric_lag_s=30, sync_work_s=ON_TIME_S)
    found = simulate(hpa(requests_per_pod("50", "External")), Series((0.0, 600.0), (50.0, 400.0), HOUR), conditions)
    first = next(sync for sync in found.syncs if sync.replicas > 2)
    assert first.time_s == 630
    ready = next(sync for sync in found.syncs if sync.ready > 2)
    assert ready.time_s == 690
    assert found.totals.short_s == 90
    assert found.totals.over_requests == pytest.approx(90 * 200)
    assert found.totals.peak_queue == pytest.approx(90 * 200)


def test_pods_that_become_ready_between_two_syncs_help_from_then_on() -> None:
    conditions = Conditions(capacity=100, startup_s=20, readiness_delay_s=0, metric_lag_s=0, sync_work_s=ON_TIME_S)
    found = simulate(hpa(requests_per_pod("50", "External")), Series((0.0, 600.0), (50.0, 400.0), HOUR), conditions)
    assert found.totals.short_s == 20


def test_cpu_never_shows_more_than_a_full_pod_so_growth_comes_in_steps() -> None:
    by_cpu = simulate(hpa(cpu(70)), shape("step", 50, 900), Conditions(capacity=100))
    by_arrivals = simulate(hpa(requests_per_pod("70", "External")), shape("step", 50, 900), Conditions(capacity=100))
    assert by_cpu.totals.short_s > 3 * by_arrivals.totals.short_s
    assert [line.split("  ")[1] for line in changes(by_cpu)][1:3] == ["2 → 3", "3 → 5"]


def test_a_metric_that_fails_lets_the_size_grow_and_never_shrink() -> None:
    two = hpa(cpu(70), requests_per_pod("50"))
    demand = shape("spike", 50, 400)
    broken = simulate(two, demand, Conditions(capacity=100), {"http_requests_per_second": "failing"})
    assert sizes(broken)[-1] == max(sizes(broken)) > 2
    assert broken.syncs[-1].reason == "MetricError"
    whole = simulate(two, demand, Conditions(capacity=100))
    assert sizes(whole)[-1] == 2


def test_memory_that_does_not_shrink_pins_the_size() -> None:
    both = hpa(cpu(70), memory(75))
    demand = shape("spike", 50, 400)
    pinned = simulate(both, demand, Conditions(capacity=100), {"memory": Constant(70)})
    assert sizes(pinned)[-1] == max(sizes(pinned)) > 2
    free = simulate(both, demand, Conditions(capacity=100), {"memory": Constant(30)})
    assert sizes(free)[-1] == 2


def test_memory_without_a_source_is_left_out_and_said() -> None:
    found = simulate(hpa(cpu(70), memory(75)), shape("spike", 50, 400), Conditions(capacity=100))
    assert len(found.notes) == 1
    assert "--metric memory=60%" in found.notes[0]


def test_a_queue_is_simulated_and_moves_the_autoscaler_that_watches_it() -> None:
    renders = hpa(requests_per_pod("2", "External", "render_queue_depth"), maximum=8)
    a_minute_each = Conditions(capacity=1 / 60, sync_work_s=ON_TIME_S)
    jobs = Series((0.0, 600.0, 1800.0), (0.01, 0.1, 0.01), 2 * HOUR)
    found = simulate(renders, jobs, a_minute_each)
    first = next(sync for sync in found.syncs if sync.replicas > 2)
    # 4 jobs a minute more than two pods do: at 675 s 5 of them wait, more than 10 % above 2 for each pod, and that is
    # seen 30 s later.
    assert (first.time_s, first.value, first.replicas) == (705, 2534, 3)  # with what that second itself brought
    assert found.totals.most_replicas == 6
    assert sizes(found)[-1] == 2


def test_jobs_that_wait_or_are_worked_on_tell_the_demand_even_when_none_waits() -> None:
    conditions = Conditions(capacity=1 / 60)
    steady = Series((0.0,), (0.1,), 2 * HOUR)  # six pods are always busy
    by_jobs = simulate(hpa(requests_per_pod("1", "External", "render_jobs_open"), maximum=8), steady, conditions)
    assert by_jobs.totals.short_s == 0
    assert set(sizes(by_jobs)[-100:]) == {6}
    by_queue = simulate(hpa(requests_per_pod("2", "External", "render_queue_depth"), maximum=8), steady, conditions)
    assert by_queue.totals.short_s > 200, "workers leave when they have caught up, and jobs wait again"


def test_a_series_in_cores_becomes_a_utilization_by_the_request() -> None:
    cores = Series((0.0,), (3.0,), HOUR)
    demand = Series((0.0,), (1.0,), HOUR)
    found = simulate(hpa(cpu(50)), demand, Conditions(capacity=100), {"cpu": cores}, requests_m={"cpu": 1000})
    assert sizes(found)[-1] == 6
    with pytest.raises(HpaError, match="request of Deployment web is not known"):
        simulate(hpa(cpu(50)), demand, Conditions(capacity=100), {"cpu": cores})


def test_a_metric_that_nothing_tells_is_refused_with_the_ways_to_tell_it() -> None:
    lag = hpa(requests_per_pod("5", "External", "consumer_lag"))
    with pytest.raises(HpaError, match="--metric consumer_lag=SERIES"):
        simulate(lag, shape("spike", 1, 9), Conditions(capacity=1))
    with pytest.raises(HpaError, match="no metric 'queue'"):
        simulate(hpa(cpu(50)), shape("spike", 1, 9), Conditions(capacity=1), {"queue": "demand"})
    with pytest.raises(HpaError, match="every metric is left out"):
        simulate(hpa(memory(50)), shape("spike", 1, 9), Conditions(capacity=1))


def test_cpu_in_cores_is_told_by_the_request_of_the_pod() -> None:
    target = {"type": "AverageValue", "averageValue": "350m"}
    absolute = hpa({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    demand, conditions = Series((0.0,), (400.0,), HOUR), Conditions(capacity=100)
    assert sizes(simulate(absolute, demand, conditions, requests_m={"cpu": 700}))[-1] == 8
    with pytest.raises(HpaError, match="is not known"):
        simulate(absolute, demand, conditions)


def test_two_containers_with_a_metric_each_are_both_looked_at() -> None:
    target = {"type": "Utilization", "averageUtilization": 50}
    app, mesh = (
        {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": name, "target": target}}
        for name in ("app", "mesh")
    )
    cores = {"cpu": Series((0.0,), (2.0,), HOUR)}
    found = simulate(
        hpa(app, mesh),
        Series((0.0,), (1.0,), HOUR),
        Conditions(capacity=100),
        cores,
        requests_m={"cpu/app": 1000, "cpu/mesh": 500},
    )
    assert sizes(found)[-1] == 8  # two cores are half of four pods of 1000m, and half of eight of 500m


@pytest.mark.parametrize("capacity", [0, -1, float("nan"), float("inf")])
def test_a_capacity_that_carries_nothing_is_refused(capacity: float) -> None:
    with pytest.raises(HpaError, match="--capacity"):
        Conditions(capacity=capacity)


def test_pod_hours_count_from_the_decision_and_cost_follows() -> None:
    fixed = hpa(cpu(50), minimum=3, maximum=3)
    found = simulate(fixed, shape("spike", 10, 90), Conditions(capacity=100, pod_hour_price=0.5))
    assert found.totals.pod_hours == pytest.approx(3.0)
    assert found.totals.cost == pytest.approx(1.5)


def test_a_pod_costs_from_the_decision_on_although_it_serves_later() -> None:
    slow = Conditions(capacity=100, startup_s=600, metric_lag_s=0, sync_work_s=ON_TIME_S)
    demand = Series((0.0, 600.0), (50.0, 400.0), 900.0)
    found = simulate(hpa(requests_per_pod("50", "External")), demand, slow)
    assert found.syncs[-1].ready == 2
    assert found.totals.pod_hours == pytest.approx((2 * 600 + 4 * 15 + 8 * 285) / 3600)  # 4 is twice 2


def test_a_queue_drains_after_the_spike_at_the_spare_capacity() -> None:
    fixed = hpa(cpu(50), minimum=2, maximum=2)
    found = simulate(
        fixed,
        Series((0.0, 100.0), (300.0, 100.0), 400.0),
        Conditions(capacity=100, sync_period_s=50, sync_work_s=ON_TIME_S),
    )
    queue = [sync.queue for sync in found.syncs]
    assert queue == pytest.approx([0, 5000, 10_000, 5000, 0, 0, 0, 0])


def test_taking_a_change_back_within_ten_minutes_is_a_flap() -> None:
    down_fast = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    wave = Series(tuple(120.0 * i for i in range(30)), (50.0, 400.0) * 15, HOUR)
    assert simulate(hpa(cpu(50), behavior=down_fast), wave, Conditions(capacity=100)).totals.flaps > 10
    assert simulate(hpa(cpu(50)), wave, Conditions(capacity=100)).totals.flaps == 0


demands = st.lists(st.floats(0, 2000), min_size=2, max_size=40)


@given(demands, st.integers(1, 4), st.integers(0, 8), st.floats(0, 90), st.floats(0, 90))
def test_a_simulation_keeps_its_bounds_and_its_books(
    values: list[float], minimum: int, more: int, startup_s: float, lag_s: float
) -> None:
    series = Series(tuple(20.0 * i for i in range(len(values))), tuple(values))
    conditions = Conditions(capacity=100, startup_s=startup_s, metric_lag_s=lag_s)
    scaled = hpa(cpu(60), requests_per_pod("70"), minimum=minimum, maximum=minimum + more)
    found = simulate(scaled, series, conditions)
    totals = found.totals
    assert all(minimum <= size <= minimum + more for size in sizes(found))
    assert all(0 <= sync.ready <= sync.current for sync in found.syncs)
    assert totals.requests == pytest.approx(20 * sum(values))
    assert 0 <= totals.peak_queue <= totals.over_requests + 1e-6
    assert totals.over_requests <= totals.requests + 1e-6
    assert 0 <= totals.short_s <= totals.seconds
    assert minimum * totals.seconds / 3600 <= totals.pod_hours * (1 + 1e-9)
    again = simulate(scaled, series, conditions, keep_syncs=False)
    assert again.totals == totals
    assert again.syncs == []


def test_a_backtest_against_itself_agrees_and_against_another_says_where() -> None:
    found = simulate(hpa(cpu(70)), shape("spike", 50, 400), Conditions(capacity=100, sync_work_s=ON_TIME_S))
    same = Series(tuple(s.time_s for s in found.syncs), tuple(float(s.current) for s in found.syncs))
    assert backtest(found, same).agree_ratio == 1
    assert backtest(found, same).differences == []
    shifted = [float(s.current) + (2 if 1200 <= s.time_s < 1500 else 0) for s in found.syncs]
    tested = backtest(found, Series(same.times_s, tuple(shifted)))
    assert [(d.start_s, d.end_s, d.actual - d.simulated) for d in tested.differences] == [(1200, 1500, 2)]
    assert tested.agree_ratio == pytest.approx(1 - 20 / 240)
    assert tested.actual_pod_hours - tested.simulated_pod_hours == pytest.approx(2 * 300 / 3600)


def test_two_recordings_of_different_days_are_refused() -> None:
    day = Series((0.0,), (1.0,), 86400.0)
    assert overlap(day, Series((3600.0,), (2.0,), 90_000.0)) == (3600, 86400)
    with pytest.raises(HpaError, match="do not overlap"):
        overlap(day, Series((86_400.0,), (2.0,), 90_000.0))
