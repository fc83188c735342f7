"""``easymo accept``: the acceptance table and every promise, each with its check and its state now."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from rich.table import Table
from rich.text import Text

from easymo.proof.accepted.evidence import ACCEPTED
from easymo.proof.errors import ProofError
from easymo.proof.system.acceptance import Criterion, read_acceptance
from easymo.proof.system.processes import fill
from easymo.proof.verdict.file import VerdictFile, read_verdict
from easymo.proof.verdict.promises import Promise

State = Literal["holds", "does not hold", "undecided"]
CHECK_TIMEOUT_S = 900
UNDECIDED_EXIT = 4
_OF_VERDICT: dict[str, State] = {"kept": "holds", "broken": "does not hold", "inconclusive": "undecided"}
_STYLE = {"holds": "green", "does not hold": "red", "undecided": "yellow"}


class Row(Struct, frozen=True):
    """One criterion or promise: what is asked, the check behind it, its state, the check's last word (``detail``)."""

    what: str
    target: str
    source: str
    check: str
    state: State
    detail: str


def check_all(acceptance_file: Path, begin: Callable[[str], None] = lambda _: None) -> list[Row]:
    """Run every criterion's command and look every promise up in the accepted verdict.

    ``begin`` is told the name of each criterion before its command runs, which may take minutes.
    """
    acceptance = read_acceptance(acceptance_file)
    root = acceptance_file.resolve().parent
    rows = []
    for criterion in acceptance.criteria:
        begin(criterion.criterion)
        rows.append(_criterion(criterion, root))
    try:
        accepted: VerdictFile | None = read_verdict(root / ACCEPTED / "verdict.json")
    except ProofError:
        accepted = None
    return rows + [_promise(promise, accepted) for promise in acceptance.promises]


def exit_code(rows: list[Row]) -> int:
    """1 when a row does not hold, else 4 when one is undecided, else 0."""
    states = {row.state for row in rows}
    return 1 if "does not hold" in states else UNDECIDED_EXIT if "undecided" in states else 0


def as_json(rows: list[Row]) -> str:
    """The rows as a JSON array."""
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n"


def terminal_table(rows: list[Row]) -> Table:
    """What, target, state, and the last word of the check."""
    table = Table(title="Acceptance", title_justify="left")
    for name in ("what", "state", "found"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(Text(f"{row.what}: {row.target}"), Text(row.state, style=_STYLE[row.state]), Text(row.detail))
    return table


def _criterion(criterion: Criterion, root: Path) -> Row:
    command = fill(criterion.check)
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S, check=False)
        lines = (done.stdout + done.stderr).strip().splitlines()
        code, detail = done.returncode, lines[-1].strip() if lines else f"exit code {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        code, detail = 1, f"the check could not be run: {error}"
    state: State = "holds" if code == 0 else "undecided" if code == UNDECIDED_EXIT else "does not hold"
    return Row(criterion.criterion, criterion.target, criterion.source, " ".join(criterion.check), state, detail)


def _promise(promise: Promise, accepted: VerdictFile | None) -> Row:
    check = f"{ACCEPTED}/verdict.json, promise {promise.id}"
    found = next((v for v in accepted.promises if v.id == promise.id), None) if accepted is not None else None
    if found is None:
        detail = "not in the accepted run; run `easymo prove`, then `easymo evidence`"
        return Row(promise.id, promise.claim, promise.source, check, "undecided", detail)
    return Row(promise.id, promise.claim, promise.source, check, _OF_VERDICT[found.verdict], found.reason)
