"""`easymo hpa tune`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from easymo.cli.hpa.options import AsJson, Files, Model
from easymo.cli.hpa.output import fail, print_json, write

if TYPE_CHECKING:  # the engine needs the extra `hpa`: other commands must start without it
    from easymo.hpa.tune import Tuning

EPILOG = (
    "Example: easymo hpa tune hpa.yaml --trace day.csv --capacity 156 --limit 30 --patch better.yaml. "
    "Exit code: 0 found, 1 no candidate keeps the limit, 2 usage or a file that cannot be used."
)


def tune(
    files: Files,
    model: Model,
    limit: Annotated[float, typer.Option(help="Seconds short of capacity that are allowed over the whole demand.")] = 0,
    minimums: Annotated[list[int] | None, typer.Option("--min", help="A minReplicas to try. Repeatable.")] = None,
    maximums: Annotated[list[int] | None, typer.Option("--max", help="A maxReplicas to try. Repeatable.")] = None,
    best: Annotated[int, typer.Option(min=1, help="How many candidates to show.")] = 10,
    processes: Annotated[int | None, typer.Option(min=1, help="Default: one per core.")] = None,
    patch: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the cheapest as a kustomize patch.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search bounds, targets and behavior for the cheapest autoscaler that is short for at most --limit seconds."""
    from msgspec.structs import replace

    from easymo.hpa import tune as engine
    from easymo.hpa.errors import HpaError
    from easymo.hpa.inputs import read_autoscalers
    from easymo.trace import TraceError

    try:
        given, replay = model.conditions(), model.replay()
        scaled = read_autoscalers(files, model.names or ())
        sources = replay.sources(scaled)
        found = []
        for one in scaled:
            grid = engine.grid_for(one.hpa, minimums or (), maximums or ())
            demand = replay.demand(one.hpa, given)
            own = one.sources(sources, demand.start_s, demand.end_s)
            with _progress(one.hpa.name) as shown:
                found.append(
                    engine.tune(
                        one, demand, given, own, limit_short_s=limit, grid=grid, processes=processes, on_progress=shown
                    )
                )
        pairs = zip(scaled, found, strict=True) if patch is not None else ()
        patches = [engine.patch_of(one, tuning.best[0].hpa) for one, tuning in pairs if tuning.best]
    except (HpaError, TraceError) as error:
        fail(error)
    if patch is not None:
        write(patch, "---\n".join(patches))
    if as_json:
        print_json([replace(tuning, best=tuning.best[:best]) for tuning in found])
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
