"""`easymo indexes rollback`."""

from datetime import timedelta

import typer

from easymo.cli.indexes.progress import progress
from easymo.cli.indexes.shared import Files, JournalFile, LockTimeout, Url, Yes, read_files, run

EPILOG = "Example: easymo indexes rollback indexes.sql --yes. Exit code: 0 done or planned, 1 not finished, 2 usage."


def rollback(
    files: Files, database_url: Url, yes: Yes = False, lock_timeout: LockTimeout = 2.0, journal: JournalFile = None
) -> None:
    """Drop exactly the declared indexes that apply built, and build again what it replaced."""
    from easymo.indexes import default_journal, rollback_preview
    from easymo.indexes import rollback as take_back

    declared = read_files(files).indexes
    book = journal or default_journal(database_url)
    if yes:
        with progress() as (report, _):
            done = run(
                lambda: take_back(
                    database_url,
                    declared,
                    lock_timeout=timedelta(seconds=lock_timeout),
                    journal=book,
                    report=report,
                )
            )
    else:
        done = run(lambda: rollback_preview(database_url, declared, journal=book))
    removed = {index.name for index in declared if index.verb == "drop"}
    for index in done:
        action = "keep" if index.kept_because else "restore" if index.index in removed else "drop"
        typer.echo(f"{action:<8}{index.index}" + (f": {index.kept_because}" if index.kept_because else ""))
    if not yes:
        typer.echo("Nothing was done. To do it, add --yes.")
