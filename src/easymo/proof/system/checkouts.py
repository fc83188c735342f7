"""Other revisions of the system's code: a git worktree each, removed at the end, or by the next run after a SIGKILL."""

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil

from easymo.proof.errors import CannotCompare

PREFIX = "easymo-worktree-"
#: Ignored by git, and needed to run: linked from the working folder where no build command makes them.
DEPENDENCIES = {".venv", "venv", "node_modules", ".env"}
#: The revision that is the folder of acceptance.toml as it stands.
WORKING_FOLDER = "."


class Checkouts:
    """Folders by revision; a context manager. Raises :class:`CannotCompare` for what git does not have."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.notes: list[str] = []
        self._folders: dict[str, Path] = {}
        self._worktrees: list[Path] = []

    def __enter__(self) -> "Checkouts":
        return self

    def __exit__(self, *_: object) -> None:
        for worktree in self._worktrees:
            _remove(self.root, worktree)

    def folder(self, revision: str, *, built: bool) -> Path:
        """The system's folder at `revision`: a branch, tag or commit; this folder itself for "" and ".".

        `built`: a build command installs the dependencies, so none are linked.
        """
        if revision in ("", WORKING_FOLDER):
            return self.root
        if revision not in self._folders:
            self._folders[revision] = self._check_out(revision, built)
        return self._folders[revision]

    def _check_out(self, revision: str, built: bool) -> Path:
        top = Path(self._git("rev-parse", "--show-toplevel", why="it is in no git repository"))
        commit = self._git(
            *("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"),
            why=f"git knows no revision {revision!r}. In a shallow clone fetch it first (fetch-depth: 0)",
        )
        _remove_leftovers(self.root)
        worktree = Path(tempfile.gettempdir()) / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self._worktrees.append(worktree)
        added = "-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", "--detach"
        self._git(*added, str(worktree), commit, why=f"revision {revision!r} cannot be checked out")
        folder = worktree / self.root.relative_to(top)
        if not folder.is_dir():
            raise CannotCompare(f"Revision {revision!r} has no folder {self.root.relative_to(top)}/ to start from.")
        linked = [] if built else _link_dependencies(top, worktree)
        self.notes.append(
            f"Revision {revision!r} is commit {commit[:12]}."
            + (f" It runs with {', '.join(linked)} of the working folder." if linked else "")
        )
        return folder

    def _git(self, *arguments: str, why: str) -> str:
        try:
            done = subprocess.run(
                ["git", "-C", str(self.root), *arguments], capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise CannotCompare("git is not installed, so no other revision can be checked out.") from error
        if done.returncode != 0:
            said = f" ({done.stderr.strip().splitlines()[-1]})" if done.stderr.strip() else ""
            raise CannotCompare(f"Cannot check out code in {self.root.name}/: {why}{said}.")
        return done.stdout.strip()


def import_path(folder: Path, inherited: str) -> str:
    """PYTHONPATH for a system in `folder`: its own modules first, where an editable install would import others."""
    own = [str(path) for path in (folder / "src", folder) if path.is_dir()]
    return os.pathsep.join([*own, *filter(None, [inherited])])


def _link_dependencies(top: Path, worktree: Path) -> list[str]:
    ignored = ["git", "-C", str(top), "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"]
    names = subprocess.run(ignored, capture_output=True, text=True, check=True).stdout.split("\0")
    linked = []
    for name in (name.rstrip("/") for name in names):
        target = worktree / name
        if Path(name).name in DEPENDENCIES and target.parent.is_dir() and not target.exists():
            target.symlink_to(top / name)
            linked.append(name)
    return linked


def _remove_leftovers(root: Path) -> None:
    """Remove worktrees of runs that were killed."""
    listed = subprocess.run(
        ["git", "-C", str(root), "worktree", "list", "--porcelain"], capture_output=True, text=True, check=False
    )
    for line in listed.stdout.splitlines():
        path = Path(line.removeprefix("worktree "))
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        if path.name.startswith(PREFIX) and pid.isdigit() and not psutil.pid_exists(int(pid)):
            _remove(root, path)


def _remove(root: Path, worktree: Path) -> None:
    remove = ["git", "-C", str(root), "worktree", "remove", "--force", "--force", str(worktree)]
    subprocess.run(remove, capture_output=True, check=False)  # links to dependencies are removed, not followed
    shutil.rmtree(worktree, ignore_errors=True)
