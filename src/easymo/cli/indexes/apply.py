"""`easymo indexes apply`."""

from datetime import timedelta
from typing import Annotated

import typer

from easymo.cli.indexes.plan import compare, print_plan
from easymo.cli.indexes.progress import progress
from easymo.cli.indexes.shared import EXIT_FAILED, Files, JournalFile, LockTimeout, Replace, Url, Yes, read_files, run

EPILOG = (
    "Example: easymo indexes apply indexes.sql --digest 3f9a0c1b2d4e --yes. Exit code: 0 done or planned, 1 "
    "refused or not finished, 2 usage."
)


def apply(
    files: Files,
    database_url: Url,
    yes: Yes = False,
    digest: Annotated[
        str | None, typer.Option(help="Of the plan that was read: refuse when it holds no longer.")
    ] = None,
    replace: Replace = False,
    lock_timeout: LockTimeout = 2.0,
    attempts: Annotated[int, typer.Option(min=1, help="How often a step that gets no lock is tried.")] = 10,
    journal: JournalFile = None,
) -> None:
    """Build the declared indexes concurrently, repair invalid leftovers, keep what is right.

    Broken off at any point, a second apply finishes the work.
    """
    from easymo.indexes import Retry, default_journal
    from easymo.indexes import apply as build

    declared = read_files(files).indexes
    if not yes:
        planned = run(lambda: compare(database_url, declared, replace, (), journal))
        print_plan(planned)
        typer.echo(f"Nothing was done. To do it: easymo indexes apply … --digest {planned.digest} --yes")
        raise typer.Exit(EXIT_FAILED if any(step.refused for step in planned.steps) else 0)
    with progress() as (report, watch):
        applied = run(
            lambda: build(
                database_url,
                declared,
                lock_timeout=timedelta(seconds=lock_timeout),
                retry=Retry(attempts=attempts),
                replace=replace,
                planned_digest=digest,
                journal=journal or default_journal(database_url),
                report=report,
                watch=watch,
            )
        )
    for index in applied:
        typer.echo(f"{index.action:<8}{index.index}  {index.size_bytes / 1e6:.1f} MB  {index.seconds:.1f} s")
