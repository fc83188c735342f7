"""`easymo hpa simulate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from easymo.cli.hpa.options import AsJson, Files, Model
from easymo.cli.hpa.output import fail, print_json, write

if TYPE_CHECKING:  # the engine needs the extra `hpa`: other commands must start without it
    from easymo.hpa.backtest import Backtest
    from easymo.hpa.simulate import Simulation

EPILOG = (
    "Example: easymo hpa simulate k8s/autoscaling/hpa.yaml --shape spike --peak 600 --capacity 156. "
    "Exit code: 0 done, 2 usage or a file that cannot be used."
)
MOST_CHANGES = 30


def simulate(
    files: Files,
    model: Model,
    initial: Annotated[
        int | None, typer.Option(help="Size at the start. Default: what the first demand needs.")
    ] = None,
    compare: Annotated[Path | None, typer.Option(metavar="OTHER", help="Simulate these manifests too.")] = None,
    actual: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Replicas that really were: CSV time,value[,series].")
    ] = None,
    as_json: AsJson = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one row per sync.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with charts.")] = None,
) -> None:
    """Replay demand against autoscalers: every sync's decision, seconds short of capacity, pod-hours, flaps."""
    from easymo.hpa import report
    from easymo.hpa.errors import HpaError
    from easymo.hpa.inputs import read_autoscalers
    from easymo.trace import TraceError, read_trace

    others: list[Simulation] = []
    tested: list[Backtest] = []
    try:
        given, replay = model.conditions(initial_replicas=initial), model.replay()
        scaled = read_autoscalers(files, model.names or ())
        if actual is None:
            found = replay.run(scaled, given)
        else:
            found, tested = replay.run_against(scaled, given, read_trace(actual, hold_gaps=model.hold_gaps))
        if compare is not None:
            others = replay.run(read_autoscalers([compare], model.names or ()), given)
    except (HpaError, TraceError) as error:
        fail(error)
    if csv is not None:
        write(csv, report.csv_text([*found, *others]))
    if html is not None:
        write(html, report.html_page(found, others))
    if as_json:
        print_json({"simulations": found, "compared": others, "backtests": tested})
    else:
        _print(found, others, tested)


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
