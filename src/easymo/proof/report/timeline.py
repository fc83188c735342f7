"""The whole run, round by round: rate, errors, CPU, statements."""

from collections.abc import Callable, Sequence

from easymo.chart.plot import Axis, Series, linear_axis, plot
from easymo.proof.report import wording
from easymo.proof.report.parts import look, section
from easymo.proof.verdict.file import VerdictFile
from easymo.proof.verdict.measurement import Round

NAMES: dict[str, str] = {"aa-1": "A/A", "aa-2": "A/A", "compare": "comparison"}
Value = Callable[[Round], float | None]


def timeline(result: VerdictFile, rounds: Sequence[Round]) -> str:
    """Four rows of bars, one bar a round in the order they were played, coloured by arm."""
    if not rounds:
        return ""
    panels: list[tuple[str, str, Value]] = [
        ("Requests answered without error", "requests/s", lambda r: r.load.goodput_rps),
        ("Errors", "% of the requests", lambda r: 100 * r.load.error_ratio),
        ("CPU of system, database and cache", "cores", lambda r: r.resources.cpu_ratio),
        ("Database statements", "statements/s", _statements_per_s),
    ]
    charts = [_panel(result, rounds, *panel, first=n == 0, last=n == 3) for n, panel in enumerate(panels)]
    phases = ", ".join(f"{name} from round {start + 1}" for start, name in _phases(rounds))
    told = f"<p class=dim>{len(rounds)} rounds in the order they were played: {phases}. Void rounds are left blank.</p>"
    return section("Timeline", *charts, told, folded=True)


def _panel(
    result: VerdictFile, rounds: Sequence[Round], title: str, unit: str, value: Value, *, first: bool, last: bool
) -> str:
    arms = list(result.arms)
    found = [(n, r, value(r)) for n, r in enumerate(rounds) if not r.load.void]
    known = [(n, r.arm, v) for n, r, v in found if v is not None]
    if not known:
        return ""
    series = [
        Series(
            wording.arm(result, arm), look(arms, arm), "bars", [(float(n), v) for n, name, v in known if name == arm]
        )
        for arm in arms
    ]
    highest = max(v for _, _, v in known)
    top = max(known, key=lambda one: one[2])
    said = f"{title}, one bar a round; the highest is {top[2]:.3g} {unit}, in round {top[0] + 1} ({top[1]})."
    x = Axis("round" if last else "", 0.0, float(len(rounds)), _round_ticks(len(rounds)))
    axis = linear_axis("", highest, 2)
    return plot(series, x, axis, title=f"{title}, {unit}", description=said, height=150 if last else 122, legend=first)


def _statements_per_s(round_: Round) -> float | None:
    each = round_.resources.db_statements_per_request
    return None if each is None else each * round_.load.rate_rps


def _round_ticks(count: int) -> list[tuple[float, str]]:
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if count / s <= 10)
    return [(n - 0.5, str(n)) for n in range(step, count + 1, step)]


def _phases(rounds: Sequence[Round]) -> list[tuple[int, str]]:
    """Where each stretch of one phase begins; the two halves of the A/A pairs are one."""
    names = [NAMES.get(round_.phase, round_.phase) for round_ in rounds]
    return [(n, name) for n, name in enumerate(names) if n == 0 or names[n - 1] != name]
