"""The tutorial runs as it is written; the steps of the workflow run one after the other."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
GATE = ROOT / "docs" / "howto" / "gate.yml"
TIMEOUT_S = 900
_BLOCK = re.compile(r"<!-- (run|file: \S+|append: \S+) -->\n```\w+\n(.*?)```", re.DOTALL)


def shell(folder: Path, command: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=folder,
        env=kept | more,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_runs_as_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "blog"
    shutil.copytree(ROOT / "examples" / "django", folder, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    for name in ("acceptance.toml", "load.py"):
        (folder / name).unlink()
    steps = _BLOCK.findall(TUTORIAL)
    assert [kind for kind, _ in steps].count("run") == 3
    for kind, text in steps:
        if kind == "run":
            done = shell(folder, text)
            assert done.returncode == 0, text + done.stdout + done.stderr
        else:
            with (folder / kind.split(": ")[1]).open("w" if kind.startswith("file") else "a") as file:
                file.write(text)
    assert " kept, 0 broken, " in done.stdout
    claims = {promise["claim"] for promise in json.loads((folder / "runs/first/verdict.json").read_text())["promises"]}
    assert "at most a fifth of the statements" in claims
    assert (folder / "runs" / "first" / "report.html").is_file()


def test_the_page_shows_the_workflow_file_whole() -> None:
    assert GATE.read_text(encoding="utf-8") in GATE.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_steps_of_the_workflow_run_one_after_the_other(repository: Path, tmp_path: Path) -> None:
    """All but the actions of others and the comment, which needs a pull request."""
    (job,) = yaml.safe_load(GATE.read_text(encoding="utf-8"))["jobs"].values()
    assert job["timeout-minutes"] <= 30
    commands = [step["run"] for step in job["steps"] if "run" in step and not step["run"].startswith(("pip", "gh "))]
    assert len(commands) == 3
    summary = tmp_path / "shown.md"
    codes = []
    for command in commands:
        # The short form: the point is that each step runs and hands on what the next one needs.
        short = command.replace("--gate", "--gate --quick") if "--gate" in command else command
        done = shell(repository, short, BASE="main", GITHUB_STEP_SUMMARY=str(summary))
        codes.append(done.returncode)
        assert done.returncode in (0, 1, 4), command + done.stdout + done.stderr
    assert codes[0] == codes[2] == 0
    assert "no longer than before" in summary.read_text()
