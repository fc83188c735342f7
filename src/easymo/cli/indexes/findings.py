"""Findings of lint, printed for people, for GitHub, and for code scanning."""

from collections.abc import Sequence

import typer

from easymo.indexes.lint import Finding


def print_text(findings: Sequence[Finding]) -> None:
    """Two lines a finding, and their count on standard error."""
    for finding in findings:
        typer.echo(f"{finding.file}:{finding.line}: {finding.severity}: {finding.message} [{finding.rule}]")
        typer.echo(f"  help: {finding.help}")
    errors = sum(finding.severity == "error" for finding in findings)
    typer.echo(f"{errors} errors, {len(findings) - errors} warnings", err=True)


def print_github(findings: Sequence[Finding]) -> None:
    """A workflow command for each finding: GitHub shows it at the line."""
    for finding in findings:
        text = f"{finding.message} {finding.help}".replace("%", "%25").replace("\n", "%0A")
        place = finding.file.replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
        typer.echo(f"::{finding.severity} file={place},line={finding.line},title={finding.rule}::{text}")


def sarif(findings: Sequence[Finding]) -> dict[str, object]:
    """A SARIF 2.1.0 log, as code scanning reads it."""
    results = [
        {
            "ruleId": finding.rule,
            "level": finding.severity,
            "message": {"text": f"{finding.message} {finding.help}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": finding.file},
                        "region": {"startLine": finding.line},
                    }
                }
            ],
        }
        for finding in findings
    ]
    driver = {"name": "easymo indexes lint", "rules": [{"id": rule} for rule in sorted({f.rule for f in findings})]}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
