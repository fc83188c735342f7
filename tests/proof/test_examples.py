"""Every example is proved in its short form, and its README shows what it prints."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
TIMEOUT_S = 600
#: The short form, shorter still: it shows that everything works together, not how fast it is.
SHORTER = {"[load]\n": "[load]\npairs = 2\nround_s = 0.6\n", "limit_rps = 40": "limit_rps = 10\nstep_s = 0.6"}


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the example; what npm installs is installed into it."""
    name = str(request.param)
    ignored = shutil.ignore_patterns("node_modules", "runs", "__pycache__")
    folder = Path(shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=ignored))
    file = folder / "acceptance.toml"
    for old, new in SHORTER.items():
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))
    if name == "express":
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed, so the Express example cannot be")
        npm = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run(npm, cwd=folder, check=True, capture_output=True, timeout=TIMEOUT_S)
    return folder


def prove(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "easymo.cli", "prove", *arguments],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("example", ["django", "express", "fastapi", "supabase"], indirect=True)
def test_an_example_is_proved_in_its_short_form(example: Path) -> None:
    done = prove(example, "--quick", "--json", "--out", "run")
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["valid"], "what was changed is taken back"
    assert verdict["rollback"]["schema_restored"]
    before, after = verdict["arms"]["none"], verdict["arms"]["both"]
    assert before["capacity_rps"] > 0
    assert verdict["promises"][0]["metric"].startswith("latency_p50:")
    seen = {status for arm in (before, after) for status in arm["statuses"]}
    assert "2xx" in seen
    assert not seen & {"4xx", "5xx", "429"}, "no request is refused, whatever the machine does"


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_the_readme_of_an_example_names_its_commands_and_shows_a_real_table(name: str) -> None:
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    assert "easymo prove --check" in readme
    for promise in re.findall(r'^claim = "(.+)"$', (EXAMPLES / name / "acceptance.toml").read_text(), re.MULTILINE):
        assert " ".join(promise.split()[:2]) in readme, "its output names each promise"
