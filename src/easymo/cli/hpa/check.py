"""`easymo hpa check`."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from easymo.cli.hpa.options import Files
from easymo.cli.hpa.output import fail, print_json

EPILOG = (
    "Examples: easymo hpa check k8s/base k8s/autoscaling --max-connections 100; helm template web chart | easymo hpa "
    "check -. Exit code: 0 no error, 1 an error was found, 2 usage, or nothing to check."
)


class Format(StrEnum):
    """Who reads the findings."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


def check(
    files: Files,
    version: Annotated[str, typer.Option("--kubernetes", metavar="VERSION", help="The cluster's version.")] = "1.34",
    gates: Annotated[
        list[str] | None,
        typer.Option("--feature-gate", metavar="NAME", help="A gate that the cluster has turned on. Repeatable."),
    ] = None,
    max_connections: Annotated[int | None, typer.Option(help="max_connections of the pods' Postgres.")] = None,
    pool_variable: Annotated[
        str, typer.Option(help="Environment variable that holds a pod's pool size.")
    ] = "DATABASE_POOL_SIZE",
    beside_pool: Annotated[
        list[str] | None,
        typer.Option(metavar="WORKLOAD=N", help="Connections of a pod beside its pool (LISTEN). Repeatable."),
    ] = None,
    longest_job: Annotated[
        list[str] | None, typer.Option(metavar="WORKLOAD=SECONDS", help="How long a job may take. Repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Pass over these names in folders. Repeatable.")
    ] = None,
    helm_values: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Values for Helm charts. Repeatable.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="Who reads the findings.")] = Format.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Check autoscalers and what they scale: what Kubernetes refuses, and what it accepts but a team regrets.

    A comment `# easymo:ignore <rule> <reason>` in an object silences one rule for it. The rules are in
    docs/reference/hpa-rules.
    """
    from easymo.cli.findings import print_github, print_text, sarif
    from easymo.hpa import check as rules
    from easymo.hpa.errors import HpaError
    from easymo.hpa.manifests import Reading

    reading = Reading(exclude or (), helm_values or ())
    try:
        settings = rules.Settings(
            version=version,
            max_connections=max_connections,
            pool_variable=pool_variable,
            longest_job_s=_numbers("--longest-job", longest_job or (), "SECONDS, like video-orchestrator=600"),
            beside_pool=_numbers("--beside-pool", beside_pool or (), "N, like whatsapp-worker=1"),
            gates=gates or (),
        )
        for path in files:
            reading.add(path)
        findings, notes = rules.check(reading.documents, settings, reading.unreadable)
    except HpaError as error:
        fail(error)
    if as_json or form is Format.JSON:
        print_json(findings, indented=True)
    elif form is Format.SARIF:
        print_json(sarif(findings, "hpa check"), indented=True)
    else:
        (print_github if form is Format.GITHUB else print_text)(findings)
        if reading.passed_over:
            notes.append(f"passed over, because they hold no Kubernetes object: {', '.join(reading.passed_over)}")
        for note in notes:
            typer.echo(f"note: {note}", err=True)
    if any(finding.severity is rules.Severity.ERROR for finding in findings):
        raise typer.Exit(1)


def _numbers(option: str, texts: Sequence[str], form: str) -> dict[str, int]:
    from easymo.hpa.errors import HpaError

    found = {}
    for text in texts:
        workload, _, number = text.partition("=")
        if not (number.isascii() and number.isdecimal()):
            raise HpaError(f"{option} {text}: write WORKLOAD={form}.")
        found[workload] = int(number)
    return found
