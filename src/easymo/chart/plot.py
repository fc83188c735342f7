"""Points, curves with their intervals, and bars over two axes, as inline SVG (styled by :mod:`easymo.chart.page`)."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from typing import Literal

from msgspec import Struct

from easymo.chart.line import tidy_step

WIDTH, LEFT, RIGHT, TOP = 720, 88, 24, 18
#: Width of a letter at the size that a phone needs (:mod:`easymo.chart.page`).
LETTER_PX = 13
#: Below the plane: the marks of the axis, and its label where it has one.
MARKS_PX, LABEL_PX = 30, 28
MARK = 5
Drawn = Literal["curve", "dotted", "held", "failed", "bars", "whiskers"]


class Axis(Struct, frozen=True):
    """From ``low`` to ``high``, with marks at some values; a logarithmic axis needs ``low`` above 0."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def at(self, value: float) -> float:
        """Where ``value`` lies, 0 at the low end and 1 at the high one; what lies outside is drawn at its end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            return log10(value / self.low) / log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


class Series(Struct, frozen=True):
    """One thing drawn: ``look`` 0 to 3 is its colour, ``band`` the interval about a curve as ``(x, low, high)``.

    Whiskers lie across: their band is ``(y, low x, high x)``.
    """

    name: str
    look: int
    drawn: Drawn
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] = ()


def linear_axis(label: str, highest: float, steps: int = 4) -> Axis:
    """From 0 to a round number above ``highest``."""
    step = tidy_step(highest or 1.0, steps)
    count = max(ceil((highest or 1.0) / step - 1e-9), 1)
    return Axis(label, 0.0, count * step, [(n * step, f"{n * step:,.6g}") for n in range(count + 1)])


def log_axis(label: str, lowest: float, highest: float) -> Axis:
    """From a round number below ``lowest`` (above 0) to one above ``highest``; decades, or 1, 2 and 5, are marked."""
    # One decade more at each end: the logarithm of a value just below a power of ten may round up to it.
    first, last = floor(log10(lowest)) - 1, ceil(log10(max(highest, lowest * 1.01))) + 1
    values = [float(f"{factor}e{decade}") for decade in range(first, last + 1) for factor in (1, 2, 5)]
    low = max(v for v in values if v <= lowest)
    high = min(v for v in values if v >= highest and v > low)
    few = high / low <= 50
    ticks = [(v, f"{v:,.6g}") for v in values if low <= v <= high and (few or f"{v:e}".startswith("1"))]
    return Axis(label, low, high, ticks, log=True)


def plot(
    series: Sequence[Series], x: Axis, y: Axis, *, title: str, description: str, height: int = 300, legend: bool = True
) -> str:
    """A figure of ``series``; ``description`` says in words what the picture shows."""
    area = _Area(x, y, height)
    body = area.grid() + "".join(area.draw(one) for one in series)
    named = {one.name: one for one in reversed(series) if one.name}
    entries = "".join(f"<li>{_key(one)}{escape(one.name)}</li>" for one in reversed(named.values()))
    keys = f'<ul class="legend">{entries}</ul>' if legend and named else ""
    return (
        f'<figure><figcaption>{escape(title)}</figcaption>{keys}<svg class="chart" viewBox="0 0 {WIDTH} {height}"'
        f' role="img" aria-label="{escape(description)}"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{body}</svg></figure>"
    )


def _key(one: Series) -> str:
    marks = {
        "bars": f'<path class="bar look{one.look}" d="M4 1H20V9H4Z"/>',
        "held": f'<circle class="dot look{one.look}" cx="12" cy="5" r="4"/>',
        "failed": f'<path class="cross look{one.look}" d="M8 1L16 9M8 9L16 1"/>',
    }
    drawn = marks.get(one.drawn, f'<path class="line look{one.look}{_dots(one)}" d="M0 5H24"/>')
    return f'<svg viewBox="0 0 24 10" aria-hidden="true">{drawn}</svg>'


def _dots(one: Series) -> str:
    return " dotted" if one.drawn == "dotted" else ""


class _Area:
    """The plane between two axes."""

    def __init__(self, x: Axis, y: Axis, height: int) -> None:
        self._x, self._y, self._height = x, y, height
        self._left = max(LEFT, 8 + LETTER_PX * max((len(label) for _, label in y.ticks), default=0))
        self._bottom = height - MARKS_PX - (LABEL_PX if x.label else 0)

    def left(self, value: float) -> float:
        return round(self._left + self._x.at(value) * (WIDTH - self._left - RIGHT), 1)

    def top(self, value: float) -> float:
        return round(self._bottom - self._y.at(value) * (self._bottom - TOP), 1)

    def grid(self) -> str:
        bottom, right = self._bottom, WIDTH - RIGHT
        parts = []
        for value, label in self._y.ticks:
            y = self.top(value)
            parts.append(f'<path class="grid" d="M{self._left} {y:g}H{right}"/>')
            parts.append(f'<text x="{self._left - 8}" y="{y:g}" dy=".35em" class="end">{escape(label)}</text>')
        for value, label in self._x.ticks:
            x = self.left(value)
            anchor = ' class="end"' if x > WIDTH - 40 else ' class="middle"'
            parts.append(f'<path class="grid" d="M{x:g} {TOP}V{bottom}"/>')
            parts.append(f'<text x="{x:g}" y="{bottom + 20}"{anchor}>{escape(label)}</text>')
        if self._x.label:
            parts.append(f'<text x="{right}" y="{self._height - 8}" class="end">{escape(self._x.label)}</text>')
        if self._y.label:
            parts.append(f'<text x="{self._left + 6}" y="{TOP + 13}" class="unit">{escape(self._y.label)}</text>')
        return "".join(parts)

    def draw(self, one: Series) -> str:
        if one.drawn in ("curve", "dotted"):
            return self._band(one) + self._curve(one)
        if one.drawn == "bars":
            return self._bars(one)
        if one.drawn == "whiskers":
            return self._whiskers(one)
        return "".join(self._mark(one, self.left(x), self.top(y)) for x, y in one.points)

    def _curve(self, one: Series) -> str:
        path = "L".join(f"{self.left(x):g} {self.top(y):g}" for x, y in one.points)
        return f'<path class="line look{one.look}{_dots(one)}" d="M{path}"/>' if path else ""

    def _band(self, one: Series) -> str:
        if not one.band:
            return ""
        over = [f"{self.left(x):g} {self.top(high):g}" for x, _, high in one.band]
        under = [f"{self.left(x):g} {self.top(low):g}" for x, low, _ in reversed(one.band)]
        return f'<path class="band look{one.look}" d="M{"L".join([*over, *under])}Z"/>'

    def _bars(self, one: Series) -> str:
        bottom = self.top(self._y.low)
        parts = []
        for x, y in one.points:
            left, right = self.left(x) + 0.5, self.left(x + 1) - 0.5
            parts.append(f"M{left:g} {bottom:g}V{min(self.top(y), bottom - 1):g}H{right:g}V{bottom:g}Z")
        return f'<path class="bar look{one.look}" d="{"".join(parts)}"/>' if parts else ""

    def _whiskers(self, one: Series) -> str:
        lines = [f"M{self.left(low):g} {self.top(y):g}H{self.left(high):g}" for y, low, high in one.band]
        ends = [
            f"M{self.left(end):g} {self.top(y) - MARK:g}V{self.top(y) + MARK:g}"
            for y, *both in one.band
            for end in both
        ]
        dots = "".join(self._mark(one, self.left(x), self.top(y)) for x, y in one.points)
        return f'<path class="line look{one.look} solid" d="{"".join([*lines, *ends])}"/>{dots}'

    def _mark(self, one: Series, x: float, y: float) -> str:
        if one.drawn != "failed":
            return f'<circle class="dot look{one.look}" cx="{x:g}" cy="{y:g}" r="{MARK}"/>'
        near, far = (x - MARK, y - MARK), (x + MARK, y + MARK)
        return (
            f'<path class="cross look{one.look}" d="M{near[0]:g} {near[1]:g}L{far[0]:g} {far[1]:g}'
            f'M{near[0]:g} {far[1]:g}L{far[0]:g} {near[1]:g}"/>'
        )
