"""A chart of demand and capacity in blocks, for a terminal of any width and without colour."""

from collections.abc import Sequence

from easymo.chart.line import Line, clock, columns

BLOCKS = " ▁▂▃▄▅▆▇█"
SHORT, CAPACITY = "▒", "─"
LABEL = 8


def terminal_chart(lines: Sequence[Line], end_s: float, *, width: int = 79, height: int = 10) -> str:
    """The first line of the look *demand* as bars, and of the look *capacity* as a line over it; ``▒`` is the surplus.

    Each column shows the highest demand and the lowest capacity of its stretch of time.
    """
    demand = next(line for line in lines if line.look == "demand")
    capacity = next(line for line in lines if line.look == "capacity")
    start_s = demand.times_s[0]
    count = max(width - LABEL - 1, 10)
    bars = [high for _, high in columns(demand, start_s, end_s, count)]
    limits = [low for low, _ in columns(capacity, start_s, end_s, count)]
    top = max(*bars, *limits) or 1.0
    rows = []
    for row in range(height - 1, -1, -1):
        cells = "".join(
            _cell(bar / top * height, limit / top * height, row) for bar, limit in zip(bars, limits, strict=True)
        )
        label = f"{top * (row + 1) / height:.4g}" if row in (height - 1, height // 2 - 1) else ""
        rows.append(f"{label:>{LABEL}} {cells}".rstrip())
    axis = f"{'0':>{LABEL}} {clock(0)}"
    end = clock(end_s - start_s)
    rows.append(axis + " " * (LABEL + 1 + count - len(axis) - len(end)) + end)
    rows.append(f"{'':>{LABEL}} █ {demand.name}   {CAPACITY} {capacity.name}   {SHORT} {demand.name} above it")
    return "\n".join(rows)


def _cell(bar: float, limit: float, row: int) -> str:
    """The character of one row (0 is the lowest) in a column of ``bar`` rows of demand and ``limit`` of capacity."""
    filled = min(max(bar - row, 0.0), 1.0)
    if filled > 0 and row >= limit - 0.5 and bar > limit:
        return SHORT
    if row == min(int(limit), int(limit - 1e-9)) and filled == 0:
        return CAPACITY
    return BLOCKS[round(filled * 8)]
