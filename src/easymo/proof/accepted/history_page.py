"""The accepted runs as one page for the quarterly review: verdicts run by run, and how the figures went."""

from collections.abc import Callable, Sequence
from html import escape

from easymo.chart import page
from easymo.chart.plot import Axis, Series, linear_axis, plot
from easymo.proof.accepted.history import AcceptedRun
from easymo.proof.report import wording
from easymo.proof.report.parts import STYLE, look, section, table

Figures = Callable[[AcceptedRun], dict[str, float | None]]


def html_page(runs: Sequence[AcceptedRun]) -> str:
    """One self-contained page, oldest run first."""
    charts = [
        _chart(runs, "Capacity", "requests/s", lambda run: run.capacities),
        _chart(runs, "P95 at the run's own rate", "ms", lambda run: dict(run.p95_ms)),
        _chart(runs, "Database statements per request", "statements/request", lambda run: dict(run.statements)),
    ]
    told = f"<p>{len(runs)} accepted runs, from {escape(runs[0].created[:10])} to {escape(runs[-1].created[:10])}.</p>"
    sections = [told, section("Verdicts", _verdicts(runs)), section("Figures", *charts), section("Runs", _runs(runs))]
    return page("Accepted runs", sections, STYLE)


def _verdicts(runs: Sequence[AcceptedRun]) -> str:
    names = [_name(runs, n) for n in range(len(runs))]
    rows = []
    for promise in dict.fromkeys(promise for run in runs for promise in run.promises):
        found = [run.promises.get(promise) for run in runs]
        cells = {n: f'<span class="{v}">{v}</span>' if v else "–" for n, v in zip(names, found, strict=True)}
        rows.append({"promise": escape(promise), **cells})
    return table(rows, words=names)


def _runs(runs: Sequence[AcceptedRun]) -> str:
    rows = []
    for n, run in enumerate(runs):
        capacities = ", ".join(f"{arm} {wording.amount(held, 'requests/s')}" for arm, held in run.capacities.items())
        commit = f"<code>{escape((run.git or '–')[:12])}</code>"
        rows.append(
            {
                "run": escape(_name(runs, n)),
                "accepted": escape(run.created),
                "commit": commit,
                "capacity": escape(capacities),
            }
        )
    return table(rows, words=("accepted", "commit"))


def _chart(runs: Sequence[AcceptedRun], title: str, unit: str, figures: Figures) -> str:
    """One line an arm over the runs; nothing where no run tells the figure."""
    arms = list(dict.fromkeys(arm for run in runs for arm in run.capacities))
    points = {
        arm: [(n + 0.5, value) for n, run in enumerate(runs) if (value := figures(run).get(arm)) is not None]
        for arm in arms
    }
    values = [value for found in points.values() for _, value in found]
    if not values:
        return ""
    series = [
        Series(arm, look(arms, arm), drawn, found) for arm, found in points.items() for drawn in ("curve", "held")
    ]
    x = Axis("run", 0.0, float(len(runs)), [(n + 0.5, str(n + 1)) for n in range(0, len(runs), len(runs) // 12 + 1)])
    ends = "; ".join(
        f"{arm} from {wording.amount(found[0][1], unit)} to {wording.amount(found[-1][1], unit)}"
        for arm, found in points.items()
        if found
    )
    said = f"{title} over {len(runs)} accepted runs: {ends}."
    return plot(series, x, linear_axis(unit, max(values)), title=title, description=said, height=240)


def _name(runs: Sequence[AcceptedRun], place: int) -> str:
    """The run's day, with its number where a day has several."""
    day = runs[place].created[:10]
    same = [n for n, run in enumerate(runs) if run.created[:10] == day]
    return day if len(same) == 1 else f"{day} ({same.index(place) + 1})"
