"""`easymo indexes`: lint, plan, apply, verify, roll back and advise, on the command line."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec
import typer

if TYPE_CHECKING:  # the engine needs the extra `indexes`: other commands must start without it
    from easymo.indexes.lint import Finding

app = typer.Typer(help="Indexes that SQL files declare: safe to build, worth having, easy to take back.")

EXIT_FAILED, EXIT_USAGE = 1, 2

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="SQL files, in the order of their application.")]
Queries = Annotated[
    list[Path] | None, typer.Option("--queries", metavar="FILE", help="Named statements (-- name: …). Repeatable.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]


@app.callback(no_args_is_help=True)
def indexes() -> None:
    """Indexes that SQL files declare: safe to build, worth having, easy to take back."""


@app.command(
    epilog="Example: easymo indexes lint supabase/migrations/*.sql --queries src/queries.sql. Exit code: 0 no error, "
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
        _fail(error, EXIT_USAGE)
    if json:
        _print_json(findings)
    else:
        _print_findings(findings)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _print_findings(findings: "Sequence[Finding]") -> None:
    for finding in findings:
        typer.echo(f"{finding.file}:{finding.line}: {finding.severity}: {finding.message} [{finding.rule}]")
        typer.echo(f"  help: {finding.help}")
    errors = sum(finding.severity == "error" for finding in findings)
    typer.echo(f"{errors} errors, {len(findings) - errors} warnings", err=True)


def _print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def _fail(error: Exception, code: int = EXIT_FAILED) -> NoReturn:
    typer.echo(f"easymo indexes: {error}", err=True)
    raise typer.Exit(code) from error
