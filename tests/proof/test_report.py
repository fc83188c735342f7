"""The report, looked at in a real browser."""

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from easymo.proof.report import render_report
from easymo.proof.verdict.file import HitRate, TriedRate, VerdictFile, read_verdict
from easymo.proof.verdict.index_check import CheckedIndex, IndexCheck, Served, Timing
from easymo.proof.verdict.measurement import Round
from easymo.proof.verdict.simulated import Autoscaling, simulate_arms
from tests.proof.conftest import MakeRound
from tests.proof.made import made_break_even, made_cold, made_write_cost

ROOT = Path(__file__).parents[2]

FRAME = """<!doctype html><meta charset="utf-8"><body>
<iframe id="page" width="{width}" height="800" srcdoc="{page}"></iframe>
<script>
const numbers = (text) => text.match(/[0-9.]+/g).map(Number);
const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
  .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
document.getElementById("page").onload = (event) => {{
  const inner = event.target.contentDocument, style = (node) => event.target.contentWindow.getComputedStyle(node);
  const paper = light(numbers(style(inner.body).backgroundColor));
  const contrast = (color) => {{ const [a, b] = [light(numbers(color)), paper].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05); }};
  const shown = [...inner.querySelectorAll("body *")];
  const said = (node) => [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const pale = shown.filter((node) => said(node) && !["TITLE", "DESC", "STYLE"].includes(node.tagName.toUpperCase()))
    .map((node) => [node.textContent, contrast(node.tagName === "text" ? style(node).fill : style(node).color)])
    .filter(([, ratio]) => ratio < 4.5);
  const drawn = shown.filter((node) => node.matches(".line, .cross"))
    .map((node) => contrast(style(node).stroke)).concat(shown.filter((node) => node.matches(".dot, .bar"))
    .map((node) => contrast(style(node).fill))).filter((ratio) => ratio < 3);
  const root = inner.documentElement;
  const wide = shown.filter((node) => node.getBoundingClientRect().right > root.clientWidth + 1)
    .map((node) => node.tagName);
  const mute = [...inner.querySelectorAll("svg")].filter((svg) => svg.getAttribute("aria-hidden") !== "true" &&
    !(svg.getAttribute("role") === "img" && svg.querySelector("title")?.textContent &&
      svg.querySelector("desc")?.textContent.length > 20)).length;
  document.body.dataset.result = JSON.stringify({{width: root.clientWidth, scroll: root.scrollWidth, wide, pale, mute,
    faint: drawn.length, texts: shown.filter(said).length, charts: inner.querySelectorAll("svg.chart").length,
    rows: root.querySelectorAll("tbody tr").length}});
}};
</script></body>"""


@pytest.fixture
def a_full_report(a_verdict: VerdictFile, make_round: MakeRound) -> str:
    """A report with every section of this package: four arms, their rounds, and what stands beside them."""
    return render_report(made_full_verdict(a_verdict), made_rounds(make_round))


def made_full_verdict(verdict: VerdictFile) -> VerdictFile:
    """The verdict with everything that has a chart."""
    steps = [TriedRate(50, True, "", 12.5, 0.0), TriedRate(100, False, "P95 900 ms", 900.0, 0.0)]
    arm = msgspec.structs.replace(verdict.arms["none"], capacity_steps=steps)
    changes = {metric: [-0.3, -0.4, -0.1] for metric in ("latency_p50", "latency_p95", "cpu_ratio", "db_statements")}
    asked = Autoscaling(["k8s/autoscaling/hpa.yaml"], "whatsapp-webhook-hpa", 156, 300)
    return msgspec.structs.replace(
        verdict,
        arms=dict.fromkeys(("none", "indexes", "cache", "both"), arm),
        attribution=dict.fromkeys(("indexes", "cache", "both"), changes),
        simulated=simulate_arms(asked, ROOT, {"none": 60.0, "both": 200.0}),
        index_check=IndexCheck(
            [CheckedIndex("orders_by_customer", [Served("Q1", Timing(0.2), Timing(60.0))], 0.7, ["u"])]
        ),
        cache_reads={"profiles": HitRate(100, 0.7, {"near_hit": 70, "miss": 30})},
        break_even=made_break_even(),
        write_cost=made_write_cost(),
        cold=made_cold(),
    )


def made_rounds(make_round: MakeRound) -> list[Round]:
    """Eight comparison rounds of each arm, one of them void, after a warm-up and before a stress round."""
    rounds = [make_round("none", "warm")]
    for pair in range(8):
        for n, arm in enumerate(("none", "indexes", "cache", "both")):
            void = "late" if pair == 3 and n == 0 else None
            rounds.append(make_round(arm, "compare", pair, latency_ms=40 / (n + 1) + pair, requests=200, void=void))
    return [*rounds, make_round("both", "stress", errors=300, rate_rps=300)]


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed; .ci/run installs it")
        pytest.skip("chromium is not installed, so the report is not looked at")
    return found


@pytest.mark.parametrize("width", [375, 720, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_fits_the_screen_without_a_console_error(
    chromium: str, tmp_path: Path, a_full_report: str, width: int, scheme: str
) -> None:
    page = tmp_path / "page.html"
    page.write_text(FRAME.format(width=width, page=html.escape(a_full_report)), encoding="utf-8")
    done = subprocess.run(
        [
            chromium,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"),
            f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
            *("--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = re.search(r'data-result="([^"]+)"', done.stdout)
    assert found, done.stdout[-2000:]
    seen = msgspec.json.decode(html.unescape(found[1]))
    assert seen["scroll"] <= seen["width"], seen
    assert seen["wide"] == []
    assert seen["rows"] > 20
    assert seen["charts"] == 13
    assert "CONSOLE" not in done.stderr
    assert seen["texts"] > 100
    assert seen["pale"] == [], "text with a contrast below 4.5"
    assert seen["faint"] == 0, "marks with a contrast below 3"
    assert seen["mute"] == 0, "pictures without a text that says what they show"


def test_the_report_needs_no_network_and_no_script(a_full_report: str) -> None:
    assert not re.search(r"<script|<link|src=|@import|url\(|https?://", a_full_report)
    assert len(a_full_report.encode()) < 300_000


def test_a_report_of_the_accepted_run_with_its_rounds_stays_small() -> None:
    folder = ROOT / "evidence/prove"
    rounds = [msgspec.json.decode(line, type=Round) for line in (folder / "rounds.jsonl").read_bytes().splitlines()]
    page = render_report(read_verdict(folder / "verdict.json"), rounds)
    assert "Percentile curves" in page
    assert "Timeline" in page
    assert len(page.encode()) < 300_000


def test_what_is_simulated_is_never_shown_as_measured(a_full_report: str) -> None:
    section = a_full_report.split("<h2>Autoscaling</h2>")[1].split("<h2>")[0]
    assert "simulated, not measured" in section
    assert all("simulated" in caption for caption in re.findall(r"<figcaption>(.*?)</figcaption>", section))
    assert all(label.startswith("Simulated") for label in re.findall(r'aria-label="(.*?)"', section))


def test_dark_colours_are_for_screens_and_never_printed(a_full_report: str) -> None:
    assert a_full_report.count("prefers-color-scheme: dark") == a_full_report.count(
        "@media screen and (prefers-color-scheme: dark)"
    )
    assert "@media print" in a_full_report


def test_a_run_without_rounds_or_extras_has_no_empty_sections(a_verdict: VerdictFile) -> None:
    titles = re.findall(r"<h2>(.*?)</h2>", render_report(a_verdict))
    assert titles[:2] == ["Verdicts", "Arms"]
    assert not {"Percentile curves", "Timeline", "Capacity", "Autoscaling", "Cache hit rates"} & set(titles)
    assert not {"Break-even", "What writing costs", "Cold cache"} & set(titles)


def test_break_even_is_told_in_words_and_cell_by_cell(a_full_report: str) -> None:
    assert "broken at data size 0.35, kept at 1 (with 36 % of the reads repeated)" in a_full_report
    assert "at data size 0.1 broken with 62 % of the reads repeated, kept with 88 %" in a_full_report
    assert a_full_report.count('data-name="data size 0.35"') == 3, "a cell for every promise"
    assert '62 %: −30 % <span class="inconclusive">inconclusive</span>' in a_full_report


def test_what_a_promise_says_is_escaped(a_verdict: VerdictFile) -> None:
    evil = msgspec.structs.replace(a_verdict.promises[0], claim="<img src=x onerror=alert(1)>")
    page = render_report(msgspec.structs.replace(a_verdict, promises=[evil]))
    assert "<img" not in page
    assert "&lt;img" in page
