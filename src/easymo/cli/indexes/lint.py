"""`easymo indexes lint`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from easymo.cli.indexes.shared import EXIT_FAILED, Files, Json, Queries, print_json, read

EPILOG = (
    "Example: easymo indexes lint supabase/migrations --queries src/queries.sql --since origin/main. Exit code: 0 no "
    "error, 1 an error was found, 2 usage."
)


class Format(StrEnum):
    """How findings are printed: for people, scripts, GitHub's annotations, or code scanning."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


def lint(
    files: Files,
    queries: Queries = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Leave out files or folders of that name. Repeatable.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="REV", help="Only report files that differ from this git revision.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Do not report what this output of --json holds.")
    ] = None,
    style: Annotated[Format, typer.Option("--format", help="How to print the findings.")] = Format.TEXT,
    json: Json = False,
) -> None:
    """Check migration files without a database: what Postgres refuses, who is blocked, which indexes are useless.

    Folders are searched for .sql files, and all files are read in their order; `--since` and `--baseline` choose what
    is reported. A line `-- easymo:ignore <rule> <reason>` in the comment before a statement silences one rule for it.
    The rules are in docs/reference/index-rules.
    """
    from easymo.indexes.lint import lint as check
    from easymo.indexes.lint.files import changed_since, migration_files, new_findings

    chosen = read(lambda: migration_files(files, exclude or ()))
    findings = read(lambda: check(chosen, queries or ()))
    if since:
        changed = {str(file) for file in read(lambda: changed_since(since, chosen))}
        findings = [finding for finding in findings if finding.file in changed]
    if baseline:
        findings = read(lambda: new_findings(findings, baseline))
    from easymo.cli.indexes.findings import print_github, print_text, sarif

    match Format.JSON if json else style:
        case Format.JSON:
            print_json(findings)
        case Format.SARIF:
            print_json(sarif(findings))
        case Format.GITHUB:
            print_github(findings)
        case Format.TEXT:
            print_text(findings)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(EXIT_FAILED)
