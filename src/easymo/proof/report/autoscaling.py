"""What an autoscaler would make of the measured capacities. Simulated, and said so at every place."""

from html import escape

from easymo.chart import svg_chart
from easymo.proof.report import wording
from easymo.proof.report.parts import section, table
from easymo.proof.verdict.file import VerdictFile

MARK = '<span class="simulated">simulated, not measured</span>'


def autoscaling(result: VerdictFile) -> str:
    """One chart per arm and a table of what it came to."""
    if not result.simulated:
        return ""
    rows, charts = [], []
    for arm, one in result.simulated.items():
        totals = one.totals
        rows.append(
            {
                "arm": escape(wording.arm(result, arm)),
                "one pod serves": wording.amount(one.capacity_rps, "requests/s"),
                "pods": f"{totals.least_replicas} … {totals.most_replicas}",
                "short of capacity": f"{totals.short_s:.0f} s of {totals.seconds:.0f} s",
                "pod-hours": f"{totals.pod_hours:.1f}",
            }
        )
        said = (
            f"Simulated: {one.autoscaler} between {totals.least_replicas} and {totals.most_replicas} pods; demand is"
            f" above the capacity of the ready pods for {totals.short_s:.0f} of {totals.seconds:.0f} seconds."
        )
        title = f"{wording.arm(result, arm)} (simulated): demand against the capacity of the ready pods"
        charts.append(svg_chart(one.lines, one.end_s, title=title, description=said, unit="requests/s"))
    first = next(iter(result.simulated.values()))
    told = (
        f"<p>{MARK} {escape(first.autoscaler)} on a made-up {escape(first.shape)}, with the capacity that each arm was"
        " measured to hold as that of one pod. No cluster was involved; start-up takes 20 s, readiness 10 s, a sample"
        " is 30 s old.</p>"
    )
    return section("Autoscaling", told, table(rows), *charts, folded=True)
