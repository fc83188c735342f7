"""`easymo load run`: play a scenario, or one URL, against a system that is up."""

import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from easymo.cli.load import output

if TYPE_CHECKING:  # the engine needs the extra `load`: other commands must start without it
    from easymo.load import Call, Glance, LoadResult, Stage
    from easymo.load.schedule import Arrivals

EPILOG = (
    "Examples: easymo load run http://127.0.0.1:8000/orders --rate 50 --duration 30. "
    "easymo load run tests/load/services.py --url voice-bridge=http://127.0.0.1:4405 "
    "--url whatsapp-webhook=http://127.0.0.1:4900 --url agent-core=http://127.0.0.1:4000 --rate 100 --duration 30 "
    "--require 'p95<150ms' --require 'error_ratio<1%'. Exit code: 0 done, 1 a requirement not met, 2 usage, "
    "3 void or not finished, 130 stopped by Ctrl-C."
)
EXIT_NOT_MET, EXIT_VOID, EXIT_STOPPED = 1, 3, 130


def run(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO|URL", help="Python file that exports `scenario`, or the URL of a page.")
    ],
    url: Annotated[
        list[str] | None,
        typer.Option(help="http://HOST:PORT, or NAME=http://… for a named target of the scenario. Repeatable."),
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Requests (or visitors) started per second.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds that count.")] = None,
    stages: Annotated[
        str | None, typer.Option(help="Instead of rate and duration: 50x10s,50-200x20s (a ramp),200x60s.")
    ] = None,
    arrivals: Annotated[
        str,
        typer.Option(
            metavar="poisson|constant|FILE",
            help="How requests are spaced; or a recording whose rates are played again (Poisson): an access log, a CSV "
            "time,value[,series] in requests/s, or a Prometheus range. --duration then ends it early.",
        ),
    ] = "poisson",
    speed: Annotated[float, typer.Option(help="Replay speed of a recording: 60 plays an hour in a minute.")] = 1.0,
    scale: Annotated[float, typer.Option(help="Factor for every rate of a recording.")] = 1.0,
    series: Annotated[str | None, typer.Option(help="Which series of a recording to play.")] = None,
    hold_gaps: Annotated[
        bool, typer.Option("--hold-gaps", help="Let a recorded value hold over missing rows.")
    ] = False,
    warm_up: Annotated[float, typer.Option(help="Seconds sent before, at the first rate, and not counted.")] = 0.0,
    timeout: Annotated[float, typer.Option(help="Seconds after its intended time when a request is an error.")] = 2.0,
    method: Annotated[str, typer.Option(help="For a URL: the method.")] = "GET",
    header: Annotated[list[str] | None, typer.Option(help="For a URL: 'Name: value'. Repeatable.")] = None,
    data: Annotated[str | None, typer.Option(help="For a URL: the body, or @FILE.")] = None,
    gzip: Annotated[bool, typer.Option("--gzip", help="For a URL: accept compressed answers.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="For a URL: follow redirects.")] = False,
    host: Annotated[str, typer.Option(help="Name to ask the servers for (Host, TLS), instead of the URL's.")] = "",
    insecure: Annotated[bool, typer.Option("--insecure", help="Accept any TLS certificate.")] = False,
    certificate: Annotated[str, typer.Option(help="PEM file with the client's certificate and key.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed sends the same requests at the same times.")] = 1,
    salt: Annotated[str | None, typer.Option(help="Makes the tokens of this run its own. Default: random.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that share the schedule; added up exactly.")] = 1,
    require: Annotated[list[str] | None, typer.Option(help="A bound like 'p95<150ms'. Repeatable.")] = None,
    percentiles: Annotated[str, typer.Option(help="Which percentiles to show.")] = "50,90,95,99",
    json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON, and nothing else.")] = False,
    json_lines: Annotated[Path | None, typer.Option(help="File that gets a JSON line each second.")] = None,
    csv: Annotated[Path | None, typer.Option(help="File for a line of figures per request name.")] = None,
    prometheus: Annotated[Path | None, typer.Option(help="File for the figures in Prometheus' text format.")] = None,
) -> None:
    """Run a scenario, or one URL, against a system that is up.

    Every request is sent at its intended time, whatever has become of the others, and its latency counts from then.
    """
    from easymo.load import Job, LoadError, parse_requirement, parse_targets, run_process

    try:
        requirements = [parse_requirement(text) for text in require or ()]
        shares = _percentiles(percentiles)
        page, urls = _page(scenario, url or [], method, [*(header or ()), *["Accept-Encoding: gzip"] * gzip], data)
        spacing, planned = _plan(arrivals, rate, duration, stages, _Recording(speed, scale, series, hold_gaps))
        job = Job(
            scenario=page or scenario,
            urls={name: target.url for name, target in parse_targets(urls).items()},
            stages=planned,
            arrivals=spacing,
            warm_up_s=warm_up,
            timeout_s=timeout,
            seed=seed,
            salt=secrets.token_hex(4) if salt is None else salt,
            host=host,
            insecure=insecure,
            certificate=certificate,
            follow=follow,
        )
        on_second, lines = _on_second(json_lines)
        result = run_process(job, processes, on_second=on_second, interruptible=True)
        if lines is not None:
            lines.close()
    except (LoadError, OSError) as error:
        output.clear_line()
        typer.echo(f"easymo load: {error}", err=True)
        raise typer.Exit(getattr(error, "exit_code", 2)) from error
    _report(result, requirements, shares, json=json, csv=csv, prometheus=prometheus)


def _report(
    result: "LoadResult",
    requirements: Sequence[Any],
    percentiles: Sequence[float],
    *,
    json: bool,
    csv: Path | None,
    prometheus: Path | None,
) -> None:
    import msgspec

    from easymo.load.export import as_csv, as_prometheus

    output.clear_line()
    if json:
        typer.echo(msgspec.json.encode(result))
    else:
        output.print_result(result, requirements, percentiles)
    if csv is not None:
        csv.write_text(as_csv(result, percentiles))
    if prometheus is not None:
        prometheus.write_text(as_prometheus(result))
    if result.interrupted:
        typer.echo("easymo load: stopped; the figures are those of the part that was played.", err=True)
        raise typer.Exit(EXIT_STOPPED)
    if result.void:
        typer.echo(f"easymo load: void. {result.void}", err=True)
        raise typer.Exit(EXIT_VOID)
    missed = [requirement for requirement in requirements if not requirement.met_by(result)]
    for requirement in missed:
        typer.echo(f"easymo load: not met: {requirement.text}", err=True)
    if missed:
        raise typer.Exit(EXIT_NOT_MET)


def _page(
    scenario: str, urls: list[str], method: str, headers: list[str], data: str | None
) -> "tuple[Call | None, list[str]]":
    """The only request of a run without a scenario file, and the URLs of the targets."""
    from urllib.parse import urlsplit

    from easymo.load import Call, ScenarioError

    if not scenario.startswith(("http://", "https://")):
        if method != "GET" or headers or data is not None:
            raise ScenarioError("--method, --header, --data and --gzip are for a URL: a scenario says them itself.")
        if not urls:
            raise ScenarioError("A scenario needs --url http://HOST:PORT, the system to send it to.")
        return None, urls
    if urls:
        raise ScenarioError("Give a scenario file with --url, or only the URL of a page.")
    parts = urlsplit(scenario)
    pairs = [text.partition(":") for text in headers]
    if wrong := [text for text, (name, colon, _) in zip(headers, pairs, strict=True) if not colon or not name]:
        raise ScenarioError(f"The header {wrong[0]!r} cannot be read: write 'Name: value'.")
    body = (data or "").encode() if data is None or data[:1] != "@" else Path(data[1:]).read_bytes()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    call = Call(method, path, {name.strip(): value.strip() for name, _, value in pairs}, body)
    return call, [f"{parts.scheme}://{parts.netloc}"]


def _percentiles(text: str) -> list[float]:
    from easymo.load import ScenarioError

    try:
        percentiles = [float(part) for part in text.split(",")]
    except ValueError:
        percentiles = []
    if not percentiles or not all(0 < percentile <= 100 for percentile in percentiles):
        raise ScenarioError(f"--percentiles {text!r} cannot be read: write numbers above 0, at most 100: 50,90,99.9.")
    return percentiles


def _on_second(file: Path | None) -> "tuple[Callable[[Glance], None] | None, Any]":
    """What to do with each second of the run, and the file that it is written to."""
    import msgspec

    lines = None if file is None else file.open("wb", buffering=0)
    shows = sys.stderr.isatty()

    def see(glance: "Glance") -> None:
        if shows:
            output.show(glance)
        if lines is not None and not lines.closed:
            lines.write(msgspec.json.encode(glance) + b"\n")

    return (see if shows or lines else None), lines


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
