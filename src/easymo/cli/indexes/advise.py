"""`easymo indexes advise`."""

from pathlib import Path
from typing import Annotated

import typer

from easymo.cli.indexes.shared import Json, Scratch, Url, print_json, read, run

EPILOG = (
    "Example: easymo indexes advise --workload src/queries.sql --budget 500MB --out indexes.sql. Exit code: "
    "0 done, 1 not finished, 2 usage."
)


def advise(
    database_url: Url,
    workload: Annotated[
        str,
        typer.Option(metavar="pg_stat_statements|FILE", help="In a file: -- name: and -- calls_per_minute: comments."),
    ] = "pg_stat_statements",
    budget: Annotated[str | None, typer.Option(help="All indexes together, such as 500MB.")] = None,
    scratch: Scratch = None,
    role: Annotated[
        str | None, typer.Option(help="Role that runs the workload, whose row-level security plans then hold.")
    ] = None,
    least_days: Annotated[
        float, typer.Option(min=0, help="Days that use must have been counted before an index is called unused.")
    ] = 7.0,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the migration there.")] = None,
    json: Json = False,
) -> None:
    """Advise indexes for a workload, chosen together, measured on a copy, each with its gain and its price.

    Every statement is in exactly one list: helped, fast enough, no index helps (with what was tried), not tried (with
    the reason). The database is only read. The copy, and the indexes tried on it, are thrown away.
    """
    from easymo.indexes.advise import Kind, migration
    from easymo.indexes.advise import advise as search
    from easymo.indexes.hotqueries import read_hot_queries

    statements = None if workload == "pg_stat_statements" else read(lambda: read_hot_queries([Path(workload)]))
    say = None if json else lambda line: typer.echo(line, err=True)
    advice = run(
        lambda: search(
            database_url,
            statements,
            budget_bytes=_bytes(budget),
            scratch_url=scratch,
            role=role,
            least_days=least_days,
            say=say,
        )
    )
    if out:
        out.write_text(migration(advice), encoding="utf-8")
    if json:
        print_json(advice)
        return
    typer.echo(f"Wrote {out}" if out else migration(advice))
    lists = {str(kind): advice.of(kind) for kind in Kind}
    for title, lines in (lists | {"not borne out": advice.dropped, "worth nothing": advice.to_drop}).items():
        for name, reason in lines.items():
            typer.echo(f"{title}: {name}: {reason}")
    for note in advice.notes:
        typer.echo(f"note: {note}")
    counts = ", ".join(f"{count} {kind}" for kind, count in advice.counts.items())
    typer.echo(f"{len(advice.statements)} statements: {counts}")
    typer.echo(f"{advice.seconds:.0f} s", err=True)


def _bytes(size: str | None) -> int | None:
    if size is None:
        return None
    units = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    number, unit = size[:-2], size[-2:]
    if unit not in units or not number.replace(".", "", 1).isdigit():
        raise typer.BadParameter(f"{size!r} is not a size such as 500MB or 2GB", param_hint="--budget")
    return int(float(number) * units[unit])
