"""`easymo hpa check`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from easymo.cli.hpa.options import Files
from easymo.cli.hpa.output import fail, print_json

if TYPE_CHECKING:  # the engine needs the extra `hpa`: other commands must start without it
    from easymo.hpa.check import Finding

EPILOG = (
    "Example: easymo hpa check k8s/base k8s/autoscaling --max-connections 100. Exit code: 0 no error, 1 an "
    "error was found, 2 usage or a file that cannot be used."
)


def check(
    files: Files,
    version: Annotated[str, typer.Option("--kubernetes", metavar="VERSION", help="The cluster's version.")] = "1.34",
    max_connections: Annotated[int | None, typer.Option(help="max_connections of the pods' Postgres.")] = None,
    pool_variable: Annotated[
        str, typer.Option(help="Environment variable that holds a pod's pool size.")
    ] = "DATABASE_POOL_SIZE",
    longest_job: Annotated[
        list[str] | None, typer.Option(metavar="WORKLOAD=SECONDS", help="How long a job may take. Repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, and nothing else.")] = False,
) -> None:
    """Check autoscalers and what they scale: what Kubernetes refuses, and what it accepts but a team regrets.

    A comment `# easymo:ignore <rule> <reason>` in an object silences one rule for it. The rules are in
    docs/reference/hpa-rules.
    """
    from easymo.hpa import check as rules
    from easymo.hpa.errors import HpaError
    from easymo.hpa.manifests import read_documents

    try:
        settings = rules.Settings(
            version=version,
            max_connections=max_connections,
            pool_variable=pool_variable,
            longest_job_s=_longest_jobs(longest_job or ()),
        )
        findings, notes = rules.check(read_documents(files), settings)
    except HpaError as error:
        fail(error)
    if as_json:
        print_json(findings, indented=True)
    else:
        _print_findings(findings, notes)
    if any(finding.severity is rules.Severity.ERROR for finding in findings):
        raise typer.Exit(1)


def _longest_jobs(texts: Sequence[str]) -> dict[str, int]:
    from easymo.hpa.errors import HpaError

    found = {}
    for text in texts:
        workload, _, seconds = text.partition("=")
        if not seconds.isdigit():
            raise HpaError(f"--longest-job {text}: write WORKLOAD=SECONDS, like video-orchestrator=600.")
        found[workload] = int(seconds)
    return found


def _print_findings(findings: "Sequence[Finding]", notes: Sequence[str]) -> None:
    for finding in findings:
        typer.echo(f"{finding.file}:{finding.line}: {finding.severity}: {finding.message} [{finding.rule}]")
        typer.echo(f"  help: {finding.help}")
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    errors = sum(finding.severity == "error" for finding in findings)
    typer.echo(f"{errors} errors, {len(findings) - errors} warnings", err=True)
