"""What every command does at its end: fail with a sentence and an exit code, write a file, name a folder."""

from pathlib import Path
from typing import NoReturn

import typer


def fail(sentence: object, code: int) -> NoReturn:
    """Print one sentence on stderr and leave with `code`."""
    typer.echo(str(sentence), err=True)
    raise typer.Exit(code)


def write_text(file: Path, text: str) -> None:
    """Write `file`; a folder that is missing or not writable ends the command with exit code 2."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}. Name another file.", 2)


def shown(folder: Path) -> Path:
    """`folder` as the user would type it."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
