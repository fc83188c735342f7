"""The search for each arm's capacity: which rates were asked for, and what P95 came of it."""

from html import escape

from easymo.chart.plot import Series, log_axis, plot
from easymo.proof.report import wording
from easymo.proof.report.parts import look, section
from easymo.proof.verdict.file import VerdictFile


def capacity(result: VerdictFile) -> str:
    """Every step of every arm, held or failed."""
    steps = {name: arm.capacity_steps for name, arm in result.arms.items() if arm.capacity_steps}
    if not steps:
        return ""
    series = []
    for name, tried in steps.items():
        which = look(list(result.arms), name)
        known = [(step.rate_rps, max(step.p95_ms, 0.01), step.held) for step in tried if step.p95_ms is not None]
        series.append(
            Series(
                f"{wording.arm(result, name)} held", which, "held", [(rate, p95) for rate, p95, held in known if held]
            )
        )
        series.append(
            Series(
                f"{wording.arm(result, name)} failed",
                which,
                "failed",
                [(rate, p95) for rate, p95, held in known if not held],
            )
        )
    points = [point for one in series for point in one.points]
    if not points:
        return ""
    rates, p95s = [x for x, _ in points], [y for _, y in points]
    chart = plot(
        series,
        log_axis("requests/s asked", min(rates), max(rates)),
        log_axis("P95, ms", min(p95s), max(p95s)),
        title="Capacity: rates asked, and the P95 that came of them",
        description=_in_words(result),
    )
    failed = [
        f"<li>{escape(name)}, {step.rate_rps:g}/s: {escape(step.why)}</li>"
        for name, tried in steps.items()
        for step in tried
        if not step.held
    ]
    why = f"<details><summary>Why steps failed</summary><ul>{''.join(failed)}</ul></details>" if failed else ""
    return section("Capacity", chart, why, folded=True)


def _in_words(result: VerdictFile) -> str:
    said = [
        f"{name} holds {wording.amount(arm.capacity_rps, 'requests/s')}"
        + (f" and fails at {wording.amount(arm.capacity_failed_rps, 'requests/s')}" if arm.capacity_failed_rps else "")
        for name, arm in result.arms.items()
        if arm.capacity_rps is not None
    ]
    return "Each step of the search, P95 over the rate asked. " + "; ".join(said) + "."
