"""The size that metrics ask for: own cases from the specification, and properties that always hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easymo.hpa.errors import MetricError, QuantityError
from easymo.hpa.pods import Group, Pod, Sample, pod_load, state_of
from easymo.hpa.quantity import milli
from easymo.hpa.replicas import (
    PodLoad,
    Tolerance,
    average_value,
    combine,
    total_average_value,
    total_value,
    utilization,
)

TEN_PERCENT = Tolerance(0.1, 0.1)


def load(percent: int, pods: int, **more: object) -> PodLoad:
    """``pods`` ready pods that use ``percent`` of a request of one core each."""
    return PodLoad(ready=pods, samples=pods, usage_m=10 * percent * pods, requested_m=1000 * pods, **more)  # type: ignore[arg-type]


def test_the_size_is_rounded_up() -> None:
    assert utilization(load(71, 10), 50, 10, TEN_PERCENT).replicas == 15  # 14.2


def test_the_percentage_is_truncated_before_the_ratio_is_taken() -> None:
    nearly_89 = PodLoad(ready=9, samples=9, usage_m=8 * 1000 + 9, requested_m=9 * 1000)
    assert utilization(nearly_89, 80, 9, TEN_PERCENT) == (9, 88)


def test_exactly_ten_percent_over_the_target_is_within_the_tolerance() -> None:
    assert utilization(load(88, 5), 80, 5, TEN_PERCENT).replicas == 5
    assert utilization(load(89, 5), 80, 5, TEN_PERCENT).replicas == 6


def test_an_autoscaler_may_have_a_tolerance_of_its_own_in_each_direction() -> None:
    tolerance = Tolerance(up=0.5, down=0.0)
    assert utilization(load(74, 4), 50, 4, tolerance).replicas == 4
    assert utilization(load(49, 100), 50, 100, tolerance).replicas == 98


def test_the_ratio_is_multiplied_with_the_ready_pods_not_with_the_size() -> None:
    assert average_value(PodLoad(ready=2, samples=2, usage_m=400_000), 100_000, 3, TEN_PERCENT).replicas == 4


def test_a_pod_without_a_sample_counts_as_idle_when_growing_and_as_full_when_shrinking() -> None:
    silent = load(90, 3, missing=(1000,))
    assert utilization(silent, 50, 4, TEN_PERCENT).replicas == 6  # 67 % over 4 pods, not 90 % over 3
    silent = load(10, 3, missing=(1000,))
    assert utilization(silent, 50, 4, TEN_PERCENT).replicas == 3  # 32 % over 4 pods, not 10 % over 3


def test_pods_that_start_keep_a_scale_up_small() -> None:
    starting = load(100, 2, unready=2, unready_requested_m=2000)
    assert utilization(starting, 50, 4, TEN_PERCENT).replicas == 4
    assert utilization(load(100, 2), 50, 4, TEN_PERCENT).replicas == 4
    assert utilization(load(150, 2, unready=2, unready_requested_m=2000), 50, 4, TEN_PERCENT).replicas == 6


def test_a_value_target_looks_only_at_pods_that_carry_load() -> None:
    assert total_value(19_500, 10_000, 3, 1, TEN_PERCENT).replicas == 2
    assert total_value(19_500, 10_000, 0, 0, TEN_PERCENT).replicas == 2


def test_an_average_value_of_an_external_metric_is_total_over_target() -> None:
    assert total_average_value(501_000, 50_000, 3, TEN_PERCENT).replicas == 11
    assert total_average_value(0, 50_000, 0, TEN_PERCENT).replicas == 0


def test_one_failed_metric_blocks_every_scale_down_and_no_scale_up() -> None:
    assert combine([None, 3], current=4) is None
    assert combine([None, 4], current=4) == 4
    assert combine([5, None], current=4) == 5
    assert combine([], current=4) is None


def test_a_starting_pod_is_unready_for_cpu_and_counts_for_anything_else() -> None:
    starting = Pod("web-1", ready=False, start_s=0, ready_changed_s=0)
    sample = Sample(1, time_s=20, window_s=15)
    assert state_of(starting, sample, "cpu", now=30) == "unready"
    assert state_of(starting, sample, None, now=30) == "ready"
    assert state_of(starting, None, None, now=30) == "missing"


def test_a_sample_counts_once_its_window_began_after_the_pod_was_ready() -> None:
    pod = Pod("web-1", ready=True, start_s=0, ready_changed_s=10)
    assert state_of(pod, Sample(1, 24, 15), "cpu", now=30) == "unready"
    assert state_of(pod, Sample(1, 25, 15), "cpu", now=30) == "ready"
    assert state_of(pod, Sample(1, 24, 15), "cpu", now=300) == "ready"  # older than the initialization period


def test_no_pods_and_no_samples_are_failures_not_zero() -> None:
    with pytest.raises(MetricError, match="there are none"):
        pod_load([])
    with pytest.raises(MetricError, match="unready"):
        pod_load([Group("unready", 3, 0, 1000), Group("missing", 1, 0, 1000), Group("ignored", 1, 50, 1000)])


def test_a_missing_pod_counts_as_used_up_to_a_target_above_its_request() -> None:
    """With a target of 150 % a silent pod is taken to use 150 %, not 100 %, when the size would shrink."""
    silent = load(60, 3, missing=(1000, 1000))
    assert utilization(silent, 150, 5, TEN_PERCENT).replicas == 4  # 96 % of 150 % of five; with 100 % it would be 3


@pytest.mark.parametrize(
    ("text", "thousandths"),
    [("250m", 250), ("2", 2000), (50, 50_000), ("1.5k", 1_500_000), ("1e3", 1_000_000), ("1Ki", 1_024_000), ("1n", 1)],
)
def test_a_quantity_is_read_as_kubernetes_does(text: str | int, thousandths: int) -> None:
    assert milli(text) == thousandths


@pytest.mark.parametrize("text", ["", "50/s", "1 000", "0x10", "NaN", "1kk"])
def test_what_is_no_quantity_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(QuantityError, match="512Mi"):
        milli(text)


pods = st.integers(1, 30)


@given(st.integers(0, 300), st.integers(0, 300), pods, st.integers(0, 5), st.integers(0, 5), st.integers(1, 100))
def test_more_use_never_lowers_the_size(a: int, b: int, ready: int, unready: int, missing: int, target: int) -> None:
    def size(percent: int) -> int:
        now = load(percent, ready, unready=unready, unready_requested_m=1000 * unready, missing=(1000,) * missing)
        return utilization(now, target, ready + unready + missing, TEN_PERCENT).replicas

    assert size(min(a, b)) <= size(max(a, b))


@given(st.integers(0, 10**9), st.integers(1, 10**6), pods)
def test_the_new_size_would_carry_the_use_at_the_target(usage_m: int, target_m: int, ready: int) -> None:
    found = average_value(PodLoad(ready, ready, usage_m), target_m, ready, TEN_PERCENT)
    if found.replicas != ready:
        assert found.replicas * target_m >= found.value * ready
        # Not <: in doubles 7/25 of 25 pods are a little more than 7, and Kubernetes rounds that up to 8.
        assert (found.replicas - 1) * target_m <= found.value * ready


@given(st.integers(0, 200), pods, st.integers(1, 5))
def test_a_silent_pod_never_makes_the_change_larger(percent: int, ready: int, missing: int) -> None:
    current = ready + missing
    cautious = utilization(load(percent, ready, missing=(1000,) * missing), 50, current, TEN_PERCENT).replicas
    if percent > 50:
        assert cautious >= current
    if percent < 50:
        assert cautious <= current
