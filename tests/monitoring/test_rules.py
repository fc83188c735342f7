"""Alert rules, read and tested by promtool; what running services make of them is in test_live.py."""

import re
import subprocess

import pytest
import yaml

from tests.monitoring.documents import ROOT, RULES, dashboard_queries, read_rules, without_thresholds
from tests.monitoring.prometheus import installed

TESTS = sorted((RULES.parent / "tests").glob("*.yaml"))

rules = read_rules()
alerts = {rule["alert"]: rule for rule in rules if "alert" in rule}


def promtool(*arguments: str) -> str:
    done = subprocess.run([installed("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_reads_the_rules() -> None:
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", str(RULES))


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", *map(str, TESTS))


@pytest.mark.parametrize("alert", alerts)
def test_an_alert_has_a_case_that_fires_and_one_that_does_not(alert: str) -> None:
    cases = [case for file in TESTS for case in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]]
    of_alert = [case["promql_expr_test"] for case in cases if case["name"].startswith(f"{alert}: ")]
    assert all(f'alertname="{alert}"' in test["expr"] for tests in of_alert for test in tests)
    assert {bool(test["exp_samples"]) for tests in of_alert for test in tests} == {True, False}


@pytest.mark.parametrize("alert", alerts)
def test_an_alert_says_how_urgent_it_is_what_it_means_and_where_to_read_on(alert: str) -> None:
    rule = alerts[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    slug = re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower()
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{slug}.md"


def test_thresholds_are_found_in_every_alert() -> None:
    for alert, rule in alerts.items():
        assert without_thresholds(rule["expr"]) != rule["expr"], alert


def test_scraped_pods_carry_the_labels_that_the_adapter_and_the_rules_ask_for() -> None:
    """Debian's promtool is built without discovery in Kubernetes, so the entry is compared with what it must serve."""
    (job,) = yaml.safe_load((RULES.parent / "scrape.yaml").read_text(encoding="utf-8"))["scrape_configs"]
    labels = {rule["target_label"] for rule in job["relabel_configs"] if "target_label" in rule}
    assert f'up{{job="{job["job_name"]}"}}' in alerts["ServiceDown"]["expr"]
    assert labels == {"__address__", "namespace", "pod"}
    manifests = [file.read_text(encoding="utf-8") for file in (ROOT / "k8s" / "base").glob("*.yaml")]
    pods = [text for text in manifests if "prometheus.io/scrape" in text]
    assert len(pods) >= 5
    for text in pods:
        (port,) = re.findall(r'prometheus.io/port: "(\d+)"', text)
        assert f"containerPort: {port}" in text
        assert "app.kubernetes.io/part-of: easymo" in text


def test_the_adapters_series_are_among_those_of_the_dashboard() -> None:
    adapter = yaml.safe_load((RULES.parent / "adapter.yaml").read_text(encoding="utf-8"))
    config = yaml.safe_load(adapter["data"]["config.yaml"])
    asked = " ".join(dashboard_queries().values())
    for rule in (*config["rules"], *config["externalRules"]):
        for series in re.findall(r"[a-z_]+(?=\{)", rule["seriesQuery"] + rule["metricsQuery"]):
            assert series in asked
    traffic = 'route!~"/health.*|/metrics"'
    assert traffic in config["rules"][0]["metricsQuery"]
    assert traffic in asked
