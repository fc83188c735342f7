"""The whole command line in one application: for shell completion, and for programs that look into it."""

import importlib

import typer

from easymo.cli.start import ABOUT, COMMANDS

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=ABOUT)
for _name in COMMANDS:
    _module = importlib.import_module(f"easymo.cli.{_name}")
    if hasattr(_module, "app"):
        app.add_typer(_module.app, name=_name)
    else:
        app.command(_name)(getattr(_module, _name))
