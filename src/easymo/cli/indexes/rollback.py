"""`easymo indexes rollback`."""

from datetime import timedelta

import typer

from easymo.cli.indexes.progress import progress
from easymo.cli.indexes.shared import Files, JournalFile, LockTimeout, Url, Yes, run

EPILOG = "Example: easymo indexes rollback indexes.sql --yes. Exit code: 0 done or planned, 1 not finished, 2 usage."


def rollback(
    files: Files, database_url: Url, yes: Yes = False, lock_timeout: LockTimeout = 2.0, journal: JournalFile = None
) -> None:
    """Drop exactly the declared indexes that apply built, and build again what it replaced."""
    from easymo.indexes import default_journal, read_declared, rollback_preview
    from easymo.indexes import rollback as take_back

    book = journal or default_journal(database_url)
    if yes:
        with progress() as (report, _):
            done = run(
                lambda: take_back(
                    database_url,
                    read_declared(*files),
                    lock_timeout=timedelta(seconds=lock_timeout),
                    journal=book,
                    report=report,
                )
            )
    else:
        done = run(lambda: rollback_preview(database_url, read_declared(*files), journal=book))
    for index in done:
        typer.echo(f"keep    {index.index}: {index.kept_because}" if index.kept_because else f"drop    {index.index}")
    if not yes:
        typer.echo("Nothing was done. To do it, add --yes.")
