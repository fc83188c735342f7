"""At which data size and which share of repeated reads each promise turns."""

from html import escape
from math import ceil, floor

from easymo.chart.line import tidy_step
from easymo.chart.plot import Axis, Series, plot
from easymo.proof.report import break_even_words, wording
from easymo.proof.report.break_even_words import repeated
from easymo.proof.report.parts import section, table
from easymo.proof.verdict.file import BreakEven, GridCell, VerdictFile
from easymo.proof.verdict.judge import Verdict


def break_even(result: VerdictFile) -> str:
    """What turns where, in words, as a chart of one metric and cell by cell; nothing without a grid."""
    grid = result.break_even
    if grid is None or not grid.cells:
        return ""
    told = (
        f"<p>The comparison in short form ({grid.pairs} pairs of {grid.round_s:g} s in each cell) at other data sizes"
        " and with reads that repeat their keys less or more often. Each cell is judged by its own interval: it shows"
        " where a verdict turns, and is not the verdict.</p>"
    )
    words = "".join(f"<li>{escape(line)}</li>" for line in break_even_words.lines(result))
    parts = _chart(result, grid), _cells(grid), _verdicts(result, grid)
    return section("Break-even", told, f"<ul>{words}</ul>", *parts, folded=True)


def _cells(grid: BreakEven) -> str:
    rows = [
        {
            "data size": escape(cell.scale),
            "rows": f"{sum(cell.rows.values()):,}",
            "setting": f"{cell.repeat_read:g}",
            "reads repeated": repeated(cell),
            "rate": wording.amount(cell.rate_rps, "requests/s"),
            "capacities": _capacities(cell),
        }
        for cell in grid.cells
    ]
    return table(rows)


def _capacities(cell: GridCell) -> str:
    return ", ".join(f"{escape(arm)} {wording.amount(held, 'requests/s')}" for arm, held in cell.capacity_rps.items())


def _verdicts(result: VerdictFile, grid: BreakEven) -> str:
    """Change and verdict of every promise in every cell: a column per data size, a line per setting."""
    rows = []
    for promise in result.promises:
        if promise.id in grid.outcome:
            columns = {f"data size {scale}": _lines(promise, grid, scale) for scale in grid.scales}
            rows.append({"promise": escape(promise.claim), **columns})
    return "<p>By the share of reads repeated:</p>" + table(rows)


def _lines(promise: Verdict, grid: BreakEven, scale: str) -> str:
    cells = [cell for cell in grid.cells if cell.scale == scale]
    return "<span>" + "<br>".join(_cell(promise, cell) for cell in cells) + "</span>" if cells else "–"


def _cell(promise: Verdict, cell: GridCell) -> str:
    verdict = cell.verdicts[promise.id]
    change = wording.percent(cell.changes[promise.metric][0]) if promise.metric in cell.changes else "–"
    return f'{repeated(cell)}: {change} <span class="{verdict}">{verdict}</span>'


def _chart(result: VerdictFile, grid: BreakEven) -> str:
    """Change of the metric that turns most often, over the share of repeated reads, a curve for each size."""
    promise = _most_turning(result, grid)
    if promise is None:
        return ""
    series = []
    for place, scale in enumerate(grid.scales):
        cells = sorted(
            (c for c in grid.cells if c.scale == scale and promise.metric in c.changes),
            key=lambda cell: cell.repeat_read_ratio or 0.0,
        )
        points, band = [], []
        for cell in cells:
            share, (change, low, high) = cell.repeat_read_ratio or 0.0, cell.changes[promise.metric]
            if change is not None and low is not None:
                points.append((share, change))
                band.append((share, low, high if high is not None else change))
        series.append(Series(f"data size {scale}", place % 4, "curve", points, band))
    if promise.kind == "change":
        series.append(Series("promised", 2, "dotted", [(0.0, promise.limit), (1.0, promise.limit)]))
    values = [change for one in series for _, change in one.points]
    x = Axis("reads repeated", 0.0, 1.0, [(share / 4, f"{share * 25} %") for share in range(5)])
    said = "; ".join(
        f"{one.name} {', '.join(wording.percent(change) for _, change in one.points)}" for one in series if one.band
    )
    return plot(
        series,
        x,
        _change_axis(values),
        title=f"Change of {promise.metric} by data size and repeated reads",
        description=f"Change of {promise.metric} with more and more reads repeated: {said}.",
        height=260,
    )


def _most_turning(result: VerdictFile, grid: BreakEven) -> Verdict | None:
    """The promise to draw. A capacity is one of its data size, whatever is read, so that it makes a poor picture."""
    cells = {p.id: sum(p.metric in cell.changes for cell in grid.cells) for p in result.promises}
    turns = {p.id: sum(flip.promise == p.id for flip in grid.flips) for p in result.promises}
    shown = [p for p in result.promises if cells[p.id] and p.id in grid.outcome]
    return max(shown, key=lambda p: (p.metric != "capacity_rps", turns[p.id], cells[p.id]), default=None)


def _change_axis(values: list[float]) -> Axis:
    """About the changes, 0 among them; an interval that is wider ends at the edge."""
    lowest, highest = min(0.0, *values), max(0.0, *values)
    step = tidy_step(highest - lowest or 0.1, 5)
    first, last = floor(lowest / step), max(ceil(highest / step), floor(lowest / step) + 1)
    marks = [max(n * step, -1.0) for n in range(first, last + 1)]
    return Axis("", marks[0], marks[-1], [(mark, wording.percent(mark) if mark else "0") for mark in marks])
