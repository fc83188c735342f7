"""Assembles the command line from one module per noun."""

import signal
import sys
from typing import Annotated

import typer

from easymo import __version__
from easymo.cli import accept, cache, evidence, history, hpa, indexes, load, prove

#: Commands whose extra has another name than they have.
EXTRA_OF = {"prove": "proof", "evidence": "proof", "accept": "proof", "history": "proof"}

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
app.command("evidence")(evidence.evidence)
app.command("accept")(accept.accept)
app.command("history")(history.history)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"easymo {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Common options."""


def main() -> None:
    """Run the command line; a package of an extra that is not installed is answered with how to install it."""
    # Started in the background of a script a command inherits an ignored SIGINT; Ctrl-C is its documented end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in ("", "easymo"):
            raise
        command = sys.argv[1]
        extra = EXTRA_OF.get(command, command)
        typer.echo(f"easymo {command} needs the package {package!r}: pip install 'easymo[{extra}]'", err=True)
        sys.exit(2)
