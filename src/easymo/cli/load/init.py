"""`easymo load init`: write a scenario from what describes a system's requests already."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = (
    "Example: easymo load init openapi.json > load.py, then easymo load run load.py --url http://127.0.0.1:8000 "
    "--rate 50 --duration 30. Exit code: 0 done, 2 the source cannot be used."
)


def init(
    source: Annotated[
        Path, typer.Argument(help="OpenAPI document (JSON or YAML), HAR, file of curl commands, or access log.")
    ],
    limit: Annotated[int, typer.Option(min=1, help="At most so many requests, the most frequent first.")] = 30,
) -> None:
    """Print a scenario in Python, one function a request; edit it, then play it with `easymo load run`."""
    from easymo.load import LoadError
    from easymo.load.sources import scenario_from

    try:
        typer.echo(scenario_from(source, limit), nl=False)
    except LoadError as error:
        typer.echo(f"easymo load: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
