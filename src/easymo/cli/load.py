"""`easymo load`: the open-model load generator on the command line."""

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:  # the engine needs the extra `load`: other commands must start without it
    from easymo.load import Distribution, Glance, LoadResult, Requirement, Stage
    from easymo.load.schedule import Arrivals

app = typer.Typer(help="Send load at a fixed arrival rate and measure it honestly.", no_args_is_help=True)

EXIT_NOT_MET, EXIT_VOID = 1, 3


@app.callback()
def load() -> None:
    """Send load at a fixed arrival rate and measure it honestly."""


@app.command(
    epilog="Example: easymo load run tests/load/services.py --url voice-bridge=http://127.0.0.1:4405 "
    "--url whatsapp-webhook=http://127.0.0.1:4900 --url agent-core=http://127.0.0.1:4000 --rate 100 --duration 30 "
    "--require 'p95<150ms' --require 'error_ratio<1%'. Exit code: 0 done, 1 a requirement not met, 2 usage, "
    "3 void or not finished."
)
def run(
    scenario: Annotated[Path, typer.Argument(help="Python file that exports `scenario = Scenario([...])`.")],
    url: Annotated[list[str], typer.Option(help="http://HOST:PORT, or NAME=http://… for a named target. Repeatable.")],
    rate: Annotated[float | None, typer.Option(help="Requests started per second.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds that count.")] = None,
    stages: Annotated[
        str | None, typer.Option(help="In place of rate and duration: 50x10s,50-200x20s (a ramp),200x60s.")
    ] = None,
    arrivals: Annotated[
        str,
        typer.Option(
            metavar="poisson|constant|FILE",
            help="How requests are spaced; or a recording whose rates are played again (Poisson): an access log, a CSV "
            "time,value[,series] in requests/s, or a Prometheus range. --duration then ends it early.",
        ),
    ] = "poisson",
    speed: Annotated[float, typer.Option(help="Of a recording: time passes so many times as fast.")] = 1.0,
    scale: Annotated[float, typer.Option(help="Of a recording: every rate is multiplied by this.")] = 1.0,
    series: Annotated[str | None, typer.Option(help="Of a recording with several series: the one to play.")] = None,
    hold_gaps: Annotated[
        bool, typer.Option("--hold-gaps", help="Let a value hold over rows that are missing.")
    ] = False,
    warm_up: Annotated[float, typer.Option(help="Seconds sent before, at the first rate, and not counted.")] = 0.0,
    timeout: Annotated[float, typer.Option(help="Seconds after its intended time when a request is an error.")] = 2.0,
    seed: Annotated[int, typer.Option(help="The same seed sends the same requests at the same times.")] = 1,
    salt: Annotated[str | None, typer.Option(help="Makes the tokens of this run its own. Default: random.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that share the schedule; added up exactly.")] = 1,
    require: Annotated[list[str] | None, typer.Option(help="A bound like 'p95<150ms'. Repeatable.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON, and nothing else.")] = False,
) -> None:
    """Run a scenario against a system that is up.

    Every request is sent at its intended time, whatever has become of the others, and its latency counts from then.
    """
    from easymo.load import Job, LoadError, parse_requirement, parse_targets, run_job, run_process
    from easymo.load.live import glancing

    try:
        requirements = [parse_requirement(text) for text in require or ()]
        recording = _Recording(speed, scale, series, hold_gaps)
        spacing, planned = _plan(arrivals, rate, duration, stages, recording)
        job = Job(
            scenario=str(scenario),
            urls={name: target.url for name, target in parse_targets(url).items()},
            stages=planned,
            arrivals=spacing,
            warm_up_s=warm_up,
            timeout_s=timeout,
            seed=seed,
            salt=secrets.token_hex(4) if salt is None else salt,
        )
        show = _show if sys.stderr.isatty() else None
        if processes > 1 or json:
            result = run_process(job, processes, on_second=show)
        else:
            result = run_job(job, glancing(show) if show else None)
    except LoadError as error:
        _clear_line()
        typer.echo(f"easymo load: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    _clear_line()
    missed = [requirement for requirement in requirements if not requirement.met_by(result)]
    if json:
        typer.echo(msgspec.json.encode(result))
    else:
        _print(result, requirements)
    if result.void:
        typer.echo(f"easymo load: void. {result.void}", err=True)
        raise typer.Exit(EXIT_VOID)
    for requirement in missed:
        typer.echo(f"easymo load: not met: {requirement.text}", err=True)
    if missed:
        raise typer.Exit(EXIT_NOT_MET)


class _Recording(NamedTuple):
    """The options that are for a recording only."""

    speed: float = 1.0
    scale: float = 1.0
    series: str | None = None
    hold_gaps: bool = False


def _plan(
    arrivals: str, rate: float | None, duration: float | None, stages: str | None, recording: _Recording
) -> "tuple[Arrivals, list[Stage]]":
    """How requests are spaced, and the stages of the run."""
    from easymo.load import ScenarioError, recorded, stages_of

    if arrivals in ("poisson", "constant"):
        if recording != _Recording():
            raise ScenarioError("--speed, --scale, --series and --hold-gaps change a recording: name it by --arrivals.")
        return ("poisson" if arrivals == "poisson" else "constant"), _stages(rate, duration, stages)
    if not Path(arrivals).is_file():
        raise ScenarioError(f"--arrivals {arrivals!r} is neither poisson nor constant, and there is no such file.")
    if rate is not None or stages is not None:
        raise ScenarioError("A recording has its own rates: leave --rate and --stages out (--scale changes them).")
    series = recorded(Path(arrivals), recording.series, hold_gaps=recording.hold_gaps)
    return "poisson", stages_of(series, speed=recording.speed, scale=recording.scale, duration_s=duration)


def _stages(rate: float | None, duration: float | None, stages: str | None) -> "list[Stage]":
    from easymo.load import ScenarioError, Stage, parse_stages

    if stages is not None and rate is None and duration is None:
        return parse_stages(stages)
    if stages is None and rate is not None and duration is not None:
        return [Stage(rate, duration)]
    raise ScenarioError("Say how much to send: either --rate and --duration, or --stages.")


def _show(glance: "Glance") -> None:
    times = "  ".join(
        f"{name} {'–' if value is None else f'{value:.1f}'}"
        for name, value in (("P50", glance.p50_ms), ("P95", glance.p95_ms), ("P99", glance.p99_ms))
    )
    late = "–" if glance.lateness_p99_ms is None else f"{glance.lateness_p99_ms:.1f}"
    line = f"{glance.second:5} s  {glance.requests}/s  {times} ms  errors {glance.errors}  lateness {late} ms"
    sys.stderr.write(f"\r{line:<79}")
    sys.stderr.flush()


def _clear_line() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r" + " " * 79 + "\r")


def _print(result: "LoadResult", requirements: "list[Requirement]") -> None:
    console = Console(highlight=False)
    console.print(
        f"{result.requests} requests in {result.duration_s:g} s: {result.rate_rps:.1f}/s started, "
        f"{result.goodput_rps:.1f}/s answered without error"
    )
    for title, counts in (("answers", result.statuses), (f"errors {result.error_ratio:.2%}", result.errors)):
        console.print(f"{title}: " + (", ".join(f"{name} {count}" for name, count in counts.items()) or "none"))
    if result.reads:
        console.print(f"repeated reads: {result.repeat_read_ratio:.1%} of {result.reads}")
    table = Table("times in ms", *("count", "errors", "P50", "P95", "P99", "max"), box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    failed = sum(result.errors.values())
    table.add_row("latency (from the intended time)", *_row(result.requests, failed, result.latency_ms))
    table.add_row("service time", *_row(result.requests, None, result.service_ms))
    table.add_row("lateness of the generator", *_row(result.requests, None, result.lateness_ms))
    for name, tally in result.per_request.items():
        table.add_row(f"  {name}", *_row(tally.requests, tally.errors, tally.latency_ms))
    console.print(table)
    for requirement in requirements:
        console.print(f"{'met' if requirement.met_by(result) else 'NOT MET'}: {requirement.text}")
    console.print(
        f"seed {result.seed}, salt {result.salt}, priority {result.priority}, generator CPU {result.cpu_s:.2f} s"
    )


def _row(requests: int, errors: int | None, times: "Distribution | None") -> list[str]:
    figures = (times.p50, times.p95, times.p99, times.max) if times else ()
    return [str(requests), "" if errors is None else str(errors), *(f"{ms:.1f}" for ms in figures)]
