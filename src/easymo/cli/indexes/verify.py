"""`easymo indexes verify`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from easymo.cli.indexes.shared import EXIT_FAILED, Files, Json, Queries, Scratch, Url, print_json, read, read_files, run

if TYPE_CHECKING:  # the engine needs the extra `indexes`: other commands must start without it
    from easymo.indexes.statements import Observed
    from easymo.indexes.verify import Served, Verified

EPILOG = (
    "Example: easymo indexes verify indexes.sql --queries src/queries.sql. Exit code: 0 all there and used, "
    "1 not, 2 usage."
)


def verify(
    files: Files,
    database_url: Url,
    queries: Queries = None,
    scratch: Scratch = None,
    role: Annotated[
        str | None, typer.Option(help="Role that runs the queries, whose row-level security plans then hold.")
    ] = None,
    measure: Annotated[bool, typer.Option(help="Copy the tables to a scratch server and measure there.")] = True,
    snapshot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only write the counters of pg_stat_statements.")
    ] = None,
    since: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only compare the counters with those of a snapshot.")
    ] = None,
    json: Json = False,
) -> None:
    """Check that every declared index is there, which hot queries use it, what it brings and what it costs.

    Plans and buffers come from the database itself; times with and without an index from a copy of its tables on a
    scratch server, which is thrown away.
    """
    from easymo.indexes.hotqueries import read_hot_queries
    from easymo.indexes.statements import compare, read_counters, read_snapshot, write_snapshot
    from easymo.indexes.verify import verify as check

    if snapshot:
        write_snapshot(run(lambda: read_counters(database_url)), snapshot)
        typer.echo(f"Wrote {snapshot}. After the deployment: easymo indexes verify … --since {snapshot}")
        return
    if since:
        before = read(lambda: read_snapshot(since))
        observed = read(lambda: compare(before, run(lambda: read_counters(database_url))))
        print_json(observed) if json else print_observed(observed)
        return
    declared = [index for index in read_files(files).indexes if index.verb == "create"]
    hot = read(lambda: read_hot_queries(queries or ()))
    verified = run(lambda: check(database_url, declared, hot, scratch_url=scratch, role=role, measure=measure))
    print_json(verified) if json else print_verified(verified)
    for failure in verified.failures:
        typer.echo(f"easymo indexes: {failure}", err=True)
    if verified.failures:
        raise typer.Exit(EXIT_FAILED)


def print_verified(verified: "Verified") -> None:
    """Indexes with what they bring and cost, then what each hot query uses."""
    from rich.console import Console  # here, because --help must be quick
    from rich.table import Table

    console = Console(highlight=False, width=max(120, Console().width))
    table = Table("index", "state", "MB", "scans", "HOT", "µs/row", "serves", "P50 ms with", "without", box=None)
    for index in verified.indexes:
        hot = "" if index.hot_ratio is None else f"{index.hot_ratio:.0%}"
        price = "" if index.write_us_per_row is None else f"{index.write_us_per_row:.2f}"
        row = [index.index, index.state, f"{index.size_bytes / 1e6:.1f}", str(index.scans), hot, price]
        table.add_row(*row, *(_served(index.serves[0]) if index.serves else ("", "", "")))
        for served in index.serves[1:]:
            table.add_row(*[""] * 6, *_served(served))
    console.print(table)
    for query in verified.queries:
        used = ", ".join(query.indexes) or "no index"
        generic = (
            ""
            if query.generic_indexes == query.indexes
            else f"; generic plan: {', '.join(query.generic_indexes) or 'none'}"
        )
        notes = "".join(f"; {note}" for note in query.notes)
        result = query.problem or f"{used}{generic}; {query.buffers} buffers"
        console.print(f"{query.query}: {result}{notes}", markup=False, soft_wrap=True)
    for index in verified.indexes:
        if index.ends_hot_for:
            console.print(f"{index.index} ends HOT for {', '.join(index.ends_hot_for)}", markup=False, soft_wrap=True)


def _served(served: "Served") -> tuple[str, str, str]:
    return served.query, f"{served.with_index.p50_ms:.2f}", f"{served.without_index.p50_ms:.2f}"


def print_observed(observed: "Sequence[Observed]") -> None:
    """Each query before and since a deployment."""
    from rich.console import Console  # here, because --help must be quick
    from rich.table import Table

    table = Table("query", "calls before", "since", "mean ms before", "since", "buffers before", "since", box=None)
    for row in observed:
        means = (row.mean_ms_before, row.mean_ms_after, row.buffers_before, row.buffers_after)
        shown = ["–" if mean is None else f"{mean:.2f}" for mean in means]
        table.add_row(row.query[:60], str(row.calls_before), str(row.calls_after), *shown)
    Console(highlight=False).print(table)
