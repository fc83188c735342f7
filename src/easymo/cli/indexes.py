"""`easymo indexes`: lint, plan, apply, verify, roll back and advise, on the command line."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress as ProgressBar

from easymo.cli.indexes_tables import print_findings, print_observed, print_plan, print_verified

if TYPE_CHECKING:  # the engine needs the extra `indexes`: other commands must start without it
    from easymo.indexes import Plan, Progress
    from easymo.indexes.watch import Glimpse

Result = TypeVar("Result")

app = typer.Typer(help="Indexes that SQL files declare: safe to build, worth having, easy to take back.")

EXIT_FAILED, EXIT_USAGE = 1, 2

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="SQL files, in the order of their application.")]
Queries = Annotated[
    list[Path] | None, typer.Option("--queries", metavar="FILE", help="Named statements (-- name: …). Repeatable.")
]
Url = Annotated[str, typer.Option("--database-url", envvar="DATABASE_URL", help="Address of the database.")]
JournalFile = Annotated[
    Path | None,
    typer.Option(
        "--journal", metavar="FILE", help="Written before each step. Default: .easymo/<database>.journal.jsonl."
    ),
]
Replace = Annotated[bool, typer.Option("--replace", help="Allow to drop a different index of a declared name.")]
LockTimeout = Annotated[
    float, typer.Option(min=0.01, help="Seconds that a step waits for a lock before it is retried.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Act. Without it only the plan is printed.")]
Scratch = Annotated[
    str | None, typer.Option("--scratch", metavar="URL", help="A server for the copy. Default: an embedded one.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]


@app.callback(no_args_is_help=True)
def indexes() -> None:
    """Indexes that SQL files declare: safe to build, worth having, easy to take back."""


@app.command(
    epilog="Example: easymo indexes lint supabase/migrations/*.sql --queries src/queries.sql. Exit code: 0 no error, "
    "1 an error was found, 2 usage or a file that is not SQL."
)
def lint(files: Files, queries: Queries = None, json: Json = False) -> None:
    """Check migration files without a database: what Postgres refuses, who is blocked, which index is worth nothing.

    A line `-- easymo:ignore <rule> <reason>` in the comment before a statement silences one rule for it. The rules are
    in docs/reference/index-rules.
    """
    from easymo.indexes import IndexesError
    from easymo.indexes.lint import Severity
    from easymo.indexes.lint import lint as check

    try:
        findings = check(files, queries or ())
    except IndexesError as error:
        _fail(error, EXIT_USAGE)
    if json:
        _print_json(findings)
    else:
        print_findings(findings)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise typer.Exit(EXIT_FAILED)


@app.command(
    epilog="Example: easymo indexes plan indexes.sql --database-url postgresql://localhost/shop. Exit code: 0 done, 1 "
    "a step would be refused or the database cannot be reached, 2 usage."
)
def plan(
    files: Files,
    database_url: Url,
    replace: Replace = False,
    replica: Annotated[list[str] | None, typer.Option(help="Address of a replica, whose reads count too.")] = None,
    journal: JournalFile = None,
    json: Json = False,
) -> None:
    """Compare what the files declare with what the database has, and say what apply would do. Nothing is changed."""
    planned = _run(lambda: _plan(files, database_url, replace, replica or (), journal))
    if json:
        _print_json(planned)
    else:
        print_plan(planned)
    if any(step.refused for step in planned.steps):
        raise typer.Exit(EXIT_FAILED)


@app.command(
    epilog="Example: easymo indexes apply indexes.sql --digest 3f9a0c1b2d4e --yes. Exit code: 0 done or planned, 1 "
    "refused or not finished, 2 usage."
)
def apply(
    files: Files,
    database_url: Url,
    yes: Yes = False,
    digest: Annotated[
        str | None, typer.Option(help="Of the plan that was read: refuse when it holds no longer.")
    ] = None,
    replace: Replace = False,
    lock_timeout: LockTimeout = 2.0,
    attempts: Annotated[int, typer.Option(min=1, help="How often a step that gets no lock is tried.")] = 10,
    journal: JournalFile = None,
) -> None:
    """Build the declared indexes concurrently, repair invalid leftovers, keep what is right.

    Broken off at any point, a second apply finishes the work.
    """
    from easymo.indexes import Retry, default_journal, read_declared
    from easymo.indexes import apply as build

    if not yes:
        planned = _run(lambda: _plan(files, database_url, replace, (), journal))
        print_plan(planned)
        typer.echo(f"Nothing was done. To do it: easymo indexes apply … --digest {planned.digest} --yes")
        raise typer.Exit(EXIT_FAILED if any(step.refused for step in planned.steps) else 0)
    with _progress() as (report, watch):
        applied = _run(
            lambda: build(
                database_url,
                read_declared(*files),
                lock_timeout=timedelta(seconds=lock_timeout),
                retry=Retry(attempts=attempts),
                replace=replace,
                planned_digest=digest,
                journal=journal or default_journal(database_url),
                report=report,
                watch=watch,
            )
        )
    for index in applied:
        typer.echo(f"{index.action:<8}{index.index}  {index.size_bytes / 1e6:.1f} MB  {index.seconds:.1f} s")


@app.command(
    epilog="Example: easymo indexes rollback indexes.sql --yes. Exit code: 0 done or planned, 1 not finished, 2 usage."
)
def rollback(
    files: Files, database_url: Url, yes: Yes = False, lock_timeout: LockTimeout = 2.0, journal: JournalFile = None
) -> None:
    """Drop exactly the declared indexes that apply built, and build again what it replaced."""
    from easymo.indexes import default_journal, read_declared, rollback_preview
    from easymo.indexes import rollback as take_back

    book = journal or default_journal(database_url)
    if yes:
        with _progress() as (report, _):
            done = _run(
                lambda: take_back(
                    database_url,
                    read_declared(*files),
                    lock_timeout=timedelta(seconds=lock_timeout),
                    journal=book,
                    report=report,
                )
            )
    else:
        done = _run(lambda: rollback_preview(database_url, read_declared(*files), journal=book))
    for index in done:
        typer.echo(f"keep    {index.index}: {index.kept_because}" if index.kept_because else f"drop    {index.index}")
    if not yes:
        typer.echo("Nothing was done. To do it, add --yes.")


@app.command(
    epilog="Example: easymo indexes verify indexes.sql --queries src/queries.sql. Exit code: 0 all there and used, "
    "1 not, 2 usage."
)
def verify(
    files: Files,
    database_url: Url,
    queries: Queries = None,
    scratch: Scratch = None,
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
    from easymo.indexes import read_declared
    from easymo.indexes.hotqueries import read_hot_queries
    from easymo.indexes.statements import compare, read_counters, read_snapshot, write_snapshot
    from easymo.indexes.verify import verify as check

    if snapshot:
        write_snapshot(_run(lambda: read_counters(database_url)), snapshot)
        typer.echo(f"Wrote {snapshot}. After the deployment: easymo indexes verify … --since {snapshot}")
        return
    if since:
        before = _read(lambda: read_snapshot(since))
        observed = _read(lambda: compare(before, _run(lambda: read_counters(database_url))))
        _print_json(observed) if json else print_observed(observed)
        return
    declared, hot = _read(lambda: read_declared(*files)), _read(lambda: read_hot_queries(queries or ()))
    verified = _run(lambda: check(database_url, declared, hot, scratch_url=scratch, measure=measure))
    _print_json(verified) if json else print_verified(verified)
    for failure in verified.failures:
        typer.echo(f"easymo indexes: {failure}", err=True)
    if verified.failures:
        raise typer.Exit(EXIT_FAILED)


@app.command(
    epilog="Example: easymo indexes advise --workload src/queries.sql --budget 500MB --out indexes.sql. Exit code: "
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
        str | None, typer.Option(help="Role that runs the workload: plans hold its row-level security.")
    ] = None,
    least_days: Annotated[
        float, typer.Option(min=0, help="Days that use must have been counted before an index is called unused.")
    ] = 7.0,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the migration there.")] = None,
    json: Json = False,
) -> None:
    """Advise indexes for a workload, chosen together, measured on a copy, each with its gain and its price.

    The database is only read. The copy, and the indexes tried on it, are thrown away.
    """
    from easymo.indexes.advise import advise as search
    from easymo.indexes.advise import Kind, migration
    from easymo.indexes.hotqueries import read_hot_queries

    statements = None if workload == "pg_stat_statements" else _read(lambda: read_hot_queries([Path(workload)]))
    say = None if json else lambda line: typer.echo(line, err=True)
    advice = _run(
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
        _print_json(advice)
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


async def _plan(
    files: Sequence[Path], database_url: str, replace: bool, replicas: Sequence[str], journal: Path | None
) -> "Plan":
    from easymo.indexes import default_journal, read_declared
    from easymo.indexes import plan as compare

    book = journal or default_journal(database_url)
    return await compare(database_url, read_declared(*files), replace=replace, replicas=replicas, journal=book)


def _read(read: Callable[[], Result]) -> Result:
    """Read input; an error of the engine is one of usage."""
    from easymo.indexes import IndexesError

    try:
        return read()
    except IndexesError as error:
        _fail(error, EXIT_USAGE)


def _run(begin: Callable[[], Coroutine[None, None, Result]]) -> Result:
    """Run one coroutine; an error of the engine is printed as its sentence, Ctrl-C leaves what is finished."""
    from easymo.indexes import IndexesError

    try:
        return asyncio.run(begin())
    except IndexesError as error:
        _fail(error)
    except KeyboardInterrupt:
        typer.echo("easymo indexes: interrupted. What is finished stays; run it again for the rest.", err=True)
        raise typer.Exit(130) from None


@contextmanager
def _progress() -> "Iterator[tuple[Callable[[Progress], None], Callable[[Glimpse], None] | None]]":
    """A bar on a terminal, a line for each event elsewhere."""
    if not sys.stderr.isatty():
        yield _say, None
        return
    with ProgressBar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def watch(glimpse: "Glimpse") -> None:
            blocker = f", behind {glimpse.blocker_pid}: {glimpse.blocker_query}" if glimpse.blocker_pid else ""
            ratio = glimpse.done_ratio
            bar.update(task, description=f"{glimpse.index}: {glimpse.phase}{blocker}", completed=ratio or 0)
            bar.update(task, total=None if ratio is None else 1)

        yield _say, watch


def _say(progress: "Progress") -> None:
    line = f"{progress.position}/{progress.total} {progress.event} {progress.index}"
    if progress.event == "wait":
        line += f": no lock in attempt {progress.attempt}, next in {progress.delay.total_seconds():.1f} s"
    typer.echo(line, err=True)


def _print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def _fail(error: Exception, code: int = EXIT_FAILED) -> NoReturn:
    typer.echo(f"easymo indexes: {error}", err=True)
    raise typer.Exit(code) from error
