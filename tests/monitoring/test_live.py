"""The dashboard's and the alerts' queries, asked of a Prometheus that scrapes services that run."""

from tests.monitoring.conftest import Monitored
from tests.monitoring.documents import dashboard_queries, read_rules, without_thresholds


def test_every_query_of_the_dashboard_returns_data(monitored: Monitored) -> None:
    monitored.wait_for(dashboard_queries())


def test_what_rules_ask_for_is_what_services_tell(monitored: Monitored) -> None:
    """With its thresholds out of the way, every rule has data: no name and no label in it is a mistake."""
    rules = read_rules()
    monitored.wait_for({rule.get("alert") or rule["record"]: without_thresholds(rule["expr"]) for rule in rules})
    assert [rule["lastError"] for rule in monitored.prometheus.rules() if rule["health"] == "err"] == []


def test_figures_are_those_of_the_services(monitored: Monitored) -> None:
    hits = 'easymo_cache_reads_total{outcome="near_hit",service="voice-bridge"}'
    monitored.wait_for(
        {
            "statements of the whole database": "max(rate(db_server_statements_total[30s])) > 0",
            "hits of the near cache": f"sum(rate({hits}[30s])) > 0",
            "messages that wait, without a worker": 'max(webhook_queue_depth{queue="inbound"}) > 0',
            "their age": "max(webhook_queue_age_seconds) > 0",
            "no error is a zero": 'service:http_errors:ratio_rate5m{service="agent-core"} == 0',
            "the release": 'service_info{service="agent-core",release="1.4.2"} == 1',
        }
        | {f"requests of {name}": f'service:http_requests:rate5m{{service="{name}"}} > 0' for name in monitored.urls}
    )
