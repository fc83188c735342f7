"""Break-even in sentences, the same ones in the report and in the summary of a pull request."""

from easymo.proof.verdict_file import BreakEven, Flip, GridCell, VerdictFile


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
    return {
        promise: "; ".join([outcome, *(_boundary(grid, flip) for flip in grid.flips if flip.promise == promise)])
        for promise, outcome in grid.outcome.items()
    }


def repeated(cell: GridCell) -> str:
    """The cell's measured repeat-read ratio."""
    return "–" if cell.repeat_read_ratio is None else f"{cell.repeat_read_ratio * 100:.0f} %"


def _boundary(grid: BreakEven, flip: Flip) -> str:
    first, second = flip.verdicts
    one, other = flip.between
    if flip.axis == "scale":
        shares = " and ".join(_share(grid, scale, flip.at) for scale in flip.between)
        return f"{first} at data size {one}, {second} at {other} ({shares} of the reads repeated)"
    return (
        f"at data size {flip.at} {first} with {_share(grid, flip.at, one)} of the reads repeated,"
        f" {second} with {_share(grid, flip.at, other)}"
    )


def _share(grid: BreakEven, scale: str, setting: str) -> str:
    return next(repeated(c) for c in grid.cells if c.scale == scale and f"{c.repeat_read:g}" == setting)
