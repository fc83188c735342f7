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
from easymo.proof.verdict_file import VerdictFile

FRAME = """<!doctype html><meta charset="utf-8"><body>
<iframe id="page" width="{width}" height="800" srcdoc="{page}"></iframe>
<script>
document.getElementById("page").onload = (event) => {{
  const root = event.target.contentDocument.documentElement;
  const wide = [...event.target.contentDocument.querySelectorAll("body *")]
    .filter((node) => node.getBoundingClientRect().right > root.clientWidth + 1).map((node) => node.tagName);
  document.body.dataset.result = JSON.stringify(
    {{width: root.clientWidth, scroll: root.scrollWidth, wide, rows: root.querySelectorAll("tbody tr").length}});
}};
</script></body>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed; .ci/run installs it")
        pytest.skip("chromium is not installed, so the report is not looked at")
    return found


@pytest.mark.parametrize("width", [375, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_fits_the_screen_without_a_console_error(
    chromium: str, tmp_path: Path, a_verdict: VerdictFile, width: int, scheme: str
) -> None:
    page = tmp_path / "page.html"
    page.write_text(FRAME.format(width=width, page=html.escape(render_report(a_verdict))), encoding="utf-8")
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
    assert seen["rows"] > len(a_verdict.promises)
    assert "CONSOLE" not in done.stderr


def test_the_report_needs_no_network_and_no_script(a_verdict: VerdictFile) -> None:
    page = render_report(a_verdict)
    assert not re.search(r"<script|<link|src=|@import|url\(|https?://", page)
    assert len(page.encode()) < 300_000


def test_what_a_promise_says_is_escaped(a_verdict: VerdictFile) -> None:
    evil = msgspec.structs.replace(a_verdict.promises[0], claim="<img src=x onerror=alert(1)>")
    page = render_report(msgspec.structs.replace(a_verdict, promises=[evil]))
    assert "<img" not in page
    assert "&lt;img" in page
