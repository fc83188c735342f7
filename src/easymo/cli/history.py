"""`easymo history`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from easymo.cli.output import fail, write_text


def history(
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the review as a page: verdicts and charts.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the runs as JSON.")] = False,
) -> None:
    """Every accepted run in one table and chart: what was kept, and how the figures went.

    Example: easymo history --html review.html
    """
    from easymo.proof.accepted import history as accepted
    from easymo.proof.accepted import history_page
    from easymo.proof.errors import ProofError

    try:
        runs = accepted.read_history(Path())
    except ProofError as error:
        fail(str(error), error.exit_code)
    if html is not None:
        write_text(html, history_page.html_page(runs))
    if as_json:
        from msgspec.json import encode

        sys.stdout.write(encode(runs).decode() + "\n")
        return
    console = Console()
    console.print(accepted.terminal_table(runs))
    for line in accepted.capacity_lines(runs):
        console.print(line, highlight=False, markup=False)
