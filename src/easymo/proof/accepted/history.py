"""``easymo history``: every accepted run in one table, oldest first."""

from pathlib import Path

import msgspec
from msgspec import Struct
from rich.table import Table
from rich.text import Text

from easymo.proof.accepted.evidence import HISTORY
from easymo.proof.errors import ProofError
from easymo.proof.report import wording

_BARS = "▁▂▃▄▅▆▇█"


class AcceptedRun(Struct, frozen=True):
    """One line of the history: when, at which commit, every promise's verdict, and each arm's figures.

    Capacities are requests/s; P95 (ms) is at the rate that the run chose; ``statements`` are per request.
    """

    created: str
    git: str | None
    promises: dict[str, str]
    capacities: dict[str, float | None]
    p95_ms: dict[str, float] = {}
    statements: dict[str, float] = {}


def read_history(root: Path) -> list[AcceptedRun]:
    """The accepted runs below ``root``; raises :class:`ProofError` when there are none or a line is damaged."""
    path = root / HISTORY
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ProofError(f"No history at {HISTORY}: {error.strerror}. Accept a run first: easymo evidence.") from error
    runs = []
    for number, line in enumerate(lines, 1):
        try:
            runs.append(msgspec.json.decode(line, type=AcceptedRun))
        except msgspec.DecodeError as error:
            raise ProofError(
                f"{HISTORY}, line {number} is damaged: {error}. Restore it from version control."
            ) from error
    if not runs:
        raise ProofError(f"{HISTORY} has no run yet. Accept one first: easymo evidence.")
    return runs


def terminal_table(runs: list[AcceptedRun]) -> Table:
    """A row a run: when, commit, capacity per arm, and how many promises were kept, broken or left open."""
    table = Table(title="Accepted runs", title_justify="left")
    arms = list(dict.fromkeys(arm for run in runs for arm in run.capacities))
    for name in ("accepted", "commit"):
        table.add_column(name, no_wrap=True)
    for name in (*(f"{arm}, req/s" for arm in arms), "kept", "broken", "open"):
        table.add_column(name, justify="right")
    for run in runs:
        counts = [sum(v == verdict for v in run.promises.values()) for verdict in ("kept", "broken", "inconclusive")]
        capacities = [wording.amount(run.capacities.get(arm), "requests/s") for arm in arms]
        table.add_row(run.created[:10], Text((run.git or "–")[:8]), *capacities, *map(str, counts))
    return table


def capacity_lines(runs: list[AcceptedRun]) -> list[str]:
    """One bar chart a line and arm, scaled to the arm's largest capacity."""
    lines = []
    for arm in dict.fromkeys(arm for run in runs for arm in run.capacities):
        values = [run.capacities.get(arm) or 0.0 for run in runs]
        top = max(values) or 1.0
        bars = "".join(_BARS[min(len(_BARS) - 1, int(value / top * len(_BARS)))] for value in values)
        lines.append(f"{arm:>10} {bars}  up to {top:,.0f}/s")
    return lines
