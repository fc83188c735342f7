"""Starts one command with its own modules alone: `easymo --help` imports no framework and no engine."""

import difflib
import importlib
import os
import signal
import sys
from typing import NamedTuple

ABOUT = "Turn a performance promise (“P95 287 → 150 ms”) into a test: measure your system with and without the change."


class Command(NamedTuple):
    """A command of the first level: the extra that it needs, and one line about it.

    A function of its module is called as the module is; a module with several has a group `app`.
    """

    extra: str
    about: str


COMMANDS = {
    "init": Command("proof", "Write acceptance.toml, load.py and a first promise for the project in this folder."),
    "prove": Command("proof", "Measure a system with and without a change, and judge every promise."),
    "evidence": Command("proof", "Make a run the accepted one, with its figures in evidence/."),
    "accept": Command("proof", "Run the checks of acceptance.toml and print the acceptance table."),
    "history": Command("proof", "Show the accepted runs: verdicts and how the figures developed."),
    "indexes": Command("indexes", "Lint, plan, build, verify and advise the indexes of SQL files."),
    "cache": Command("cache", "Look into a cache: figures, one value, and what to drop."),
    "load": Command("load", "Send load at a fixed arrival rate and measure it honestly."),
    "hpa": Command("hpa", "See what a HorizontalPodAutoscaler would do before it does it."),
}


def main() -> None:
    """Run the command line; a package that is not installed is answered with how to install it."""
    # Started in the background of a script a command inherits an ignored SIGINT; Ctrl-C is its documented end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    name = next(iter(sys.argv[1:]), "--help")
    if name in ("--help", "-h"):
        sys.stdout.write(root_help())
        return
    if name == "--version":
        from easymo import __version__

        sys.stdout.write(f"easymo {__version__}\n")
        return
    completing = "_EASYMO_COMPLETE" in os.environ or name in ("--install-completion", "--show-completion")
    if name not in COMMANDS and not completing:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        sys.stderr.write(f"easymo: there is no command {name!r}.{hint} `easymo --help` lists them.\n")
        sys.exit(2)
    try:
        _run("" if completing else name)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in ("", "easymo"):
            raise
        extra = "cli" if package in ("typer", "rich") else COMMANDS[name].extra
        sys.stderr.write(f"easymo {name} needs the package {package!r}: pip install 'easymo[{extra}]'\n")
        sys.exit(2)


def root_help() -> str:
    """What `easymo --help` prints."""
    lines = [f"  {name:<9} {command.about}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: easymo COMMAND [OPTIONS]",
            "",
            ABOUT,
            "",
            "Commands:",
            *lines,
            "",
            "Options: --help (of every command, too), --version, --install-completion.",
            "Example: easymo init && easymo prove --check",
            "",
        ]
    )


def _run(name: str) -> None:
    plain = "TYPER_USE_RICH" not in os.environ
    if plain:
        os.environ["TYPER_USE_RICH"] = "0"  # help and usage errors in plain text: Rich would take half a second
    import typer

    if plain:
        del os.environ["TYPER_USE_RICH"]
    if not name:
        from easymo.cli.main import app

        app(prog_name="easymo")
    module = importlib.import_module(f"easymo.cli.{name}")
    group = getattr(module, "app", None)
    if group is None:
        group = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        group.command(name)(getattr(module, name))
    group.pretty_exceptions_enable = False
    typer.main.get_command(group)(args=sys.argv[2:], prog_name=f"easymo {name}")
