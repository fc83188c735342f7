"""What each treatment brought alone and together with the others."""

from html import escape

from easymo.chart.line import tidy_step
from easymo.chart.plot import Axis, Series, plot
from easymo.proof.report import wording
from easymo.proof.report.parts import look, section, table
from easymo.proof.verdict.file import VerdictFile
from easymo.proof.verdict.metrics import METRICS

NAMES = {name: metric.says for name, metric in METRICS.items()}


def attribution(result: VerdictFile) -> str:
    """A chart and a table; nothing where only one arm was treated, for then the verdicts say it."""
    found = result.attribution
    if len(found) < 2:
        return ""
    metrics = list(dict.fromkeys(metric for changes in found.values() for metric in changes))
    rows = []
    for arm, changes in found.items():
        shown = {NAMES.get(m, m): _told(changes[m]) if m in changes else "–" for m in metrics}
        rows.append({"arm": escape(wording.arm(result, arm)), **shown})
    charts = "".join(_panel(result, metric) for metric in metrics)
    told = "<p class=dim>Change against the baseline, with its 95 % interval.</p>"
    return section("Each treatment alone, and all together", told, charts, table(rows), folded=True)


def _told(estimate: list[float]) -> str:
    value, low, high = map(wording.percent, estimate)
    return f"{value} ({low} … {high})"


def _panel(result: VerdictFile, metric: str) -> str:
    arms = [arm for arm, changes in result.attribution.items() if metric in changes]
    if not arms:
        return ""
    found = {arm: result.attribution[arm][metric] for arm in arms}
    lowest = min(0.0, *(low for _, low, _ in found.values()))
    highest = max(0.0, *(high for _, _, high in found.values()))
    step = tidy_step(highest - lowest or 0.1, 5)
    first, last = int(lowest // step), -int(-highest // step)
    ticks = [(n * step, wording.percent(n * step) if n else "0") for n in range(first, last + 1)]
    x = Axis("", first * step, max(last, first + 1) * step, ticks)
    y = Axis("", 0.0, float(len(arms)), [(len(arms) - n - 0.5, wording.arm(result, arm)) for n, arm in enumerate(arms)])
    series = [
        Series(arm, look(list(result.arms), arm), "whiskers", [(value, at)], [(at, low, high)])
        for (at, _), (arm, (value, low, high)) in zip(y.ticks, found.items(), strict=True)
    ]
    name = NAMES.get(metric, metric)
    said = f"{name} against the baseline: " + "; ".join(f"{arm} {_told(one)}" for arm, one in found.items()) + "."
    return plot(series, x, y, title=name, description=said, height=48 + 34 * len(arms), legend=False)
