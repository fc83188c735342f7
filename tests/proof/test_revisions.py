"""Code of another revision: checked out, run beside this folder, and never left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from easymo.proof.errors import AcceptanceError, CannotCompare
from easymo.proof.session.folder import new_folder
from easymo.proof.system.checkouts import PREFIX, Checkouts, import_path
from tests.proof.conftest import commit, git

TIMEOUT_S = 240


@pytest.fixture(autouse=True)
def no_worktree_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert list(Path(tempfile.gettempdir()).glob(f"{PREFIX}{os.getpid()}-*")) == []


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


def test_a_revision_is_checked_out_and_removed(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    (repository / "server.py").write_text("changed\n")
    commit(repository)
    with Checkouts(repository) as checkouts:
        folder = checkouts.folder("HEAD~1", built=False)
        assert folder.name == "shop", "the same folder of the repository"
        assert "asyncpg" in (folder / "server.py").read_text()
        assert checkouts.folder("HEAD~1", built=False) == folder
        assert checkouts.folder("", built=False) == checkouts.folder(".", built=False) == repository
        assert checkouts.notes == [f"Revision 'HEAD~1' is commit {first[:12]}."]
    assert not folder.exists()
    assert git(repository, "worktree", "list").count("\n") == 0


def test_dependencies_that_git_ignores_are_linked_and_survive(repository: Path) -> None:
    (repository / ".venv").mkdir()
    (repository / ".venv" / "kept").touch()
    with Checkouts(repository) as checkouts:
        folder = checkouts.folder("main", built=False)
        assert (folder / ".venv" / "kept").exists()
        assert "shop/.venv of the working folder" in checkouts.notes[0]
    assert (repository / ".venv" / "kept").exists()
    with Checkouts(repository) as checkouts:
        assert not (checkouts.folder("main", built=True) / ".venv").exists(), "a build would write through the link"


def test_a_worktree_of_a_killed_run_is_removed_by_the_next(repository: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from easymo.proof.system.checkouts import Checkouts\n"
        "print(Checkouts(Path(sys.argv[1])).folder('main', built=False), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, str(repository)], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    left = Path(killed.stdout.strip())
    assert left.is_dir()
    with Checkouts(repository) as checkouts:
        checkouts.folder("main", built=False)
        assert not left.exists()
    assert git(repository, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("revision", ["no-such-branch", "--help", "main:shop"])
def test_a_revision_that_git_does_not_know_is_a_sentence(repository: Path, revision: str) -> None:
    with Checkouts(repository) as checkouts, pytest.raises(CannotCompare, match="git knows no revision"):
        checkouts.folder(revision, built=False)


def test_a_revision_before_the_folder_existed_is_a_sentence(repository: Path) -> None:
    empty = git(repository, "commit-tree", "-m", "empty", git(repository, "mktree"))
    with Checkouts(repository) as checkouts, pytest.raises(CannotCompare, match="has no folder shop/"):
        checkouts.folder(empty, built=False)


def test_a_folder_outside_of_git_is_a_sentence(tmp_path: Path) -> None:
    with Checkouts(tmp_path) as checkouts, pytest.raises(CannotCompare, match="it is in no git repository"):
        checkouts.folder("main", built=False)


def test_a_checkout_imports_its_own_modules_first(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    assert import_path(tmp_path, "/elsewhere") == os.pathsep.join([f"{tmp_path}/src", str(tmp_path), "/elsewhere"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_check_sends_each_request_to_both_revisions(repository: Path) -> None:
    server = repository / "server.py"
    server.write_text(server.read_text().replace("found = await pool", 'found = "longer" * 9 or await pool'))
    done = prove(repository, "--check", "--base", "main", "--json")
    assert done.returncode == 0, done.stderr
    checked = json.loads(done.stdout)
    answers = {(answer["arm"], answer["request"]): answer for answer in checked["answers"]}
    assert len(answers) == 6
    assert {status for answer in answers.values() for status in answer["statuses"]} == {200, 201}
    assert answers["none", "price"]["body_bytes"] < 10, "main's code"
    assert answers["both", "price"]["body_bytes"] == 54, "this folder's code"
    assert checked["rows"] == {"orders": 2000, "items": 100}
    assert checked["statements"]["none"] >= 3
    assert checked["notes"][0].startswith("Revision 'main' is commit ")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_slower_endpoint_is_named_by_the_gate(repository: Path) -> None:
    server = repository / "server.py"
    slower = "async def price(pool: asyncpg.Pool, item: int) -> str:\n    await asyncio.sleep(0.15)\n"
    server.write_text(server.read_text().replace(slower.splitlines(keepends=True)[0], slower))
    done = prove(repository, "--base", "main", "--gate", "--json", "--out", "run")
    assert done.returncode == 1, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    verdicts = {promise["id"]: promise["verdict"] for promise in verdict["promises"]}
    assert verdicts["latency_p50:price"] == "broken", "named"
    assert any(note.startswith("Revision 'main' is commit ") for note in verdict["notes"])
    assert verdict["git"].endswith("-dirty"), "this folder was measured as it stands"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--base", "no-such-branch"], "git knows no revision 'no-such-branch'"),
        ([], "it has no [treatments.NAME]"),
        (["--base", "main", "--before", "http://localhost"], "give no option of a comparison"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(repository: Path, arguments: list[str], said: str) -> None:
    done = prove(repository, "--out", "run", *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_build_that_fails_is_told_with_its_last_lines_and_the_same_command_works_again(repository: Path) -> None:
    file = repository / "acceptance.toml"
    good = file.read_text()
    file.write_text(good.replace("[system]", '[system]\nbuild = ["{python}", "-c", "print(\'no compiler\'); exit(3)"]'))
    failed = prove(repository, "--check", "--base", "main")
    assert failed.returncode == 3, failed.stderr
    assert "The build command" in failed.stderr
    assert "ended with exit code 3" in failed.stderr
    assert "| no compiler" in failed.stderr
    assert git(repository, "worktree", "list").count("\n") == 0


def test_the_folder_of_a_failed_run_does_not_stand_in_the_way_of_the_next(tmp_path: Path) -> None:
    failed = tmp_path / "run"
    (failed / "logs" / "none").mkdir(parents=True)
    (failed / "rounds.jsonl").touch()
    assert new_folder(failed, tmp_path) == failed
    assert list(failed.iterdir()) == []
    (failed / "notes.txt").touch()
    with pytest.raises(AcceptanceError, match="exists already"):
        new_folder(failed, tmp_path)
