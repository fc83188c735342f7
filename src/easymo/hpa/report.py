"""What a simulation says: rows, sentences and pages."""

import csv
import io
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from msgspec.structs import astuple

from easymo.chart import Line, page, svg_chart, terminal_chart
from easymo.chart.page import table
from easymo.hpa.backtest import Backtest
from easymo.hpa.simulate import Simulation, Sync, Totals

HEAD = ("autoscaler", "short", "over capacity", "peak queue", "pod-hours", "cost", "sizes", "changes", "flaps")
"""Short: seconds in which the ready pods could not serve the demand; over capacity: requests in those seconds."""

REASONS = {
    "DesiredWithinRange": "",
    "TooManyReplicas": "held at maxReplicas",
    "TooFewReplicas": "held at minReplicas",
    "ScaleUpLimit": "slowed by scaleUp policies",
    "ScaleDownLimit": "slowed by scaleDown policies",
    "ScalingDisabled": "switched off: the size is 0",
    "AboveMax": "above maxReplicas",
    "BelowMin": "below minReplicas",
    "MetricError": "a metric failed: the size is kept",
    "AmbiguousSelector": "another autoscaler scales the same pods: neither acts",
}


def totals_row(name: str, totals: Totals) -> list[str]:
    """The figures under ``HEAD``."""
    return [
        name,
        f"{totals.short_s:,.0f} s",
        f"{totals.over_requests:,.0f} ({totals.over_requests / totals.requests if totals.requests else 0:.1%})",
        f"{totals.peak_queue:,.0f}",
        f"{totals.pod_hours:,.1f}",
        "–" if totals.cost is None else f"{totals.cost:,.2f}",
        f"{totals.least_replicas}–{totals.most_replicas}",
        str(totals.changes),
        str(totals.flaps),
    ]


def moment(simulation: Simulation, time_s: float) -> str:
    """``time_s`` as hours, minutes and seconds since the start of the simulation."""
    seconds = round(time_s - simulation.syncs[0].time_s)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def changes(simulation: Simulation) -> list[str]:
    """One sentence per change of size, and one where a limit or a failed metric begins to hold it."""
    found = []
    for before, sync in pairwise([None, *simulation.syncs]):
        assert sync is not None
        if sync.replicas != sync.current:
            found.append(f"{moment(simulation, sync.time_s)}  {sync.current} → {sync.replicas}  {_because(sync)}")
        elif REASONS[sync.reason] and (before is None or before.reason != sync.reason):
            found.append(f"{moment(simulation, sync.time_s)}  stays {sync.current}  {_because(sync)}")
    return found


def _because(sync: Sync) -> str:
    parts = []
    if sync.proposal is not None:
        parts.append(f"{sync.metric} asks for {sync.proposal}")
        if sync.stabilized is not None and sync.stabilized != sync.proposal:
            parts.append(f"the windows make it {sync.stabilized}")
    if REASONS[sync.reason]:
        parts.append(REASONS[sync.reason])
    return ", ".join(parts)


def lines(simulation: Simulation) -> list[Line]:
    """Demand against the capacity of the ready pods."""
    times = [sync.time_s for sync in simulation.syncs]
    capacity = simulation.conditions.capacity
    ready = [sync.ready * capacity for sync in simulation.syncs]
    return [
        Line("demand", "demand", times, [sync.demand for sync in simulation.syncs]),
        Line("capacity of ready pods", "capacity", times, ready),
    ]


def terminal(simulation: Simulation, width: int) -> str:
    """The chart for a terminal."""
    return terminal_chart(lines(simulation), end_of(simulation), width=width)


def end_of(simulation: Simulation) -> float:
    """When the last sync's stretch ends."""
    return simulation.syncs[0].time_s + simulation.totals.seconds


def html_page(simulations: Sequence[Simulation], others: Sequence[Simulation] = ()) -> str:
    """One page: the totals of all, a chart of each, and under it every change of size."""
    every = [*simulations, *others]
    rows = [totals_row(one.name, one.totals) for one in every]
    sections = [_conditions(simulations[0]), table(HEAD, rows)]
    for one in every:
        steps = "".join(f"<li>{escape(line)}</li>" for line in changes(one)[:40])
        told = f"<details><summary>Changes of size</summary><ol>{steps}</ol></details>" if steps else ""
        sections.append(f"<h2>{escape(one.name)}</h2>{_figure(one)}{told}")
    return page("Simulated autoscaling: demand against capacity", sections)


def _figure(one: Simulation) -> str:
    totals = one.totals
    described = (
        f"{one.name} between {totals.least_replicas} and {totals.most_replicas} pods; demand is above the capacity of "
        f"the ready pods for {totals.short_s:.0f} seconds of {totals.seconds:.0f}."
    )
    return svg_chart(
        lines(one),
        end_of(one),
        title="Demand against the capacity of the ready pods",
        description=described,
        unit="requests/s",
    )


def _conditions(one: Simulation) -> str:
    given = one.conditions
    return (
        f'<p class="dim">Simulated, not measured: {given.capacity:g} requests/s per ready pod, start-up '
        f"{given.startup_s:g} s, readiness delay {given.readiness_delay_s:g} s, metric lag {given.metric_lag_s:g} s, "
        f"a sync every {given.sync_period_s:g} s.</p>"
    )


def csv_text(simulations: Sequence[Simulation]) -> str:
    """One row per sync and autoscaler."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["autoscaler", *Sync.__struct_fields__])
    for one in simulations:
        writer.writerows([one.name, *astuple(sync)] for sync in one.syncs)
    return out.getvalue()


def backtest_lines(simulation: Simulation, found: Backtest, most: int = 10) -> list[str]:
    """How far the simulation was from what really happened: the figures, then the largest differences."""
    result = [
        f"{simulation.name}: {found.agree_ratio:.1%} of {found.syncs} syncs have the size that really was, "
        f"{found.within_one_ratio:.1%} are at most one pod off; mean difference {found.mean_difference:.2f} pods",
        f"pod-hours: {found.simulated_pod_hours:.1f} simulated, {found.actual_pod_hours:.1f} actual",
    ]
    period_s = simulation.conditions.sync_period_s * 1.1
    longest = sorted(found.differences, key=lambda d: -abs(d.simulated - d.actual) * (d.end_s - d.start_s))
    for one in sorted(longest[:most], key=lambda d: d.start_s):
        note = "  (one sync: timing)" if one.end_s - one.start_s <= period_s else ""
        span = f"{moment(simulation, one.start_s)} to {moment(simulation, one.end_s)}"
        result.append(f"{span}  simulated {one.simulated}, really {one.actual}{note}")
    if len(longest) > most:
        result.append(f"and {len(longest) - most} smaller differences")
    return result
