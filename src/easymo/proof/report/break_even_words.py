"""Break-even in sentences, the same ones in the report and in the summary of a pull request."""

from collections.abc import Sequence

from easymo.proof.verdict.file import BreakEven, Flip, GridCell, VerdictFile


def lines(result: VerdictFile) -> list[str]:
    """One line per promise that the grid was judged on; none without a grid."""
    if result.break_even is None:
        return []
    claims = {promise.id: promise.claim for promise in result.promises}
    return [f"{claims.get(promise, promise)}: {said}" for promise, said in sentences(result.break_even).items()]


def markdown(result: VerdictFile) -> str:
    """A section of the summary, or nothing."""
    found = lines(result)
    return "\nBreak-even:\n\n" + "\n".join(f"- {line}" for line in found) + "\n" if found else ""


def sentences(grid: BreakEven) -> dict[str, str]:
    """Per promise where on the grid it is kept and where broken, and at which boundaries that turns."""
    found = {promise: [outcome] for promise, outcome in grid.outcome.items()}
    alike: dict[tuple[object, ...], list[Flip]] = {}
    for flip in grid.flips:
        alike.setdefault((flip.promise, flip.axis, flip.between, flip.verdicts), []).append(flip)
    for flips in alike.values():
        found[flips[0].promise].append(_boundary(grid, flips))
    return {promise: "; ".join(parts) for promise, parts in found.items()}


def repeated(cell: GridCell) -> str:
    """The cell's measured repeat-read ratio."""
    return _range([cell])


def _boundary(grid: BreakEven, flips: list[Flip]) -> str:
    """One boundary that several lines of the grid cross at the same place."""
    first, second = flips[0].verdicts
    one, other = flips[0].between
    lines = [flip.at for flip in flips]
    if flips[0].axis == "scale":
        crossed = _range(_at(grid, flips[0].between, lines))
        return f"{first} at data size {one}, {second} at {other} (with {crossed} of the reads repeated)"
    sizes = "data size " + " and ".join(lines)
    few, many = (_range(_at(grid, lines, [setting])) for setting in (one, other))
    return f"at {sizes} {first} with {few} of the reads repeated, {second} with {many}"


def _at(grid: BreakEven, scales: Sequence[str], settings: Sequence[str]) -> list[GridCell]:
    return [cell for cell in grid.cells if cell.scale in scales and f"{cell.repeat_read:g}" in settings]


def _range(cells: Sequence[GridCell]) -> str:
    """From the lowest to the highest share of repeated reads that was measured in ``cells``."""
    shares = sorted(round(cell.repeat_read_ratio * 100) for cell in cells if cell.repeat_read_ratio is not None)
    if not shares:
        return "an unknown share"
    return f"{shares[0]} %" if shares[0] == shares[-1] else f"{shares[0]}–{shares[-1]} %"
