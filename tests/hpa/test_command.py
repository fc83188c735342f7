"""`easymo hpa simulate` as a user types it: its answers, its files, and its sentences about bad input."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.hpa.conftest import HPA

Command = Callable[..., Result]
SPIKE = ("--shape", "spike", "--base", 60, "--peak", 600, "--capacity", 100)


def refused(result: Result, *words: str) -> str:
    assert result.exit_code == 2, result.output[-500:]
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.output
    return result.stderr


def test_a_spike_is_told_with_a_chart_its_changes_and_its_totals(easymo: Command, manifest: Path) -> None:
    result = easymo("hpa", "simulate", manifest, *SPIKE)
    assert result.exit_code == 0, result.output
    assert "00:10:31  2 → 3  cpu asks for 3" in result.stdout
    assert "▒ demand above it" in result.stdout
    assert "nothing was measured" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


def test_json_holds_every_sync_and_nothing_else_is_printed(easymo: Command, manifest: Path) -> None:
    result = easymo("hpa", "simulate", manifest, *SPIKE, "--price", 0.05, "--json")
    found = json.loads(result.stdout)["simulations"][0]
    assert found["name"] == "web-hpa"
    assert len(found["syncs"]) == found["totals"]["syncs"] == 240
    assert found["totals"]["cost"] == pytest.approx(0.05 * found["totals"]["pod_hours"])
    assert found["conditions"]["capacity"] == 100


def test_csv_and_html_are_written(easymo: Command, manifest: Path, tmp_path: Path) -> None:
    rows, page = tmp_path / "rows.csv", tmp_path / "page.html"
    assert easymo("hpa", "simulate", manifest, *SPIKE, "--csv", rows, "--html", page).exit_code == 0
    records = list(csv.DictReader(rows.read_text().splitlines()))
    assert len(records) == 240
    assert records[42]["replicas"] == "3"
    assert page.read_text().startswith("<!doctype html>")
    refused(easymo("hpa", "simulate", manifest, *SPIKE, "--csv", tmp_path / "no" / "rows.csv"), "cannot be written")


def test_another_manifest_is_compared_on_the_same_demand(easymo: Command, manifest: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(HPA.replace("minReplicas: 2", "minReplicas: 6"))
    result = easymo("hpa", "simulate", manifest, *SPIKE, "--compare", other, "--json")
    answer = json.loads(result.stdout)
    before, after = (answer[name][0]["totals"] for name in ("simulations", "compared"))
    assert after["short_s"] < before["short_s"]
    assert after["pod_hours"] > before["pod_hours"]


def write_trace(file: Path, values: dict[int, float], every_s: int = 15, until_s: int = 1800) -> Path:
    rows, held = [], 0.0
    for time_s in range(0, until_s, every_s):
        held = values.get(time_s, held)
        rows.append(f"{1764000000 + time_s},{held}")
    file.write_text("time,value\n" + "\n".join(rows) + "\n")
    return file


def test_a_backtest_says_where_the_simulation_and_reality_differ(
    easymo: Command, manifest: Path, tmp_path: Path
) -> None:
    trace = write_trace(tmp_path / "trace.csv", {0: 60, 600: 400})
    simulated = json.loads(easymo("hpa", "simulate", manifest, "--trace", trace, "--capacity", 100, "--json").stdout)
    really = {int(s["time_s"]) - 1764000000: s["current"] for s in simulated["simulations"][0]["syncs"]}
    replicas = write_trace(tmp_path / "replicas.csv", really, every_s=1)
    run = ("hpa", "simulate", manifest, "--trace", trace, "--capacity", 100, "--actual", replicas)
    assert "100.0% of 120 syncs have the size that really was" in easymo(*run).stdout
    write_trace(replicas, {t: n + (3 if 900 <= t < 1200 else 0) for t, n in really.items()}, every_s=1)
    assert "00:15:01 to 00:20:01" in easymo(*run).stdout
    refused(easymo("hpa", "simulate", manifest, *SPIKE, "--actual", replicas), "has no past", "--trace")


def test_a_capacity_is_taken_from_a_verdict(easymo: Command, manifest: Path, tmp_path: Path) -> None:
    verdict = tmp_path / "verdict.json"
    verdict.write_text(
        json.dumps({"schema": 1, "arms": {"none": {"capacity_rps": 156}, "both": {"capacity_rps": None}}})
    )
    run = ("hpa", "simulate", manifest, "--shape", "spike", "--json", "--verdict", verdict)
    assert json.loads(easymo(*run, "--arm", "none").stdout)["simulations"][0]["conditions"]["capacity"] == 156
    refused(easymo(*run), "no capacity of arm 'both'")
    refused(easymo(*run, "--arm", "indexes"), "the arms none, both")
    verdict.write_text("{}")
    refused(easymo(*run), "no verdict of easymo prove")
    refused(easymo("hpa", "simulate", manifest, "--shape", "spike", "--verdict", tmp_path / "no.json"), "easymo prove")


def test_series_are_found_by_the_name_of_the_autoscaler_or_its_target(
    easymo: Command, manifest: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("time,value,series\n0,10,web\n0,99,other\n600,20,web\n600,99,other\n")
    run = ("hpa", "simulate", manifest, "--trace", trace, "--capacity", 100, "--json")
    assert json.loads(easymo(*run).stdout)["simulations"][0]["totals"]["requests"] == 18_000
    trace.write_text(trace.read_text().replace("web", "shop"))
    refused(easymo(*run), "the series shop, other", "web-hpa or web")


def test_a_metric_gets_its_values_from_a_series_of_the_trace(easymo: Command, tmp_path: Path) -> None:
    external = HPA.replace(HPA[HPA.index("    - type") :], "")
    external += "    - type: External\n      external:\n        metric: {name: lag}\n"
    external += "        target: {type: AverageValue, averageValue: 5}\n"
    (tmp_path / "hpa.yaml").write_text(external)
    trace = tmp_path / "trace.csv"
    trace.write_text("time,value,series\n0,1,web\n0,40,depth\n600,1,web\n600,40,depth\n")
    run = ("hpa", "simulate", tmp_path / "hpa.yaml", "--trace", trace, "--capacity", 100, "--json")
    assert json.loads(easymo(*run, "--metric", "lag=depth").stdout)["simulations"][0]["totals"]["most_replicas"] == 8
    refused(easymo(*run), "--metric lag=SERIES")
    refused(easymo(*run, "--metric", "lag=length"), "web, depth")
    refused(easymo(*run, "--metric", "queue"), "Their metrics: lag")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["hpa.yaml", "it is empty"]),
        ("# nothing\n", ["hpa.yaml", "it is empty"]),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n", ["no HorizontalPodAutoscaler", "only Service"]),
        (HPA.replace("autoscaling/v2", "autoscaling/v1"), ["hpa.yaml:5:", "'metrics' was unexpected"]),
        ("---\n" + HPA.replace("autoscaling/v2", "autoscaling/v2beta2"), ["hpa.yaml:2:", "removed it in 1.26"]),
        (HPA.replace("maxReplicas: 10", "maxReplicas: 1"), ["hpa.yaml:8:", "spec.maxReplicas"]),
        (HPA.replace("maxReplicas: 10", "maxReplicas: ten"), ["hpa.yaml:8:", "not of type 'integer'"]),
        (HPA.replace("maxReplicas: 10", "minReplicas: 3"), ["hpa.yaml:5:", "'maxReplicas' is a required"]),
        (HPA + "   bad\n: indentation", ["hpa.yaml:", "not valid YAML"]),
        ("just a text\n", ["hpa.yaml:1:", "no Kubernetes object"]),
    ],
)
def test_a_bad_manifest_is_refused_with_its_line(easymo: Command, tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "hpa.yaml"
    file.write_text(text)
    refused(easymo("hpa", "simulate", file, *SPIKE), *words)


def test_what_is_missing_or_contradictory_is_said(easymo: Command, manifest: Path, tmp_path: Path) -> None:
    simulate = ("hpa", "simulate", manifest)
    refused(easymo("hpa", "simulate", tmp_path / "no.yaml", *SPIKE), "no such file")
    refused(easymo(*simulate, "--capacity", 100), "--trace FILE or --shape spike|day|step|sawtooth")
    refused(easymo(*simulate, "--shape", "spike"), "--capacity", "--verdict")
    refused(easymo(*simulate, "--shape", "spike", "--capacity", 0), "capacity is 0", "easymo prove")
    refused(easymo(*simulate, "--shape", "wave", "--capacity", 1), "no shape 'wave'")
    refused(easymo(*simulate, "--shape", "day", "--base", 9, "--peak", 5, "--capacity", 1), "--base")
    refused(easymo(*simulate, *SPIKE, "--hpa", "webb"), "'webb'", "web-hpa")
    trace = tmp_path / "trace.csv"
    trace.write_text("time,value\n0,1\n15,NaN\n")
    refused(easymo(*simulate, "--trace", trace, "--capacity", 1), "trace.csv:3:", "no amount")
