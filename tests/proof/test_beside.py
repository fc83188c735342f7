"""What stands beside the verdicts: hit rates, simulated autoscaling, gain and price of indexes."""

from pathlib import Path

import pytest

from easymo.proof.errors import ProofError
from easymo.proof.system.acceptance import read_acceptance
from easymo.proof.system.cache_reads import CacheCounters, hit_rates, parse
from easymo.proof.verdict.index_check import read_index_check
from easymo.proof.verdict.simulated import Autoscaling, simulate_arms

ROOT = Path(__file__).parents[2]
COUNTERS = CacheCounters(counter="reads_total", group="kind", outcome="how", hits=["hit", "stale"])


def exposition(hits: int, misses: int) -> str:
    return (
        "# TYPE reads_total counter\n"
        f'reads_total{{kind="user",how="hit",service="a"}} {hits}.0\n'
        f'reads_total{{kind="user",how="miss",service="a"}} {misses}\n'
        'reads_total{kind="idle",how="hit"} 7\nother_total{kind="user",how="hit"} 1e6\n'
    )


def test_hit_rates_are_of_the_reads_between_two_readings() -> None:
    before, after = (parse(COUNTERS, text) for text in (exposition(10, 10), exposition(100, 20)))
    [(group, rate)] = hit_rates(COUNTERS, before, after).items()
    assert (group, rate.reads, rate.hit_ratio) == ("user", 100, 0.9)
    assert rate.outcomes == {"hit": 90, "miss": 10}


def test_counters_of_several_processes_are_added_up() -> None:
    read = parse(COUNTERS, exposition(10, 1) + exposition(5, 2))
    assert read["user", "hit"] == 15


def test_a_process_that_was_restarted_counts_from_nothing() -> None:
    rates = hit_rates(COUNTERS, parse(COUNTERS, exposition(1000, 1000)), parse(COUNTERS, exposition(30, 10)))
    assert rates["user"].reads == 40


def test_more_capacity_per_pod_needs_no_more_pods() -> None:
    asked = Autoscaling(["k8s/autoscaling/hpa.yaml", "k8s/base/voice-bridge.yaml"], "voice-bridge-hpa", 156, 300)
    found = simulate_arms(asked, ROOT, {"none": 100.0, "both": 900.0, "nothing": 0.0})
    assert set(found) == {"none", "both"}, "an arm that held nothing has no pod to count"
    assert found["both"].totals.pod_hours <= found["none"].totals.pod_hours
    assert found["both"].totals.short_s == 0
    assert found["none"].lines[0].look == "demand"


def test_an_autoscaler_that_is_not_in_the_manifest_is_named() -> None:
    asked = Autoscaling(["k8s/autoscaling/hpa.yaml"], "no-such-hpa", 10, 20)
    with pytest.raises(ProofError, match="no-such-hpa"):
        simulate_arms(asked, ROOT, {"none": 100.0})


def test_the_index_check_of_the_evidence_names_every_index_of_the_note() -> None:
    acceptance = read_acceptance(ROOT / "acceptance.toml")
    checked = read_index_check(ROOT / acceptance.report.index_check)
    assert len(checked.indexes) == 14
    assert any(one.serves and one.serves[0].with_index for one in checked.indexes)


def test_another_file_is_refused_as_an_index_check(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"rows": []}')
    with pytest.raises(ProofError, match="indexes verify --json"):
        read_index_check(tmp_path / "other.json")
