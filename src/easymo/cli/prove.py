"""``easymo prove``, ``easymo evidence``, ``easymo accept``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:  # the judge needs the extra `proof`: other commands must start without it
    from easymo.proof.verdict_file import Mode, VerdictFile

AcceptanceOption = Annotated[
    Path, typer.Option("--acceptance", metavar="FILE", help="What to start, what to change, what was promised.")
]
DEFAULT = Path("acceptance.toml")


def prove(
    acceptance: Annotated[
        Path | None,
        typer.Option(
            "--acceptance",
            metavar="FILE",
            help="What to start, what to change, what was promised.",
            show_default=str(DEFAULT),
        ),
    ] = None,
    before: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL|FILE",
            help="Compare what already runs: the deployment before (NAME=URL for each process that the scenario "
            "names), or the verdict.json of an earlier run.",
        ),
    ] = None,
    after: Annotated[
        list[str] | None, typer.Option(metavar="URL|FILE", help="The deployment after, or a later run's verdict.json.")
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of deployments: the load, in place of acceptance.toml's.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Of deployments: requests/s (default 50).")] = None,
    round_s: Annotated[
        float | None,
        typer.Option("--round", metavar="SECONDS", min=0.5, help="Of deployments: length of a round (default 4)."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A smoke test of at most 90 s; its numbers decide nothing.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="An arm for each treatment too, a second look, a cold cache, break-even: 25 min."),
    ] = False,
    scale: Annotated[
        str | None, typer.Option(help="Data size, as the data command of acceptance.toml knows it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the evidence goes (default runs/<time>).")
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit 1 when a promise is broken, 4 when one is inconclusive.")
    ] = False,
    summary: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the verdicts as Markdown too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print verdict.json instead of the table.")] = False,
) -> None:
    """Measure the system without and with its treatments, under the same load, and judge every promise.

    Or compare two deployments that already run, or two runs: --before and --after. Those start and change nothing.

    Example: easymo prove --scale note --out runs/friday

    Example: easymo prove --before http://blue:8000 --after http://green:8000 --scenario load.py --rate 100

    Exit codes: 0 a valid run, whatever it found; 2 usage or acceptance.toml; 3 void or could not be finished.
    """
    from easymo.proof import prove as proof
    from easymo.proof.errors import ProofError
    from easymo.proof.table import markdown_summary, terminal_table

    if quick and full:
        _fail("A run is quick or full: give one of --quick and --full.", 2)
    mode: Mode = "quick" if quick else "full" if full else "default"
    try:
        if before or after or scenario or rate or round_s:
            result, folder = _compare(before, after, acceptance, scenario, rate, round_s, scale, out, mode)
        else:
            result, folder = proof.prove(acceptance or DEFAULT, out, mode=mode, scale=scale)
    except ProofError as error:
        _fail(str(error), error.exit_code)
    except proof.Stopped as stop:
        _fail(str(stop), 128 + stop.number)
    if summary is not None:
        summary.write_text(markdown_summary(result), encoding="utf-8")
    if as_json:
        sys.stdout.write((folder / "verdict.json").read_text(encoding="utf-8"))
    else:
        console = Console()
        for note in result.notes if result.compared != "treatments" else ():
            console.print(note, highlight=False, markup=False)
        console.print(terminal_table(result))
        console.print(proof.summary_line(result), highlight=False)
        console.print(
            f"Evidence: {_shown(folder)}/report.html, verdict.json, rounds.jsonl", highlight=False, soft_wrap=True
        )
    if not result.valid:
        _fail("The schema was not restored by the rollback, so the run is void.", 3)
    if gate:
        raise typer.Exit(proof.gate_exit_code(result))


def _compare(
    before: list[str] | None,
    after: list[str] | None,
    acceptance: Path | None,
    scenario: Path | None,
    rate: float | None,
    round_s: float | None,
    scale: str | None,
    out: Path | None,
    mode: "Mode",
) -> "tuple[VerdictFile, Path]":
    """Two deployments or two runs."""
    from easymo.proof.deployments import compare_deployments
    from easymo.proof.errors import CannotCompare
    from easymo.proof.terms import terms_of_acceptance, terms_of_scenario
    from easymo.proof.two_runs import compare_runs

    if not before or not after:
        raise CannotCompare("--scenario, --rate and --round are for a comparison: give both --before and --after.")
    if scale is not None:
        raise CannotCompare("--scale is the size of data that is made, and a comparison makes none: leave it out.")
    files = [value.endswith(".json") and "://" not in value for value in (*before, *after)]
    if all(files):
        if len(files) > 2 or scenario or rate or round_s or acceptance:
            raise CannotCompare("Two runs are compared as they are: give one verdict.json each, and nothing else.")
        return compare_runs(Path(before[0]), Path(after[0]), out)
    if any(files):
        raise CannotCompare("A run cannot be compared with a deployment: give two URLs or two verdict.json files.")
    if scenario is None and acceptance is None and not DEFAULT.is_file():
        raise CannotCompare("There is no acceptance.toml here that says what to send: give --scenario FILE.")
    if scenario is not None and acceptance is None:
        terms = terms_of_scenario(scenario)
    else:
        terms = terms_of_acceptance(acceptance or DEFAULT, scenario)
    return compare_deployments(before, after, terms.at(mode, rate, round_s), out, mode=mode)


def evidence(
    run: Annotated[
        Path | None, typer.Argument(help="Folder of the run (default: the last valid one below runs/).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let a default run replace an accepted full one.")] = False,
    check_rollback: Annotated[
        bool,
        typer.Option("--check-rollback", help="Accept nothing: exit 1 unless the accepted run restored the schema."),
    ] = False,
) -> None:
    """Make a run the accepted one: evidence/prove/ is replaced and a line is added to evidence/history.jsonl.

    Example: easymo evidence runs/2026-11-24T08-00-00
    """
    from easymo.proof import evidence as accepted
    from easymo.proof.errors import ProofError

    try:
        if check_rollback:
            rollback = accepted.accepted_verdict(Path()).rollback
            typer.echo(f"schema restored: {rollback.schema_restored}, in {rollback.seconds:.1f} s")
            raise typer.Exit(0 if rollback.schema_restored else 1)
        folder = accepted.accept_run(Path(), run, force=force)
    except ProofError as error:
        _fail(str(error), error.exit_code)
    typer.echo(f"Accepted {_shown(folder)} as evidence/prove/. `make docs` fills the documents from it.")


def accept(
    acceptance: AcceptanceOption = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Check every row of the acceptance table and every promise, and print the state of each.

    Promises are looked up in the accepted run; the checks of the table are run now, which may take minutes.

    Example: easymo accept

    Exit codes: 0 all hold; 1 one does not; 4 none fails, but one is undecided.
    """
    from easymo.proof import accept as acceptance_table
    from easymo.proof.errors import ProofError

    try:
        rows = acceptance_table.check_all(acceptance, lambda name: typer.echo(f"checking: {name} …", err=True))
    except ProofError as error:
        _fail(str(error), error.exit_code)
    if as_json:
        sys.stdout.write(acceptance_table.as_json(rows))
    else:
        Console().print(acceptance_table.terminal_table(rows))
    raise typer.Exit(acceptance_table.exit_code(rows))


def history(
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the review as a page: verdicts and charts.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the runs as JSON.")] = False,
) -> None:
    """Every accepted run in one table and chart: what was kept, and how the figures went.

    Example: easymo history --html review.html
    """
    from easymo.proof import history as accepted
    from easymo.proof import history_page
    from easymo.proof.errors import ProofError

    try:
        runs = accepted.read_history(Path())
    except ProofError as error:
        _fail(str(error), error.exit_code)
    if html is not None:
        _write(html, history_page.html_page(runs))
    if as_json:
        from msgspec.json import encode

        sys.stdout.write(encode(runs).decode() + "\n")
        return
    console = Console()
    console.print(accepted.terminal_table(runs))
    for line in accepted.capacity_lines(runs):
        console.print(line, highlight=False, markup=False)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        _fail(f"{file} cannot be written: {error.strerror}. Name another file.", 2)


def _shown(folder: Path) -> Path:
    """``folder`` as the user would type it."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _fail(sentence: str, code: int) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
