"""The dashboard as a document; what its queries return is in test_live.py."""

import re

import pytest

from tests.monitoring.documents import read_dashboard, read_rules

dashboard, panels = read_dashboard()


def test_every_panel_asks_a_question_in_a_unit_and_says_what_it_shows() -> None:
    for panel in panels:
        assert "?" in panel["title"]
        assert len(panel["description"]) > 40, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    identities = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(identities)) == len(identities)


def test_no_two_panels_overlap_and_none_is_wider_than_the_page() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_a_red_line_is_where_its_alert_is() -> None:
    alerts = {rule["alert"]: rule["expr"] for rule in read_rules() if "alert" in rule}
    checked = 0
    for panel in panels:
        for alert in re.findall(r"[Rr]ed line: alert (\w+)", panel["description"]):
            checked += 1
            (line,) = [
                step["value"]
                for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
                if step["value"] is not None
            ]
            assert re.search(rf"[<>]=? {line:g}\b", alerts[alert]), (panel["title"], alert)
    assert checked >= 8


@pytest.mark.parametrize("metric", ["histogram_quantile", "sum by"])
def test_percentiles_are_of_summed_buckets_never_averaged(metric: str) -> None:
    for panel in panels:
        for target in panel["targets"]:
            if "histogram_quantile" in target["expr"]:
                assert metric in target["expr"]
                assert "avg" not in target["expr"]
