"""What the verbs of `easymo indexes` share: options, exit codes, how errors and results are printed."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import msgspec
import typer

if TYPE_CHECKING:  # the engine needs the extra `indexes`: other commands must start without it
    from easymo.indexes.declared import Declarations

Result = TypeVar("Result")

EXIT_FAILED, EXIT_USAGE = 1, 2

Files = Annotated[
    list[Path],
    typer.Argument(metavar="PATH...", exists=True, help="SQL files, in the order of their application, or folders."),
]
Queries = Annotated[
    list[Path] | None, typer.Option("--queries", metavar="FILE", help="Named statements (-- name: …). Repeatable.")
]
Url = Annotated[str, typer.Option("--database-url", envvar="DATABASE_URL", help="Address of the database.")]
JournalFile = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help="File that records each step before it runs. Default: .easymo/<database>.journal.jsonl.",
    ),
]
Replace = Annotated[
    bool,
    typer.Option("--replace", help="Allow replacing an existing index that has the same name but another definition."),
]
LockTimeout = Annotated[
    float, typer.Option(min=0.01, help="Seconds that a step waits for a lock before it is retried.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Make the changes; without it, only print the plan.")]
Scratch = Annotated[
    str | None, typer.Option("--scratch", metavar="URL", help="Server for the copy. Default: an embedded one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]


def read_files(files: list[Path]) -> "Declarations":
    """What files and folders declare; what is left to whoever runs the migrations is said on standard error."""
    from easymo.indexes import read_declarations
    from easymo.indexes.lint.files import migration_files

    declarations = read(lambda: read_declarations(*migration_files(files)))
    for statement in declarations.left:
        typer.echo(f"left to the migrator: {statement}", err=True)
    return declarations


def read(action: Callable[[], Result]) -> Result:
    """Read input; an error of the engine is one of usage."""
    from easymo.indexes import IndexesError

    try:
        return action()
    except IndexesError as error:
        fail(error, EXIT_USAGE)


def run(begin: Callable[[], Coroutine[None, None, Result]]) -> Result:
    """Run one coroutine; an error of the engine is printed as its sentence, Ctrl-C leaves what is finished."""
    from easymo.indexes import IndexesError

    try:
        return asyncio.run(begin())
    except IndexesError as error:
        fail(error)
    except KeyboardInterrupt:
        typer.echo("easymo indexes: interrupted. What is finished stays; run it again for the rest.", err=True)
        raise typer.Exit(130) from None


def print_json(value: object) -> None:
    """Write a result to standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def fail(error: Exception, code: int = EXIT_FAILED) -> NoReturn:
    """Print the sentence of an error and exit."""
    typer.echo(f"easymo indexes: {error}", err=True)
    raise typer.Exit(code) from error
