"""Which files are migrations, in which order, and which findings are new."""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

import msgspec

from easymo.indexes.errors import IndexesError, SqlFileError
from easymo.indexes.lint.model import Finding
from easymo.indexes.runners import takes_back

_NUMBER = re.compile(r"(\d+)")


def migration_files(paths: Iterable[Path], exclude: Sequence[str] = ()) -> list[Path]:
    """The files named, and all `.sql` files of the folders named, in the order of their numbers.

    Of a folder files that undo a migration are left out. `exclude` are patterns such as `seeds` or `*/mysql/*`, of a
    path or a part of it. Raises SqlFileError for a folder that holds no file.
    """
    files: list[Path] = []
    for path in paths:
        found = [path]
        if path.is_dir():
            found = sorted((file for file in path.rglob("*.sql") if not takes_back(file)), key=_order)
            if not found:
                raise SqlFileError(path, 0, "the folder holds no .sql file; name the folder of the migrations.")
        files += [file for file in found if not any(_matches(file, pattern) for pattern in exclude)]
    return files


def changed_since(revision: str, files: Sequence[Path]) -> set[Path]:
    """Those of the files that differ from where this branch left `revision`, new ones included.

    Raises IndexesError where git cannot tell.
    """
    changed: set[Path] = set()
    for root in {_git(file.resolve().parent, "rev-parse", "--show-toplevel") for file in files}:
        names = _git(Path(root), "diff", "--name-only", "-z", "--merge-base", revision)
        names += "\0" + _git(Path(root), "ls-files", "-z", "--others", "--exclude-standard")
        changed |= {Path(root, name).resolve() for name in names.split("\0") if name}
    return {file for file in files if file.resolve() in changed}


def new_findings(findings: Iterable[Finding], baseline: Path) -> list[Finding]:
    """Those that are not in `baseline`, a list of findings as JSON; lines may have moved since.

    Raises IndexesError when it cannot be read.
    """
    try:
        accepted = Counter(map(_identity, msgspec.json.decode(baseline.read_bytes(), type=list[Finding])))
    except (OSError, msgspec.DecodeError) as error:
        raise IndexesError(
            f"The baseline {baseline} cannot be read: {error}. Write it with: easymo indexes lint … --json > {baseline}"
        ) from error
    new = []
    for finding in findings:
        accepted[_identity(finding)] -= 1
        if accepted[_identity(finding)] < 0:
            new.append(finding)
    return new


def _identity(finding: Finding) -> tuple[str, str, str]:
    return finding.rule, os.path.normpath(finding.file), _NUMBER.sub("#", finding.message)


def _order(path: Path) -> tuple[bool, list[int | str]]:
    """Numbers as numbers; Flyway's repeatable files last."""
    parts = [int(part) if part.isdecimal() else part.lower() for part in _NUMBER.split(path.as_posix())]
    return path.name.startswith("R__"), parts


def _matches(path: Path, pattern: str) -> bool:
    return fnmatch(path.as_posix(), pattern) or any(fnmatch(part, pattern) for part in path.parts)


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise IndexesError(f"git cannot be run, so nobody knows what has changed: {error}.") from error
    if done.returncode:
        raise IndexesError(f"git does not say what has changed: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")
