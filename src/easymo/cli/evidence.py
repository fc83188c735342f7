"""`easymo evidence`."""

from pathlib import Path
from typing import Annotated

import typer

from easymo.cli.output import fail, shown


def evidence(
    run: Annotated[
        Path | None, typer.Argument(help="Folder of the run (default: the last valid one below runs/).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let a default run replace an accepted full one.")] = False,
    check_rollback: Annotated[
        bool,
        typer.Option("--check-rollback", help="Accept nothing: exit 1 unless the accepted run restored the schema."),
    ] = False,
) -> None:
    """Make a run the accepted one: evidence/prove/ is replaced and a line is added to evidence/history.jsonl.

    Example: easymo evidence runs/2026-11-24T08-00-00
    """
    from easymo.proof.accepted import evidence as accepted
    from easymo.proof.errors import ProofError

    try:
        if check_rollback:
            rollback = accepted.accepted_verdict(Path()).rollback
            typer.echo(f"schema restored: {rollback.schema_restored}, in {rollback.seconds:.1f} s")
            raise typer.Exit(0 if rollback.schema_restored else 1)
        folder = accepted.accept_run(Path(), run, force=force)
    except ProofError as error:
        fail(str(error), error.exit_code)
    typer.echo(f"Accepted {shown(folder)} as evidence/prove/. `make docs` fills the documents from it.")
