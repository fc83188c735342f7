"""What `easymo indexes` shows people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:  # the engine needs the extra `indexes`: other commands must start without it
    from easymo.indexes import Plan
    from easymo.indexes.lint import Finding
    from easymo.indexes.statements import Observed
    from easymo.indexes.verify import Served, Verified


def print_plan(planned: "Plan") -> None:
    """Steps, what is there now, what is in the way, and the digest."""
    console = Console(highlight=False)
    for step in planned.steps:
        cost = (
            f"  about {step.estimate.size_bytes / 1e6:.1f} MB, {step.estimate.seconds:.0f} s" if step.estimate else ""
        )
        console.print(f"{step.action or 'REFUSED':<8}{step.index} on {step.table}{cost}", markup=False, soft_wrap=True)
        if step.refused:
            console.print(f"        {step.refused}", markup=False, soft_wrap=True)
    table = Table("there now", "table", "MB", "scans", "last scan", "", box=None, header_style="bold")
    for index in planned.indexes:
        last = index.last_scan.strftime("%Y-%m-%d") if index.last_scan else ""
        table.add_row(index.index, index.table, f"{index.size_bytes / 1e6:.1f}", str(index.scans), last, index.remark)
    console.print(table)
    usage = planned.usage
    said = f"Scans since {usage.since:%Y-%m-%d %H:%M}."
    if usage.last_scan_unknown_because:
        said += f" Unknown when the last one was: {usage.last_scan_unknown_because}."
    if usage.unknown_because:
        said += f" No index is called unused: {usage.unknown_because}."
    free = "unknown from here" if planned.free_bytes is None else f"{planned.free_bytes / 1e9:.1f} GB"
    console.print(f"{said} Free disk space of the server: {free}.", markup=False, soft_wrap=True)
    for blocker in planned.blocked_by:
        console.print(f"A build would wait for {blocker}", markup=False, soft_wrap=True)
    console.print(f"digest {planned.digest}")


def print_findings(findings: "Sequence[Finding]") -> None:
    """Two lines a finding, and their count on standard error."""
    for finding in findings:
        typer.echo(f"{finding.file}:{finding.line}: {finding.severity}: {finding.message} [{finding.rule}]")
        typer.echo(f"  help: {finding.help}")
    errors = sum(finding.severity == "error" for finding in findings)
    typer.echo(f"{errors} errors, {len(findings) - errors} warnings", err=True)


def print_verified(verified: "Verified") -> None:
    """Indexes with what they bring and cost, then what each hot query uses."""
    console = Console(highlight=False, width=max(120, Console().width))
    table = Table("index", "state", "MB", "scans", "HOT", "µs/row", "serves", "P50 ms with", "without", box=None)
    for index in verified.indexes:
        hot = "" if index.hot_ratio is None else f"{index.hot_ratio:.0%}"
        price = "" if index.write_us_per_row is None else f"{index.write_us_per_row:.2f}"
        row = [index.index, index.state, f"{index.size_bytes / 1e6:.1f}", str(index.scans), hot, price]
        table.add_row(*row, *(_served(index.serves[0]) if index.serves else ("", "", "")))
        for served in index.serves[1:]:
            table.add_row(*[""] * 6, *_served(served))
    console.print(table)
    for query in verified.queries:
        used = ", ".join(query.indexes) or "no index"
        generic = (
            ""
            if query.generic_indexes == query.indexes
            else f"; generic plan: {', '.join(query.generic_indexes) or 'none'}"
        )
        told = query.problem or f"{used}{generic}; {query.buffers} buffers"
        console.print(f"{query.query}: {told}", markup=False, soft_wrap=True)
    for index in verified.indexes:
        if index.ends_hot_for:
            console.print(f"{index.index} ends HOT for {', '.join(index.ends_hot_for)}", markup=False, soft_wrap=True)


def _served(served: "Served") -> tuple[str, str, str]:
    return served.query, f"{served.with_index.p50_ms:.2f}", f"{served.without_index.p50_ms:.2f}"


def print_observed(observed: "Sequence[Observed]") -> None:
    """Each query before and since a deployment."""
    table = Table("query", "calls before", "since", "mean ms before", "since", "buffers before", "since", box=None)
    for row in observed:
        means = (row.mean_ms_before, row.mean_ms_after, row.buffers_before, row.buffers_after)
        shown = ["–" if mean is None else f"{mean:.2f}" for mean in means]
        table.add_row(row.query[:60], str(row.calls_before), str(row.calls_after), *shown)
    Console(highlight=False).print(table)
