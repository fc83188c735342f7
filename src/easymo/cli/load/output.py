"""What a run shows: a line each second while it goes on, tables at its end."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from easymo.load import Distribution, Glance, LoadResult, Requirement


def show(glance: "Glance") -> None:
    """Overwrite the line on the terminal."""
    times = "  ".join(
        f"{name} {'–' if value is None else f'{value:.1f}'}"
        for name, value in (("P50", glance.p50_ms), ("P95", glance.p95_ms), ("P99", glance.p99_ms))
    )
    late = "–" if glance.lateness_p99_ms is None else f"{glance.lateness_p99_ms:.1f}"
    line = f"{glance.second:5} s  {glance.requests}/s  {times} ms  errors {glance.errors}  lateness {late} ms"
    sys.stderr.write(f"\r{line:<79}")
    sys.stderr.flush()


def clear_line() -> None:
    """Remove that line."""
    if sys.stderr.isatty():
        sys.stderr.write("\r" + " " * 79 + "\r")


def print_result(result: "LoadResult", requirements: "Sequence[Requirement]", percentiles: Sequence[float]) -> None:
    """The tables, within 80 columns."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    stopped = " before it was stopped" if result.interrupted else ""
    console.print(
        f"{result.requests} requests in {result.duration_s:.4g} s{stopped}: {result.rate_rps:.1f}/s started, "
        f"{result.goodput_rps:.1f}/s answered without error"
    )
    _print_counts(console, result)
    heads = ("count", "errors", *(f"P{percentile:g}" for percentile in percentiles), "max")
    table = Table("times in ms", *heads, box=None, header_style="bold", padding=(0, 1, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    failed = str(sum(result.errors.values()))
    rows = [
        ("latency (from the intended time)", str(result.requests), failed, result.latency_ms),
        ("  until the first byte", "", "", result.first_byte_ms),
        ("service time", "", "", result.service_ms),
        ("lateness of the generator", "", "", result.lateness_ms),
        *((f"  {n}", str(t.requests), str(t.errors), t.latency_ms) for n, t in result.per_request.items()),
    ]
    for name, requests, errors, times in rows:
        table.add_row(name, requests, errors, *_times(times, percentiles))
    console.print(table)
    for requirement in requirements:
        console.print(f"{'met' if requirement.met_by(result) else 'NOT MET'}: {requirement.text}")
    console.print(
        f"seed {result.seed}, salt {result.salt}, priority {result.priority}, generator CPU {result.cpu_s:.2f} s"
    )


def _print_counts(console: "Console", result: "LoadResult") -> None:
    size = sum(answers.body_bytes for answers in result.answers.values())
    console.print(f"answers: {_counts(result.statuses)}; {size / 1e6:,.3g} MB of bodies")
    console.print(f"errors {result.error_ratio:.2%}: {_counts(result.errors)}")
    for name, answers in result.answers.items():
        for what, counts in (("redirected to", answers.redirects), ("wrong", answers.wrong)):
            for text, count in list(counts.items())[:5]:
                console.print(f"  {name}: {count} × {what}{'' if what[0] == 'r' else ':'} {text}")
    for name, visits in result.visits.items():
        left = f"; left at {_counts(visits.left_at)}" if visits.left_at else ""
        console.print(f"visitor {name}: {visits.begun} came, {visits.finished} finished{left}")
        if visits.left_at and not visits.finished:
            console.print(f"  None got through: fix that step, or the load is not the one that {name!r} describes.")
    if result.reads:
        console.print(f"repeated reads: {result.repeat_read_ratio:.1%} of {result.reads}")


def _counts(counts: "dict[str, int]") -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _times(times: "Distribution | None", percentiles: Sequence[float]) -> list[str]:
    from easymo.load.distribution import at_shares

    if times is None:
        return []
    return [f"{ms:.1f}" for ms in (*at_shares(times, [p / 100 for p in percentiles]), times.max)]
