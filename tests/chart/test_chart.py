"""Charts: what they show, and that a page of them fits a phone, dark and light."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from easymo.chart import Line, page, svg_chart, terminal_chart
from easymo.chart.line import columns
from easymo.chart.page import table

TIMES = [60.0 * i for i in range(60)]
DEMAND = Line("demand", "demand", TIMES, [500.0 if 20 <= i < 30 else 50.0 for i in range(60)])
CAPACITY = Line("capacity", "capacity", TIMES, [400.0 if 25 <= i < 40 else 100.0 for i in range(60)])

FRAME = """<!doctype html><meta charset="utf-8"><body>
<iframe id="page" width="{width}" height="800" srcdoc="{page}"></iframe>
<script>
document.getElementById("page").onload = (event) => {{
  const inside = event.target.contentDocument, root = inside.documentElement;
  const wide = [...inside.querySelectorAll("body *")]
    .filter((node) => node.getBoundingClientRect().right > root.clientWidth + 1).map((node) => node.tagName);
  const text = [...inside.querySelectorAll(".chart text")].map((node) => node.getBoundingClientRect().height);
  document.body.dataset.result = JSON.stringify({{
    width: root.clientWidth, scroll: root.scrollWidth, wide, charts: inside.querySelectorAll("svg.chart").length,
    smallest: Math.min(...text), paper: getComputedStyle(inside.body).backgroundColor}});
}};
</script></body>"""


def a_page() -> str:
    figure = svg_chart([DEMAND, CAPACITY], 3600, title="Spike", description="demand above capacity", unit="requests/s")
    rows = [["a-name-without-any-place-to-break-it-in-two-whatsapp-webhook-hpa", "1,234,567"], ["b", "2"]]
    return page("Charts", [figure, table(["autoscaler", "requests over capacity"], rows)])


def test_no_short_peak_is_lost_when_there_are_more_values_than_columns() -> None:
    line = Line("x", "demand", [float(i) for i in range(1000)], [999.0 if i == 503 else 1.0 for i in range(1000)])
    found = columns(line, 0, 1000, 10)
    assert found[5] == (1.0, 999.0)
    assert found[:5] + found[6:] == [(1.0, 1.0)] * 9


def test_a_value_holds_over_columns_without_a_row() -> None:
    line = Line("x", "demand", [0.0, 50.0], [3.0, 7.0])
    assert columns(line, 0, 100, 4) == [(3, 3), (3, 3), (7, 7), (7, 7)]


def test_the_terminal_shows_demand_capacity_and_the_surplus_within_the_width() -> None:
    drawn = terminal_chart([DEMAND, CAPACITY], 3600, width=60, height=8)
    rows = drawn.splitlines()
    assert all(len(row) <= 60 for row in rows[:-1])
    assert "▒" in rows[0]
    assert rows[0].startswith("     500")
    assert rows[-2].endswith("60 min")
    quiet = terminal_chart([Line("demand", "demand", [0.0], [0.0]), CAPACITY], 3600, width=60)
    assert not set(quiet.splitlines()[0]) & set("█▒")


def test_the_svg_is_well_formed_and_says_what_it_shows() -> None:
    figure = svg_chart([DEMAND, CAPACITY], 3600, title="<Spike>", description='"over" capacity', unit="requests/s")
    root = ElementTree.fromstring(figure)
    chart = root.findall("svg")[-1]
    assert chart.attrib["role"] == "img"
    assert chart.attrib["aria-label"] == '"over" capacity'
    shown = {path.attrib["class"] for path in chart.findall("path")}
    assert {"area demand", "line demand", "line capacity", "short"} <= shown
    assert "600" in [text.text for text in chart.findall("text")]


def test_without_a_surplus_nothing_is_marked_as_short() -> None:
    calm = Line("demand", "demand", TIMES, [50.0] * 60)
    assert 'class="short"' not in svg_chart([calm, CAPACITY], 3600, title="t", description="d", unit="u")


def test_a_page_needs_no_network_and_no_script() -> None:
    assert not re.search(r"<script|<link|src=|@import|url\(|https?://", a_page())


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed; .ci/run installs it")
        pytest.skip("chromium is not installed, so the charts are not looked at")
    return found


@pytest.mark.parametrize("width", [375, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_of_charts_fits_the_screen(chromium: str, tmp_path: Path, width: int, scheme: str) -> None:
    frame = tmp_path / "page.html"
    frame.write_text(FRAME.format(width=width, page=html.escape(a_page())), encoding="utf-8")
    done = subprocess.run(
        [
            chromium,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"),
            f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
            *("--dump-dom", frame.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = re.search(r'data-result="([^"]+)"', done.stdout)
    assert found, done.stdout[-2000:]
    seen = json.loads(html.unescape(found[1]))
    assert seen["scroll"] <= seen["width"], seen
    assert seen["wide"] == []
    assert seen["charts"] == 1
    assert seen["smallest"] >= 10, "labels too small to read"
    assert seen["paper"] == ("rgb(13, 17, 23)" if scheme == "dark" else "rgb(255, 255, 255)")
    assert "CONSOLE" not in done.stderr
