"""Where on a grid of data sizes and read settings the verdicts of a promise turn: pure.

A cell that decides nothing lies between two that do, so that a boundary is as wide as what is not known.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

from easymo.proof.verdict.file import Flip, GridCell
from easymo.proof.verdict.judge import Decision

Axis = Literal["scale", "repeat_read"]


def find_flips(cells: Sequence[GridCell], scales: Sequence[str], repeat_read: Sequence[float]) -> list[Flip]:
    """Every boundary between a kept and a broken cell, along both axes, whose values stand in the order given."""
    found = []
    for promise in promises_of(cells):
        for axis, at, line in _lines(cells, scales, repeat_read):
            decided = [(place, cell.verdicts[promise]) for place, cell in line if _decides(cell, promise)]
            for (one, first), (other, second) in pairwise(decided):
                if first != second:
                    found.append(Flip(promise, axis, at, (one, other), (first, second)))
    return found


def outcome_of(cells: Sequence[GridCell]) -> dict[str, str]:
    """Per promise in how many cells it was kept and in how many broken, in words."""
    return {promise: _words([cell.verdicts[promise] for cell in cells]) for promise in promises_of(cells)}


def promises_of(cells: Sequence[GridCell]) -> list[str]:
    """Promises that at least one cell has a verdict on, in their order."""
    return list(dict.fromkeys(promise for cell in cells for promise in cell.verdicts))


def _words(verdicts: list[Decision]) -> str:
    counts = Counter(verdicts)
    kept, broken, cells = counts["kept"], counts["broken"], len(verdicts)
    if kept == cells:
        return "kept everywhere on this grid"
    if broken == cells:
        return "broken everywhere on this grid"
    if not kept and not broken:
        return "decided nowhere on this grid"
    parts = [(kept, "kept"), (broken, "broken"), (cells - kept - broken, "undecided")]
    return ", ".join(f"{word} in {count}" for count, word in parts if count) + f" of {cells} cells"


def _decides(cell: GridCell, promise: str) -> bool:
    return cell.verdicts[promise] != "inconclusive"


def _lines(
    cells: Sequence[GridCell], scales: Sequence[str], repeat_read: Sequence[float]
) -> Iterator[tuple[Axis, str, list[tuple[str, GridCell]]]]:
    """Each line of the grid: the axis it runs along, the value of the other axis, its measured cells by their place."""
    by_place = {(cell.scale, cell.repeat_read): cell for cell in cells}
    for setting in repeat_read:
        yield "scale", f"{setting:g}", [(s, by_place[s, setting]) for s in scales if (s, setting) in by_place]
    for scale in scales:
        yield "repeat_read", scale, [(f"{r:g}", by_place[scale, r]) for r in repeat_read if (scale, r) in by_place]
