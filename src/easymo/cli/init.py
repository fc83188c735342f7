"""`easymo init`."""

from pathlib import Path
from typing import Annotated

import typer

from easymo.cli.output import fail, write_text


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the project.", file_okay=False, exists=True)] = Path(),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the files; write nothing.")] = False,
) -> None:
    """Write acceptance.toml and load.py for the project in this folder, with one example promise.

    Looks for Supabase, alembic, Django, Prisma, knex and Drizzle, ASGI and WSGI apps, a Procfile, package.json and an
    example environment file. Nothing of the project is run, and no file is overwritten.

    Example: easymo init --dry-run

    Exit codes: 0 written (or printed), 2 a file exists already.
    """
    from easymo.proof.start.files import acceptance_toml, load_py
    from easymo.proof.start.project import look

    project = look(folder)
    texts = {folder / "acceptance.toml": acceptance_toml(project), folder / "load.py": load_py(project)}
    if dry_run:
        for file, text in texts.items():
            typer.echo(f"# --- {file.name}\n{text}")
    else:
        existing = [file.name for file in texts if file.exists()]
        if existing:
            fail(f"{' and '.join(existing)} exist already, so nothing was written. --dry-run prints the files.", 2)
        for file, text in texts.items():
            write_text(file, text)
    typer.echo(f"Found: {', '.join(dict.fromkeys(project.kinds)) or 'no tool that is known'}.", err=True)
    for sentence in project.unknown:
        typer.echo(f"Not known: {sentence}.", err=True)
    typer.echo("Next: easymo prove --check", err=True)
