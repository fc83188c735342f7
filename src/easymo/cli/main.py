"""Assembles the command line from one module per noun."""

import sys
from typing import Annotated

import typer

from easymo.cli import cache, hpa, indexes, load, prove

#: Which extra brings a package that a command imports.
EXTRA_OF = {
    "asyncpg": "indexes",
    "postgast": "indexes",
    "hdrh": "load",
    "httptools": "load",
    "uvloop": "load",
    "psutil": "proof",
    "redis": "cache",
    "hiredis": "cache",
    "yaml": "hpa",
    "kubernetes_validate": "hpa",
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A promise such as 'P95 287 → 150 ms' is a test: easymo measures your system with and without the change.",
)
app.add_typer(indexes.app, name="indexes")
app.add_typer(cache.app, name="cache")
app.add_typer(load.app, name="load")
app.add_typer(hpa.app, name="hpa")
app.command("prove")(prove.prove)
app.command("evidence")(prove.evidence)
app.command("accept")(prove.accept)
app.command("history")(prove.history)


@app.callback()
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    """Common options."""
    if version:
        from importlib.metadata import version as installed  # only when asked: metadata is slow to read

        typer.echo(f"easymo {installed('easymo')}")
        raise typer.Exit


def main() -> None:
    """Run the command line; a package of an extra that is not installed is answered with how to install it."""
    try:
        app()
    except ModuleNotFoundError as error:
        extra = EXTRA_OF.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        typer.echo(f"This command needs the package {error.name!r}: pip install 'easymo[{extra}]'", err=True)
        sys.exit(2)
