"""What happens during a simulation: rollouts, sizes set by hand, failing metrics, full clusters, rival autoscalers."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from easymo.hpa.conditions import Conditions, Stretch
from easymo.hpa.errors import HpaError
from easymo.hpa.happenings import duration_s, happenings
from easymo.hpa.inputs import read_autoscalers
from easymo.hpa.pod_rows import NO_SAMPLE, PodRow, PodRows, read_pod_rows
from easymo.hpa.signals import Shared
from easymo.hpa.simulate import simulate
from easymo.trace import Series, shape
from tests.hpa.conftest import HPA
from tests.hpa.test_command import refused
from tests.hpa.test_simulate import cpu, hpa, memory, sizes

Command = Callable[..., Result]
HOUR = 3600.0
DEPLOYMENT = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: web, resources: {requests: {cpu: 500m, memory: 100Mi}}}]}
"""


def test_times_are_seconds_minutes_or_hours() -> None:
    assert [duration_s(text) for text in ("90", "90s", "1.5m", "2h")] == [90, 90, 90, 7200]


def test_the_words_of_the_command_line_become_conditions() -> None:
    found = happenings(
        rollouts=["at=10m", "20m"],
        resizes=["9@90"],
        failures=["cpu@1m-3m"],
        cluster_full=["0-4m"],
        startup_cpu="200%:50s",
    )
    assert found == {
        "rollouts": (600, 1200),
        "resizes": ((90, 9),),
        "failures": (("cpu", Stretch(60, 180)),),
        "cluster_full": (Stretch(0, 240),),
        "startup_cpu_percent": 200,
        "startup_cpu_s": 50,
    }


@pytest.mark.parametrize("words", [{"rollouts": ["soon"]}, {"resizes": ["9"]}, {"failures": ["cpu"]}])
def test_words_of_another_form_are_refused_with_an_example(words: dict[str, list[str]]) -> None:
    with pytest.raises(HpaError, match="write it like --"):
        happenings(**words)  # type: ignore[arg-type]


def test_memory_of_pods_that_run_and_are_not_ready_counts() -> None:
    """A real controller grew 3 → 5 → 7 → 10 where new pods that "use nothing" would have stopped it at 5."""
    given = Conditions(
        capacity=1, startup_s=5, readiness_delay_s=600, sync_period_s=5, metric_lag_s=10, overload="shed"
    )
    used = {"memory": Series((0.0, 60.0), (60 * 2**20, 125 * 2**20), 300.0)}
    idle = Series((0.0,), (0.0,), 300.0)
    found = simulate(hpa(memory(80), minimum=3), idle, given, used, requests_m={"memory": 100 * 2**20 * 1000})
    assert sorted(set(sizes(found))) == [3, 5, 8, 10]


def test_memory_that_pods_share_falls_when_there_are_more_of_them() -> None:
    given = Conditions(capacity=1, startup_s=5, readiness_delay_s=5, sync_period_s=5, metric_lag_s=10, sync_work_s=0)
    total = Series((0.0, 100.0, 300.0), (100 * 2**20, 700 * 2**20, 100 * 2**20), 900.0)
    used = {"memory": Shared(20 * 2**20 * 1000, total)}
    idle = Series((0.0,), (0.0,), 900.0)
    found = simulate(hpa(memory(80)), idle, given, used, requests_m={"memory": 100 * 2**20 * 1000})
    assert [s.value for s in found.syncs if s.time_s == 100] == [70], "20 of their own and half of 100"
    assert found.totals.most_replicas == 10
    assert [s.value for s in found.syncs if s.time_s == 290] == [90], "20 and a tenth of 700"
    shrunk = next(s.time_s for s in found.syncs if s.replicas < s.current)
    assert [s.value for s in found.syncs if s.time_s == shrunk + 5] == [30], "the sample is of ten pods still"


def test_a_service_that_sheds_needs_fewer_pods_than_one_that_queues() -> None:
    demand = Series((0.0, 600.0, 900.0), (100.0, 900.0, 100.0), HOUR)
    queued = simulate(hpa(cpu(60), maximum=30), demand, Conditions(capacity=100))
    shed = simulate(hpa(cpu(60), maximum=30), demand, Conditions(capacity=100, overload="shed"))
    assert shed.totals.most_replicas < queued.totals.most_replicas
    assert shed.totals.peak_queue == 0


def test_cpu_of_starting_pods_makes_an_autoscaler_overshoot() -> None:
    demand = shape("step", 100, 500)
    plain = simulate(hpa(cpu(60), maximum=30), demand, Conditions(capacity=100))
    hot = Conditions(capacity=100, startup_cpu_percent=200, startup_cpu_s=120)
    assert simulate(hpa(cpu(60), maximum=30), demand, hot).totals.most_replicas > plain.totals.most_replicas


def test_a_rollout_costs_surge_and_ends_with_the_size_that_is_wanted() -> None:
    given = Conditions(capacity=100, rollouts=(600.0,))
    found = simulate(hpa(cpu(80), minimum=8), Series((0.0,), (400.0,), HOUR), given)
    still = simulate(hpa(cpu(80), minimum=8), Series((0.0,), (400.0,), HOUR), Conditions(capacity=100))
    assert found.totals.pod_hours > still.totals.pod_hours
    assert found.totals.short_s == 0
    assert found.syncs[-1].ready == 8


def test_a_size_set_by_hand_is_taken_back_by_the_autoscaler() -> None:
    given = Conditions(capacity=100, resizes=((600.0, 9),))
    found = simulate(hpa(cpu(50)), Series((0.0,), (50.0,), HOUR), given)
    assert [sync.current for sync in found.syncs if 595 < sync.time_s < 605 or sync.time_s > 3570][-1] == 2
    assert found.totals.most_replicas == 9


def test_a_size_set_by_hand_is_seen_by_a_sync_in_the_same_second() -> None:
    given = Conditions(capacity=100, sync_work_s=0.5, resizes=((620.1, 9),))  # syncs at 15.5 s, 31 s, … 620 s, 635.5 s
    found = simulate(hpa(cpu(50)), Series((0.0,), (50.0,), HOUR), given)
    assert [s.current for s in found.syncs if s.time_s == 620.0] == [2]
    later = Conditions(capacity=100, sync_work_s=0.5, resizes=((635.1, 9),))
    found = simulate(hpa(cpu(50)), Series((0.0,), (50.0,), HOUR), later)
    assert [s.current for s in found.syncs if s.time_s == 635.5] == [9]


def test_an_autoscaler_stays_off_while_its_workload_has_no_pods() -> None:
    given = Conditions(capacity=100, initial_replicas=0, resizes=((600.0, 1),))
    found = simulate(hpa(cpu(50), minimum=1), Series((0.0,), (150.0,), HOUR), given)
    assert {sync.reason for sync in found.syncs if sync.time_s < 600} == {"ScalingDisabled"}
    assert sizes(found)[-1] == 3


def test_a_minimum_of_zero_lets_an_external_metric_scale_to_and_from_nothing() -> None:
    target = {"metric": {"name": "jobs"}, "target": {"type": "AverageValue", "averageValue": "10"}}
    zero = hpa({"type": "External", "external": target}, minimum=0)
    jobs = Series((0.0, 1200.0), (0.0, 35.0), HOUR)
    found = simulate(zero, Series((0.0,), (0.0,), HOUR), Conditions(capacity=1, initial_replicas=2), {"jobs": jobs})
    assert [s.replicas for s in found.syncs if s.time_s < 1100][-1] == 0
    assert sizes(found)[-1] == 4
    assert found.syncs[-1].conditions["ScaledToZero"] == (False, "NotScaledToZero")


def test_a_metric_fails_only_for_its_time() -> None:
    given = Conditions(capacity=100, failures=(("cpu", Stretch(0, 1200)),))
    found = simulate(hpa(cpu(50)), Series((0.0,), (400.0,), HOUR), given)
    assert {sync.reason for sync in found.syncs if sync.time_s < 1200} == {"MetricError"}
    assert found.syncs[10].conditions["ScalingActive"] == (False, "FailedGetResourceMetric")
    assert sizes(found)[-1] == 8


def test_a_container_without_a_request_makes_the_metric_fail(easymo: Command, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(HPA + DEPLOYMENT.replace("cpu: 500m, ", ""))
    result = easymo("hpa", "simulate", tmp_path, "--shape", "spike", "--capacity", 100, "--json")
    found = json.loads(result.stdout)["simulations"][0]
    assert {sync["reason"] for sync in found["syncs"]} == {"MetricError"}
    assert "requests none of it" in found["notes"][0]


def second(name: str = "web-2", target: str = "web") -> str:
    return "---\n" + HPA.replace("name: web-hpa", f"name: {name}").replace("name: web}", f"name: {target}}}")


def test_two_autoscalers_of_one_workload_block_each_other(easymo: Command, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(HPA + second() + DEPLOYMENT)
    run = ("hpa", "simulate", tmp_path, "--shape", "spike", "--capacity", 100)
    first, other = json.loads(easymo(*run, "--json").stdout)["simulations"]
    assert [sync["reason"] for sync in first["syncs"][1:]] == ["AmbiguousSelector"] * 239
    assert {sync["reason"] for sync in other["syncs"]} == {"AmbiguousSelector"}
    assert "another autoscaler scales the same pods" in easymo(*run).stderr
    refused(easymo("hpa", "tune", tmp_path, "--shape", "spike", "--capacity", 100), "AmbiguousSelector", "Remove one")


def rivals(folder: Path, text: str) -> list[int | None]:
    (folder / "all.yaml").write_text(text)
    return [scaled.ambiguous_from for scaled in read_autoscalers([folder])]


def test_rivals_are_found_by_target_by_selector_and_beside_keda(tmp_path: Path) -> None:
    assert rivals(tmp_path, HPA + DEPLOYMENT) == [None]
    assert rivals(tmp_path, HPA + second(target="other") + DEPLOYMENT) == [None, None]
    labels = "labels: {app: web, track: canary}"
    canary = DEPLOYMENT.replace("name: web}", "name: canary}", 1).replace("labels: {app: web}", labels)
    assert rivals(tmp_path, HPA + second(target="canary") + DEPLOYMENT + canary) == [1, 0]
    apart = canary.replace("app: web", "app: canary")
    assert rivals(tmp_path, HPA + second(target="canary") + DEPLOYMENT + apart) == [None, None]
    keda = "---\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: web}\nspec:\n"
    keda += "  scaleTargetRef: {name: web}\n  triggers: [{type: cpu, metadata: {value: '60'}}]\n"
    assert rivals(tmp_path, HPA + DEPLOYMENT + keda) == [1, 0]
    other = second().replace("metadata:\n", "metadata:\n  namespace: other\n").replace("web-2", "web-hpa")
    here = HPA.replace("metadata:\n", "metadata:\n  namespace: here\n")
    assert rivals(tmp_path, here + other) == [None, None]


def test_an_argo_rollout_is_a_workload_also_where_its_template_is_a_deployments(tmp_path: Path) -> None:
    hpa_of_rollout = HPA.replace("kind: Deployment", "kind: Rollout").replace("apps/v1", "argoproj.io/v1alpha1")
    rollout = DEPLOYMENT.replace("kind: Deployment", "kind: Rollout").replace("apps/v1", "argoproj.io/v1alpha1")
    (tmp_path / "all.yaml").write_text(hpa_of_rollout + rollout)
    assert read_autoscalers([tmp_path])[0].requests_m == {
        "cpu": 500, "cpu/app": 500, "memory": 100 * 2**20 * 1000, "memory/app": 100 * 2**20 * 1000
    }  # fmt: skip
    reference = (
        "---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: web}\n"
        "spec: {workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}}\n"
    )
    (tmp_path / "all.yaml").write_text(hpa_of_rollout + reference + DEPLOYMENT)
    assert (read_autoscalers([tmp_path])[0].requests_m or {})["cpu"] == 500


def test_rows_about_single_pods_are_read_by_number_by_name_and_by_age(tmp_path: Path) -> None:
    file = tmp_path / "pods.csv"
    file.write_text("pod,time,ready,cpu\n0,60,false,\n0,120,,none\n")
    assert read_pod_rows(file).by_number == {0: [PodRow(60, False), PodRow(120, None, NO_SAMPLE)]}
    file.write_text("pod,time,ready,memory\nweb-b,90,true,100Mi\nweb-a,30,true,\n")
    assert read_pod_rows(file).by_number == {0: [PodRow(30, True)], 1: [PodRow(90, True, None, 100 * 2**20 * 1000)]}
    file.write_text("pod,age,ready\n*,85,false\n*,125,true\n")
    assert read_pod_rows(file).by_age == [PodRow(85, False), PodRow(125, True)]


def test_usage_of_single_pods_is_what_metrics_show() -> None:
    mib = 2**20 * 1000
    rows = PodRows(
        {0: [PodRow(0, memory_m=90 * mib)], 1: [PodRow(0, memory_m=70 * mib), PodRow(600, memory_m=10 * mib)]}
    )
    given = Conditions(capacity=100, pods=rows)
    idle = Series((0.0,), (0.0,), 1200.0)
    found = simulate(hpa(memory(80), maximum=2), idle, given, requests_m={"memory": 100 * mib})
    assert [sync.value for sync in (found.syncs[10], found.syncs[-1])] == [80, 50]
    unready = Conditions(capacity=100, pods=PodRows({0: [PodRow(60, ready=False)]}))
    assert simulate(hpa(cpu(50), memory(80)), idle, unready).notes[0].startswith("memory is left out")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name,time\na,1\n", ":1: the header must have pod"),
        ("pod,time,age\n", ":1: the header must have pod"),
        ("pod,time,ready\n0,60,perhaps\n", ":2: the row cannot be used: 'perhaps'"),
        ("pod,time,cpu\n0,soon,1\n", ":2: the row cannot be used"),
        ("pod,age,ready\n0,60,true\n", ":1: rows of the pod . have an age"),
    ],
)
def test_rows_about_pods_that_cannot_be_used_are_refused(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "pods.csv").write_text(text)
    with pytest.raises(HpaError, match=word):
        read_pod_rows(tmp_path / "pods.csv")


def test_every_flag_of_the_controller_and_of_the_model_is_an_option(
    easymo: Command, manifest: Path, tmp_path: Path
) -> None:
    pods = tmp_path / "pods.csv"
    pods.write_text("pod,age,ready\n*,85,false\n*,125,\n")
    options = {
        "--cpu-initialization-period": ("cpu_initialization_s", 120),
        "--initial-readiness-delay": ("initial_readiness_delay_s", 10),
        "--tolerance": ("tolerance", 0.2),
        "--sync-period": ("sync_period_s", 5),
        "--downscale-window": ("downscale_window_s", 40),
        "--scrape-interval": ("scrape_interval_s", 30),
        "--custom-lag": ("custom_lag_s", 0),
        "--constant-cpu": ("constant_cpu_m", 100),
        "--overload": ("overload", "shed"),
    }
    words = [word for name, (_, value) in options.items() for word in (name, value)]
    run = ("hpa", "simulate", manifest, "--shape", "spike", "--capacity", 100, *words, "--pods", pods, "--json")
    given = json.loads(easymo(*run).stdout)["simulations"][0]["conditions"]
    assert {field: given[field] for field, _ in options.values()} == dict(options.values())
    assert given["pods"]["by_age"][0]["ready"] is False
    refused(easymo(*run, "--overload", "drop"), "--overload drop")
    refused(easymo(*run, "--fail", "memory@1m-2m"), "no metric 'memory'")
