"""What the commands share when they write and when they fail."""

import sys
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import typer


def print_json(result: Any, *, indented: bool = False) -> None:
    """Print `result` as JSON, and nothing else."""
    encoded = msgspec.json.encode(result)
    sys.stdout.buffer.write((msgspec.json.format(encoded) if indented else encoded) + b"\n")


def write(path: Path, text: str) -> None:
    """Write `text` to a file that a user named."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}. Name another file.")


def fail(error: object) -> NoReturn:
    """End with `error` on standard error and exit code 2."""
    typer.echo(f"easymo hpa: {error}", err=True)
    raise typer.Exit(2)
