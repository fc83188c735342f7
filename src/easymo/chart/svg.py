"""A chart of steps over time as inline SVG, styled by the page around it (:mod:`easymo.chart.page`)."""

from collections.abc import Sequence
from html import escape

from easymo.chart.line import Line, clock, columns, tidy_step

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 78, 16, 14, 44
COLUMNS = 360


def svg_chart(lines: Sequence[Line], end_s: float, *, title: str, description: str, unit: str) -> str:
    """``lines`` from their first time to ``end_s``; ``description`` says in words what the picture shows.

    All lines share one axis from 0 upwards, in ``unit``. A line of the look *demand* is filled, and where it is above a
    line of the look *capacity* the surplus is marked.
    """
    start_s = min(line.times_s[0] for line in lines)
    highest = max(max(line.values) for line in lines) or 1.0
    tick = tidy_step(highest * 1.05, 5)
    top = tick * -(-highest * 1.02 // tick)
    drawn = [columns(line, start_s, end_s, COLUMNS) for line in lines]
    parts = [_grid(top, tick, end_s - start_s, unit)]
    demand = next((i for i, line in enumerate(lines) if line.look == "demand"), None)
    capacity = next((i for i, line in enumerate(lines) if line.look == "capacity"), None)
    if demand is not None:
        parts.append(f'<path class="area demand" d="{_area(drawn[demand], top)}"/>')
        if capacity is not None and (short := _surplus(drawn[demand], drawn[capacity], top)):
            parts.append(f'<path class="short" d="{short}"/>')
    parts += [f'<path class="line {line.look}" d="{_steps(c, top)}"/>' for line, c in zip(lines, drawn, strict=True)]
    legend = "".join(
        f'<li><svg viewBox="0 0 24 8" aria-hidden="true"><path class="line {line.look}" d="M0 4H24"/></svg>'
        f"{escape(line.name)}</li>"
        for line in lines
    )
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><ul class="legend">{legend}</ul>'
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(parts)}</svg></figure>"
    )


def _x(column: float) -> str:
    return f"{LEFT + column * (WIDTH - LEFT - RIGHT) / COLUMNS:.1f}".removesuffix(".0")


def _y(value: float, top: float) -> str:
    return f"{HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM):.1f}".removesuffix(".0")


def _grid(top: float, tick: float, seconds: float, unit: str) -> str:
    parts = []
    for number in range(round(top / tick) + 1):
        y = _y(number * tick, top)
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y}" dy=".35em" class="end">{number * tick:g}</text>')
    step = tidy_step(seconds, 4, (1, 2, 3, 6)) if seconds < 120 else 60 * tidy_step(seconds / 60, 4, (1, 1.5, 2, 3, 5))
    if seconds > 7200:
        step = 3600 * tidy_step(seconds / 3600, 4, (1, 2, 3, 4, 6))
    for number in range(int(seconds / step) + 1):
        at = float(_x(number * step / seconds * COLUMNS))
        anchor = ' class="end"' if at > WIDTH - 60 else ""
        parts.append(f'<text x="{at:g}" y="{HEIGHT - BOTTOM + 26}"{anchor}>{clock(number * step)}</text>')
    parts.append(f'<text x="{LEFT + 6}" y="{TOP + 12}" class="unit">{escape(unit)}</text>')
    return "".join(parts)


def _steps(drawn: Sequence[tuple[float, float]], top: float) -> str:
    """A path through every column: across at its last value, and up or down where it holds both ends."""
    path = [f"M{_x(0)} {_y(drawn[0][0], top)}"]
    at = drawn[0][0]
    for column, (low, high) in enumerate(drawn):
        if low == high == at:
            continue
        path.append(f"H{_x(column)}")
        for value in (low, high) if abs(at - low) < abs(at - high) else (high, low):
            if value != at:
                path.append(f"V{_y(value, top)}")
                at = value
    path.append(f"H{_x(COLUMNS)}")
    return "".join(path)


def _area(drawn: Sequence[tuple[float, float]], top: float) -> str:
    heights = [(high, high) for _, high in drawn]
    return f"{_steps(heights, top)}V{_y(0, top)}H{_x(0)}Z"


def _surplus(demand: Sequence[tuple[float, float]], capacity: Sequence[tuple[float, float]], top: float) -> str:
    return "".join(
        f"M{_x(column)} {_y(low, top)}V{_y(high, top)}H{_x(column + 1)}V{_y(low, top)}Z"
        for column, ((_, high), (low, _)) in enumerate(zip(demand, capacity, strict=True))
        if high > low
    )
