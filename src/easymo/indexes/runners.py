"""Which tool runs a migration file, and whether in a transaction.

`CONCURRENTLY` works only outside a transaction block, and most tools open one that the file does not show. There are
three ways to send a file:

- *alone*: every statement by itself, as psql does;
- *block*: all statements between a BEGIN and a COMMIT of the tool;
- *string*: the whole text as one query. Postgres runs several statements of one query in one transaction; a single
  statement runs alone.

A tool is recognised by a comment that only it reads, else by the names of file and folder and by its own file beside or
above the migration: runners.toml.
"""

import os
import re
import tomllib
from enum import StrEnum
from pathlib import Path

import msgspec

_FLAGS = re.IGNORECASE | re.MULTILINE
_FOLDERS_ABOVE = 5  # in which a project's own file, such as Cargo.toml, is looked for
_DOWN_FILE = re.compile(r"(^|\.)down\.sql$|^U[\d._]+__", re.IGNORECASE)


class Mode(StrEnum):
    """How statements are sent. SPLIT is Flyway's: a block, unless every statement of the file refuses one."""

    ALONE = "alone"
    BLOCK = "block"
    STRING = "string"
    SPLIT = "split"


class Runner(msgspec.Struct, frozen=True):
    """A tool that runs migration files.

    `comment` is a text that only its files hold; `path` is a pattern of the file's path, and `own_files` are pairs of a
    file in a folder above (`./`: in the same one) and a text in it, one of which is there. `up` begins the part that is
    run, `down` ends it. Where `opt_out` is found (in the text, in the line that begins the `unit`, or in the file
    `settings` beside it) the mode is `opted_out`.
    """

    tool: str
    mode: Mode
    comment: str = ""
    path: str = ""
    own_files: tuple[tuple[str, str], ...] = ()
    up: str = ""
    down: str = ""
    unit: str = ""
    opt_out: str = ""
    settings: str = ""
    opted_out: Mode = Mode.ALONE
    advice: str = ""


PSQL = Runner("psql", Mode.ALONE)
_TABLE = Path(__file__).with_suffix(".toml")
RUNNERS = tuple(msgspec.convert(row, Runner) for row in tomllib.loads(_TABLE.read_text())["runner"])


def runner_of(path: Path, text: str) -> Runner:
    """The tool that runs this file; psql where nothing tells."""
    place = os.path.abspath(path).replace(os.sep, "/")
    for runner in RUNNERS:
        if runner.comment and runner.comment in text:
            return runner
        if runner.path and re.search(runner.path, place) and (not runner.own_files or _has_own_file(runner, place)):
            return runner
    return PSQL


def mode_at(runner: Runner, path: Path, text: str, line: int) -> Mode:
    """How the runner sends the statement in this line of the text."""
    where = text
    if runner.settings:
        where = _read(path.with_name(runner.settings.format(name=path.name)))
    elif runner.unit:
        units = list(re.finditer(runner.unit, "\n".join(text.split("\n")[:line]), _FLAGS))
        where = units[-1][0] if units else ""
    opted_out = runner.opt_out and re.search(runner.opt_out, where, _FLAGS)
    return runner.opted_out if opted_out else runner.mode


def what_runs(runner: Runner, text: str) -> str:
    """The text with blank lines in place of what takes a migration back."""
    if not runner.down:
        return text
    kept, runs = [], not runner.up
    for line in text.splitlines(keepends=True):
        if runner.up and re.match(runner.up, line, _FLAGS):
            runs = True
        elif re.match(runner.down, line, _FLAGS):
            runs = False
        kept.append(line if runs else "\n")
    return "".join(kept)


def takes_back(path: Path) -> bool:
    """Whether the name says that the file undoes a migration."""
    return _DOWN_FILE.search(path.name) is not None


def _has_own_file(runner: Runner, place: str) -> bool:
    for name, text in runner.own_files:
        folder = os.path.dirname(place)
        for _ in range(1 if name.startswith("./") else _FOLDERS_ABOVE):
            if os.path.exists(file := f"{folder}/{name}") and text in _read(Path(file)):
                return True
            folder = os.path.dirname(folder)
    return False


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
