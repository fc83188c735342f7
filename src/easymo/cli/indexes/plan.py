"""`easymo indexes plan`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from easymo.cli.indexes.shared import EXIT_FAILED, Files, JournalFile, Json, Replace, Url, print_json, read_files, run

if TYPE_CHECKING:  # the engine needs the extra `indexes`: other commands must start without it
    from easymo.indexes import Declared, Plan

EPILOG = (
    "Example: easymo indexes plan indexes.sql --database-url postgresql://localhost/shop. Exit code: 0 done, 1 "
    "a step would be refused or the database cannot be reached, 2 usage."
)


def plan(
    files: Files,
    database_url: Url,
    replace: Replace = False,
    replica: Annotated[list[str] | None, typer.Option(help="Address of a replica, whose reads count too.")] = None,
    journal: JournalFile = None,
    json: Json = False,
) -> None:
    """Compare what the files declare with what the database has, and say what apply would do. Nothing is changed."""
    declared = read_files(files).indexes
    planned = run(lambda: compare(database_url, declared, replace, replica or (), journal))
    if json:
        print_json(planned)
    else:
        print_plan(planned)
    if any(step.refused for step in planned.steps):
        raise typer.Exit(EXIT_FAILED)


def print_plan(planned: "Plan") -> None:
    """Steps, what is there now, what is in the way, and the digest."""
    from rich.console import Console  # here, because --help must be quick
    from rich.table import Table

    from easymo.indexes.state import LEAST_DAYS

    console = Console(highlight=False)
    for step in planned.steps:
        cost = (
            f"  about {step.estimate.size_bytes / 1e6:.1f} MB, {step.estimate.seconds:.0f} s" if step.estimate else ""
        )
        table = f" on {step.table}" if step.table else ""
        console.print(f"{step.action or 'REFUSED':<8}{step.index}{table}{cost}", markup=False, soft_wrap=True)
        if step.refused:
            console.print(f"        {step.refused}", markup=False, soft_wrap=True)
    grid = Table("there now", "table", "MB", "scans", "last scan", "", box=None, header_style="bold")
    for index in planned.indexes:
        last = index.last_scan.strftime("%Y-%m-%d") if index.last_scan else ""
        grid.add_row(index.index, index.table, f"{index.size_bytes / 1e6:.1f}", str(index.scans), last, index.remark)
    console.print(grid)
    usage = planned.usage
    said = f"Scans since {usage.since:%Y-%m-%d %H:%M}."
    if usage.last_scan_unknown_because:
        said += f" Unknown when the last one was: {usage.last_scan_unknown_because}."
    if because := usage.unused_unknown_because(LEAST_DAYS):
        said += f" No index is called unused: {because}."
    free = "unknown from here" if planned.free_bytes is None else f"{planned.free_bytes / 1e9:.1f} GB"
    console.print(f"{said} Free disk space of the server: {free}.", markup=False, soft_wrap=True)
    for blocker in planned.blocked_by:
        console.print(f"A build would wait for {blocker}", markup=False, soft_wrap=True)
    for statement in planned.left:
        console.print(f"left to the migrator: {statement}", markup=False, soft_wrap=True)
    console.print(f"digest {planned.digest}")


async def compare(
    database_url: str, declared: "Sequence[Declared]", replace: bool, replicas: Sequence[str], journal: Path | None
) -> "Plan":
    """The plan, by the journal that apply would use."""
    from easymo.indexes import default_journal
    from easymo.indexes import plan as compare_with

    book = journal or default_journal(database_url)
    return await compare_with(database_url, declared, replace=replace, replicas=replicas, journal=book)
