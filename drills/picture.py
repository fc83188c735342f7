"""The picture of the README: the first screen of the accepted run's report, drawn by a headless browser.

python -m drills.picture
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from easymo.proof.accepted.evidence import accepted_verdict
from easymo.proof.report import render_report
from easymo.proof.verdict.measurement import read_rounds

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "report.png"
SIZE = "1280,900"


def main() -> int:
    """Draw it. Returns 2 without a browser."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.stderr.write("There is no chromium on PATH, so no picture can be drawn: install it.\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="easymo-picture-") as name:
        page = Path(name) / "report.html"
        rounds = read_rounds(ROOT / "evidence" / "prove" / "rounds.jsonl")
        page.write_text(render_report(accepted_verdict(ROOT), rounds), encoding="utf-8")
        PICTURE.parent.mkdir(exist_ok=True)
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command += [
            f"--user-data-dir={name}/profile",
            f"--window-size={SIZE}",
            f"--screenshot={PICTURE}",
            page.as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    return 0


if __name__ == "__main__":
    sys.exit(main())
