"""``easymo hpa``: what an autoscaler would do, before it does it."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

if TYPE_CHECKING:  # the engine needs the extra `hpa`: other commands must start without it
    from easymo.hpa.backtest import Backtest
    from easymo.hpa.check import Finding
    from easymo.hpa.simulate import Simulation
    from easymo.hpa.tune import Tuning

app = typer.Typer(help="See what a HorizontalPodAutoscaler would do before it does it.", no_args_is_help=True)

MOST_CHANGES = 30

Files = Annotated[list[Path], typer.Argument(metavar="FILE|DIR...", help="Manifests, folders or kustomizations.")]
Names = Annotated[list[str] | None, typer.Option("--hpa", metavar="NAME", help="Only this autoscaler. Repeatable.")]
Trace = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Demand: CSV time,value[,series], Prometheus range, access log.")
]
Shape = Annotated[str | None, typer.Option(metavar="NAME", help="Made-up demand: spike, day, step or sawtooth.")]
Base = Annotated[float | None, typer.Option(help="Lowest requests/s of the shape. Default: a fifth of the peak.")]
Peak = Annotated[float | None, typer.Option(help="Highest requests/s of the shape. Default: 80 % of maxReplicas.")]
Capacity = Annotated[float | None, typer.Option(help="Requests/s that one ready pod serves.")]
Verdict = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Take the capacity from a verdict.json of `easymo prove`.")
]
Arm = Annotated[str, typer.Option(help="The arm of the verdict whose capacity counts.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="NAME[=SOURCE]", help="NAME is the trace; or =SERIES|60%|queue|jobs|failing."),
]
Startup = Annotated[float, typer.Option(help="Seconds from the decision to a running container.")]
Readiness = Annotated[float, typer.Option("--readiness-delay", help="Seconds from running to ready.")]
Lag = Annotated[float, typer.Option("--metric-lag", help="Age of a sample when the autoscaler sees it, in seconds.")]
FullPercent = Annotated[float, typer.Option("--cpu-at-capacity", help="CPU of a pod at its capacity, % of request.")]
SyncPeriod = Annotated[float, typer.Option("--sync-period", help="Seconds between two syncs.")]
Tolerance = Annotated[float, typer.Option(help="The controller's tolerance, where a manifest sets none.")]
Window = Annotated[float, typer.Option("--downscale-window", help="The controller's scale-down window, in seconds.")]
Price = Annotated[float | None, typer.Option(help="Price of a pod-hour.")]
Initial = Annotated[int | None, typer.Option(help="Size at the start. Default: what the first demand needs.")]
HoldGaps = Annotated[bool, typer.Option("--hold-gaps", help="Let values hold over missing rows of a trace.")]


@app.callback()
def hpa() -> None:
    """See what a HorizontalPodAutoscaler would do before it does it."""


@app.command(
    epilog="Example: easymo hpa check k8s/base k8s/autoscaling --max-connections 100. Exit code: 0 no error, 1 an "
    "error was found, 2 usage or a file that cannot be used."
)
def check(
    files: Files,
    version: Annotated[str, typer.Option("--kubernetes", metavar="VERSION", help="The cluster's version.")] = "1.34",
    max_connections: Annotated[int | None, typer.Option(help="max_connections of the pods' Postgres.")] = None,
    pool_variable: Annotated[
        str, typer.Option(help="Environment variable that holds a pod's pool size.")
    ] = "DATABASE_POOL_SIZE",
    longest_job: Annotated[
        list[str] | None, typer.Option(metavar="WORKLOAD=SECONDS", help="How long a job may take. Repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, and nothing else.")] = False,
) -> None:
    """Check autoscalers and what they scale: what Kubernetes refuses, and what it accepts but a team regrets.

    A comment `# easymo:ignore <rule> <reason>` in an object silences one rule for it. The rules are in
    docs/reference/hpa-rules.
    """
    from easymo.hpa import check as rules
    from easymo.hpa.errors import HpaError
    from easymo.hpa.manifests import read_documents

    try:
        settings = rules.Settings(
            version=version,
            max_connections=max_connections,
            pool_variable=pool_variable,
            longest_job_s=_longest_jobs(longest_job or ()),
        )
        findings, notes = rules.check(read_documents(files), settings)
    except HpaError as error:
        _fail(error)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(findings)) + b"\n")
    else:
        _print_findings(findings, notes)
    if any(finding.severity is rules.Severity.ERROR for finding in findings):
        raise typer.Exit(1)


def _longest_jobs(texts: Sequence[str]) -> dict[str, int]:
    from easymo.hpa.errors import HpaError

    found = {}
    for text in texts:
        workload, _, seconds = text.partition("=")
        if not seconds.isdigit():
            raise HpaError(f"--longest-job {text}: write WORKLOAD=SECONDS, like video-orchestrator=600.")
        found[workload] = int(seconds)
    return found


def _print_findings(findings: "Sequence[Finding]", notes: Sequence[str]) -> None:
    for finding in findings:
        typer.echo(f"{finding.file}:{finding.line}: {finding.severity}: {finding.message} [{finding.rule}]")
        typer.echo(f"  help: {finding.help}")
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    errors = sum(finding.severity == "error" for finding in findings)
    typer.echo(f"{errors} errors, {len(findings) - errors} warnings", err=True)


@app.command(
    epilog="Example: easymo hpa simulate k8s/autoscaling/hpa.yaml --shape spike --peak 600 --capacity 156. "
    "Exit code: 0 done, 2 usage or a file that cannot be used."
)
def simulate(
    files: Files,
    trace: Trace = None,
    shape: Shape = None,
    base: Base = None,
    peak: Peak = None,
    capacity: Capacity = None,
    verdict: Verdict = None,
    arm: Arm = "both",
    names: Names = None,
    metrics: Metrics = None,
    startup: Startup = 20,
    readiness_delay: Readiness = 10,
    metric_lag: Lag = 30,
    cpu_at_capacity: FullPercent = 100,
    sync_period: SyncPeriod = 15,
    tolerance: Tolerance = 0.1,
    downscale_window: Window = 300,
    price: Price = None,
    initial: Initial = None,
    hold_gaps: HoldGaps = False,
    compare: Annotated[Path | None, typer.Option(metavar="OTHER", help="Simulate these manifests too.")] = None,
    actual: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Replicas that really were: CSV time,value[,series].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, and nothing else.")] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one row per sync.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with charts.")] = None,
) -> None:
    """Replay demand against autoscalers: every sync's decision, seconds short of capacity, pod-hours, flaps."""
    from easymo.hpa import report
    from easymo.hpa.errors import HpaError
    from easymo.hpa.inputs import read_autoscalers
    from easymo.hpa.replay import replay_of
    from easymo.hpa.simulate import Conditions
    from easymo.trace import TraceError, read_trace

    others: list[Simulation] = []
    tested: list[Backtest] = []
    try:
        given = Conditions(
            capacity=_capacity(capacity, verdict, arm),
            full_percent=cpu_at_capacity,
            startup_s=startup,
            readiness_delay_s=readiness_delay,
            metric_lag_s=metric_lag,
            sync_period_s=sync_period,
            tolerance=tolerance,
            downscale_window_s=downscale_window,
            initial_replicas=initial,
            pod_hour_price=price,
        )
        replay = replay_of(trace, shape, base, peak, metrics or (), hold_gaps=hold_gaps)
        scaled = read_autoscalers(files, names or ())
        if actual is None:
            found = replay.run(scaled, given)
        else:
            found, tested = replay.run_against(scaled, given, read_trace(actual, hold_gaps=hold_gaps))
        if compare is not None:
            others = replay.run(read_autoscalers([compare], names or ()), given)
    except (HpaError, TraceError) as error:
        _fail(error)
    if csv is not None:
        _write(csv, report.csv_text([*found, *others]))
    if html is not None:
        _write(html, report.html_page(found, others))
    if as_json:
        result = {"simulations": found, "compared": others, "backtests": tested}
        sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
    else:
        _print(found, others, tested)


@app.command(
    epilog="Example: easymo hpa tune hpa.yaml --trace day.csv --capacity 156 --limit 30 --patch better.yaml. "
    "Exit code: 0 found, 1 no candidate keeps the limit, 2 usage or a file that cannot be used."
)
def tune(
    files: Files,
    limit: Annotated[float, typer.Option(help="Seconds short of capacity that are allowed over the whole demand.")] = 0,
    trace: Trace = None,
    shape: Shape = None,
    base: Base = None,
    peak: Peak = None,
    capacity: Capacity = None,
    verdict: Verdict = None,
    arm: Arm = "both",
    names: Names = None,
    metrics: Metrics = None,
    startup: Startup = 20,
    readiness_delay: Readiness = 10,
    metric_lag: Lag = 30,
    cpu_at_capacity: FullPercent = 100,
    sync_period: SyncPeriod = 15,
    tolerance: Tolerance = 0.1,
    downscale_window: Window = 300,
    price: Price = None,
    hold_gaps: HoldGaps = False,
    minimums: Annotated[list[int] | None, typer.Option("--min", help="A minReplicas to try. Repeatable.")] = None,
    maximums: Annotated[list[int] | None, typer.Option("--max", help="A maxReplicas to try. Repeatable.")] = None,
    best: Annotated[int, typer.Option(min=1, help="How many candidates to show.")] = 10,
    processes: Annotated[int | None, typer.Option(min=1, help="Default: one per core.")] = None,
    patch: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the cheapest as a kustomize patch.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, and nothing else.")] = False,
) -> None:
    """Search bounds, targets and behavior for the cheapest autoscaler that is short for at most --limit seconds."""
    from easymo.hpa import tune as engine
    from easymo.hpa.errors import HpaError
    from easymo.hpa.inputs import read_autoscalers, sources_of
    from easymo.hpa.replay import replay_of
    from easymo.hpa.simulate import Conditions
    from easymo.trace import TraceError

    try:
        given = Conditions(
            capacity=_capacity(capacity, verdict, arm),
            full_percent=cpu_at_capacity,
            startup_s=startup,
            readiness_delay_s=readiness_delay,
            metric_lag_s=metric_lag,
            sync_period_s=sync_period,
            tolerance=tolerance,
            downscale_window_s=downscale_window,
            pod_hour_price=price,
        )
        replay = replay_of(trace, shape, base, peak, metrics or (), hold_gaps=hold_gaps)
        scaled = read_autoscalers(files, names or ())
        sources = replay.sources(scaled)
        found = []
        for one in scaled:
            grid = engine.grid_for(one.hpa, minimums or (), maximums or ())
            own, demand = sources_of(one.hpa, sources), replay.demand(one.hpa, given)
            with _progress(one.hpa.name) as shown:
                found.append(
                    engine.tune(
                        one, demand, given, own, limit_short_s=limit, grid=grid, processes=processes, on_progress=shown
                    )
                )
    except (HpaError, TraceError) as error:
        _fail(error)
    if patch is not None:
        patches = [engine.patch_of(one, t.best[0].hpa) for one, t in zip(scaled, found, strict=True) if t.best]
        _write(patch, "---\n".join(patches))
    if as_json:
        printed = [msgspec.structs.replace(tuning, best=tuning.best[:best]) for tuning in found]
        sys.stdout.buffer.write(msgspec.json.encode(printed) + b"\n")
    else:
        for tuning in found:
            _print_tuning(tuning, limit, best)
    if not all(tuning.best for tuning in found):
        raise typer.Exit(1)


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, and nothing elsewhere."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(name)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print_tuning(tuning: "Tuning", limit: float, most: int) -> None:
    from easymo.hpa.tune import described

    table = Table(
        *("pods", "targets", "up", "down", "short", "pod-hours", "cost", "changes", "flaps"),
        box=None,
        header_style="bold",
        padding=(0, 1, 0, 0),
        title=f"{tuning.now.hpa.name}: {tuning.tried} candidates, at most {limit:g} s short",
        title_justify="left",
    )
    for number, one in enumerate([tuning.now, *tuning.best[:most]]):
        totals = one.totals
        cost = "–" if totals.cost is None else f"{totals.cost:,.2f}"
        figures = (f"{totals.short_s:,.0f} s", f"{totals.pod_hours:,.1f}", cost, str(totals.changes), str(totals.flaps))
        table.add_row(*described(one.hpa), *figures, style="" if number else "dim", end_section=not number)
    console = Console(highlight=False)
    console.print(table)
    typer.echo("The first row is the manifest as it is.")
    if not tuning.best:
        typer.echo(
            f"No candidate keeps the limit of {limit:g} s; the best is short for {tuning.least_short_s:,.0f} s. "
            "Allow more, raise --min, or shorten start-up and metric lag."
        )


def _capacity(capacity: float | None, verdict: Path | None, arm: str) -> float:
    from easymo.hpa.errors import HpaError
    from easymo.hpa.inputs import capacity_from

    if (capacity is None) == (verdict is None):
        raise HpaError(
            "Say what one ready pod serves: either --capacity REQUESTS_PER_SECOND, or --verdict verdict.json "
            "as `easymo prove` writes it."
        )
    return capacity_from(verdict, arm) if capacity is None and verdict is not None else capacity or 0.0


def _print(found: "list[Simulation]", others: "list[Simulation]", tested: "list[Backtest]") -> None:
    from easymo.hpa import report

    console = Console(highlight=False)
    width = min(console.width, 100)
    for one in found:
        console.print(f"[bold]{one.name}[/bold]")
        typer.echo(report.terminal(one, width - 1))
        for line in report.changes(one)[:MOST_CHANGES]:
            typer.echo(f"  {line}")
        if (more := len(report.changes(one)) - MOST_CHANGES) > 0:
            typer.echo(f"  and {more} more changes: --csv FILE has every sync")
        typer.echo("")
    console.print(_totals(found, others))
    for note in dict.fromkeys(note for one in [*found, *others] for note in one.notes):
        typer.echo(f"note: {note}", err=True)
    for one, test in zip(found, tested, strict=False):
        typer.echo("\n" + "\n".join(report.backtest_lines(one, test)))
    typer.echo("Simulated from the manifests and the demand; nothing was measured.")


def _totals(found: "list[Simulation]", others: "list[Simulation]") -> Table:
    from easymo.hpa import report

    table = Table(*report.HEAD, box=None, header_style="bold", padding=(0, 1, 0, 0))
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify = "right"
    for one in found:
        table.add_row(*report.totals_row(one.name, one.totals))
    for one in others:
        table.add_row(*report.totals_row(f"{one.name} (compared)", one.totals))
    return table


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        _fail(f"{path} cannot be written: {error.strerror}. Name another file.")


def _fail(error: object) -> NoReturn:
    typer.echo(f"easymo hpa: {error}", err=True)
    raise typer.Exit(2)
