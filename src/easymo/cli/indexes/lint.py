"""`easymo indexes lint`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from easymo.cli.indexes.shared import EXIT_FAILED, EXIT_USAGE, Files, Json, Queries, fail, print_json

if TYPE_CHECKING:  # the engine needs the extra `indexes`: other commands must start without it
    from easymo.indexes.lint import Finding

EPILOG = (
    "Example: easymo indexes lint supabase/migrations/*.sql --queries src/queries.sql. Exit code: 0 no error, "
    "1 an error was found, 2 usage or a file that is not SQL."
)


def lint(files: Files, queries: Queries = None, json: Json = False) -> None:
    """Check migration files without a database: what Postgres refuses, who is blocked, which index is worth nothing.

    A line `-- easymo:ignore <rule> <reason>` in the comment before a statement silences one rule for it. The rules are
    in docs/reference/index-rules.
    """
    from easymo.indexes import IndexesError
    from easymo.indexes.lint import Severity
    from easymo.indexes.lint import lint as check

    try:
        findings = check(files, queries or ())
    except IndexesError as error:
        fail(error, EXIT_USAGE)
    if json:
        print_json(findings)
    else:
        print_findings(findings)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def print_findings(findings: "Sequence[Finding]") -> None:
    """Two lines a finding, and their count on standard error."""
    for finding in findings:
        typer.echo(f"{finding.file}:{finding.line}: {finding.severity}: {finding.message} [{finding.rule}]")
        typer.echo(f"  help: {finding.help}")
    errors = sum(finding.severity == "error" for finding in findings)
    typer.echo(f"{errors} errors, {len(findings) - errors} warnings", err=True)
