"""`easymo accept`."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from easymo.cli.output import fail
from easymo.cli.prove import DEFAULT, AcceptanceOption


def accept(
    acceptance: AcceptanceOption = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Check every row of the acceptance table and every promise, and print the state of each.

    Promises are looked up in the accepted run; the checks of the table are run now, which may take minutes.

    Example: easymo accept

    Exit codes: 0 all hold; 1 one does not; 4 none fails, but one is undecided.
    """
    from easymo.proof.accepted import accept as acceptance_table
    from easymo.proof.errors import ProofError

    try:
        rows = acceptance_table.check_all(acceptance, lambda name: typer.echo(f"checking: {name} …", err=True))
    except ProofError as error:
        fail(str(error), error.exit_code)
    if as_json:
        sys.stdout.write(acceptance_table.as_json(rows))
    else:
        Console().print(acceptance_table.terminal_table(rows))
    raise typer.Exit(acceptance_table.exit_code(rows))
