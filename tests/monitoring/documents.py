"""The dashboard and the rules, read."""

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "monitoring" / "grafana" / "performance.json"
RULES = ROOT / "monitoring" / "prometheus" / "rules.yaml"

_VARIABLES = {"$__rate_interval": "30s", "$before": "1s", "$namespace": ".*", "$service": ".*"}


def read_dashboard() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The dashboard, and its panels without the rows between them."""
    dashboard = msgspec.json.decode(DASHBOARD.read_bytes())
    return dashboard, [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def dashboard_queries() -> dict[str, str]:
    """Every query by the title of its panel and its letter, filled in as Grafana would; and that of the releases."""
    dashboard, panels = read_dashboard()
    queries = {
        f"{panel['title']} [{target['refId']}]": _filled(target["expr"])
        for panel in panels
        for target in panel["targets"]
    }
    (releases,) = (item for item in dashboard["annotations"]["list"] if item["name"] == "Releases")
    return {**queries, "Releases": _filled(releases["expr"])}


def read_rules() -> list[dict[str, Any]]:
    """Every recording and alerting rule."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def without_thresholds(expression: str) -> str:
    """Every comparison with a number becomes one that always holds; guards against a division by zero stay."""
    number = r"(?!0\))[0-9.]+(?: \* [0-9.]+)?"
    return re.sub(rf">=? {number}", "> -Inf", re.sub(rf"<=? {number}", "< +Inf", expression))


def _filled(expression: str) -> str:
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, f"a variable that nobody fills: {expression}"
    return expression
