"""KEDA's ScaledObjects: the autoscaler that they make, and what KEDA itself does between 0 and 1."""

from datetime import UTC, datetime
from typing import Any

import pytest

from easymo.hpa.conditions import Conditions
from easymo.hpa.errors import HpaError
from easymo.hpa.keda import Cron, scaled_object
from easymo.hpa.manifests import Document
from easymo.hpa.simulate import Simulation, simulate
from easymo.trace import Series

HOUR = 3600.0
QUEUE: dict[str, Any] = {
    "type": "rabbitmq",
    "name": "depth",
    "metadata": {"value": "10", "activationValue": "5", "queueName": "mail"},
}


def scaled(*triggers: dict[str, Any], **spec: Any) -> Document:
    content = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "mail"},
        "spec": {"scaleTargetRef": {"name": "mail"}, "triggers": list(triggers), **spec},
    }
    return Document("mail.yaml", content, {(): 1, ("spec",): 5})


def played(document: Document, depth: Series) -> Simulation:
    hpa, keda = scaled_object(document)
    given = Conditions(capacity=1, custom_lag_s=0, initial_replicas=0, downscale_window_s=60)
    idle = Series((0.0,), (0.0,), depth.end_s)
    return simulate(hpa, idle, given, {"depth": depth}, keda=keda)


def test_the_autoscaler_has_the_bounds_and_targets_of_the_scaled_object() -> None:
    cpu = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}}
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 7}}
    advanced = {"horizontalPodAutoscalerConfig": {"behavior": behavior}}
    hpa, keda = scaled_object(scaled(QUEUE, cpu, minReplicaCount=2, maxReplicaCount=9, advanced=advanced))
    assert (hpa.name, hpa.min_replicas, hpa.max_replicas, hpa.target_kind) == ("keda-hpa-mail", 2, 9, "Deployment")
    assert [(m.type, m.name, m.target, m.amount) for m in hpa.metrics] == [
        ("External", "depth", "AverageValue", 10_000),
        ("Resource", "cpu", "Utilization", 60),
    ]
    assert hpa.behavior is not None
    assert hpa.behavior.down.window_s == 7
    assert keda.activations == {"depth": 5000}
    assert keda.rests_at is None, "a minimum above 0 leaves everything to the autoscaler"


def test_what_a_scaled_object_leaves_out_has_kedas_defaults() -> None:
    hpa, keda = scaled_object(scaled(QUEUE))
    assert (hpa.min_replicas, hpa.max_replicas) == (1, 100)
    assert (keda.minimum, keda.polling_s, keda.cooldown_s, keda.rests_at) == (0, 30, 300, 0)


def test_activity_takes_it_from_nothing_to_one_and_rest_only_after_the_cooldown() -> None:
    depth = Series((0.0, 600.0, 1200.0), (0.0, 80.0, 0.0), HOUR)
    found = played(scaled(QUEUE), depth)
    by_time = {round(sync.time_s): sync for sync in found.syncs}
    assert by_time[541].current == 0
    assert by_time[541].reason == "ScalingDisabled", "the autoscaler is off at 0 pods"
    assert next(sync.time_s for sync in found.syncs if sync.current == 1) == pytest.approx(600, abs=31)
    assert found.totals.most_replicas == 8
    zero_again = next(sync.time_s for sync in found.syncs if sync.time_s > 1200 and sync.current == 0)
    assert zero_again == pytest.approx(1200 + 300, abs=61)


def test_a_value_that_does_not_exceed_the_activation_wakes_nothing() -> None:
    assert played(scaled(QUEUE), Series((0.0,), (5.0,), HOUR)).totals.most_replicas == 0
    assert played(scaled(QUEUE), Series((0.0,), (5.1,), HOUR)).totals.most_replicas == 1


def test_an_idle_size_is_kept_below_the_minimum_while_nothing_happens() -> None:
    found = played(scaled(QUEUE, idleReplicaCount=0, minReplicaCount=3), Series((0.0, 600.0), (0.0, 6.0), HOUR))
    assert {sync.current for sync in found.syncs} == {0, 3}


def test_a_cron_trigger_wants_its_size_between_start_and_end() -> None:
    cron = Cron("0 8 * * mon-fri", "30 17 * * 1-5", "Europe/Berlin", 6)
    monday = datetime(2026, 11, 30, 0, 0, tzinfo=UTC).timestamp()
    series = cron.series(monday, monday + 24 * HOUR)
    assert [series.at(monday + hour * HOUR) for hour in (6.9, 7, 16.4, 16.6)] == [1, 6, 6, 1]
    sunday = cron.series(monday - 24 * HOUR, monday)
    assert set(sunday.values) == {1.0}
    assert Cron("0 20 * * *", "0 6 * * *", "UTC", 4).series(monday, monday + HOUR).values[0] == 4, "over midnight"


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        ({"type": "telepathy", "metadata": {}}, "'telepathy' is neither a field that it has nor a trigger known here"),
        ({"type": "prometheus", "metadata": {}}, "'threshold' is neither"),
        ({"type": "prometheus", "metadata": {"threshold": "many"}}, "no quantity"),
        ({"metadata": {"value": "1"}}, "'type'"),
        ({"type": "cron", "metadata": {"start": "8", "end": "17", "timezone": "UTC", "desiredReplicas": "2"}}, "five"),
        (
            {"type": "cron", "metadata": {"start": "0 8 * * *", "end": "", "timezone": "Mars", "desiredReplicas": "2"}},
            "Mars",
        ),
    ],
)
def test_a_trigger_that_cannot_be_simulated_is_refused_with_the_reason(trigger: dict[str, Any], words: str) -> None:
    with pytest.raises(HpaError, match=words):
        scaled_object(scaled(trigger))
