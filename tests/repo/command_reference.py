"""Writes `docs/reference/cli.md` from the commands themselves: what each does, its options, its example.

python -m tests.repo.command_reference [--check]
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.core
from typer.main import get_command

from easymo.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
_HEAD = """# Command line

Generated from the commands by `make docs`; lint checks it. Exit codes: 0 done, 1 a check failed, 2 usage, 3 void,
4 inconclusive.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(section(name, command) for name, command in commands(get_command(app), "easymo"))])


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its whole name."""
    if isinstance(command, typer.core.TyperGroup):
        for part, inner in command.commands.items():
            yield from commands(inner, f"{name} {part}")
    else:
        yield name, command


def section(name: str, command: Any) -> str:
    """One command."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join([name, *((argument.metavar or argument.name.upper()) for argument in arguments), "[OPTIONS]"])
    lines = [f"## `{name}`", "", "```text", usage, "```", "", *_paragraphs(command.help or ""), ""]
    for option in command.params:
        if option.param_type_name == "option" and not option.hidden:
            names = ", ".join(f"`{text}`" for text in [*option.opts, *option.secondary_opts])
            lines.append(f"- {names}: {_plain(option.help or '')}")
    return "\n".join([*lines, ""])


def _paragraphs(text: str) -> list[str]:
    return [_plain(line) for line in text.strip().split("\n")]


def _plain(text: str) -> str:
    return " ".join(text.replace("\b", "").split()).replace("<", "&lt;").replace("{", "\\{")


def main() -> int:
    """Write the page, or with `--check` compare. Returns 1 when it is out of date."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is out of date")
    wanted = page()
    if parser.parse_args().check:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != wanted:
            sys.stderr.write(f"docs/reference/{PAGE.name} is out of date: run `make docs`.\n")
            return 1
        sys.stdout.write(f"docs/reference/{PAGE.name}: up to date\n")
        return 0
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
