"""`easymo prove`."""

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from easymo.cli.output import fail, shown, write_text

if TYPE_CHECKING:  # the judge needs the extra `proof`: other commands must start without it
    from easymo.proof.session.check import Checked
    from easymo.proof.verdict.file import Mode, VerdictFile

AcceptanceOption = Annotated[
    Path, typer.Option("--acceptance", metavar="FILE", help="What to start, what to change, what was promised.")
]
DEFAULT = Path("acceptance.toml")
#: Seconds of comparison that a gate on deployments takes at most when nobody gives a budget.
GATE_BUDGET_S = 165.0


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
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Scenario to use instead of the one in acceptance.toml (only with --before/--after URLs).",
        ),
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Requests/s (only with URLs; default 50).")] = None,
    round_s: Annotated[
        float | None,
        typer.Option("--round", metavar="SECONDS", min=0.5, help="Length of a round (only with URLs; default 4)."),
    ] = None,
    base: Annotated[
        str, typer.Option(metavar="REVISION", help="Compare this folder as it stands with another revision of it.")
    ] = "",
    check: Annotated[
        bool,
        typer.Option("--check", help="Start everything, send each request once, print the answers, and stop (20 s)."),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Smoke test of at most 90 s; do not rely on its numbers.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Also measure each treatment alone, a cold cache and break-even points (25 min)."),
    ] = False,
    scale: Annotated[str | None, typer.Option(help="Dataset size, passed to the data command as {scale}.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Let the comparison go on so long while more pairs could decide something: 10m, 90s."
        ),
    ] = None,
    duet: Annotated[
        bool,
        typer.Option(
            "--duet", help="Load both deployments at the same time, request by request in turn (only with URLs)."
        ),
    ] = False,
    repeat: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Run again what made this run: its folder or verdict.json.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder for the evidence (default: runs/<time>).")
    ] = None,
    gate: Annotated[
        bool,
        typer.Option("--gate", help="Exit 1 when a promise is broken, 4 when one is undecided, 0 when all are kept."),
    ] = False,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the verdicts as Markdown to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print verdict.json instead of the table.")] = False,
) -> None:
    """Measure the system without and with its treatments, under the same load, and judge every promise.

    Or compare two deployments that already run, or two runs: --before and --after. Those start and change nothing.

    Example: easymo prove --scale note --out runs/friday

    Example: easymo prove --base main --gate

    Example: easymo prove --before http://blue:8000 --after http://green:8000 --scenario load.py --rate 100

    Exit codes: 0 a valid run, whatever it found; 2 usage or acceptance.toml; 3 void or could not be finished. With
    --gate: 1 a broken promise, 4 an inconclusive one. With --check: 1 a request that fails.
    """
    from easymo.proof.errors import ProofError
    from easymo.proof.prove import check as run_check
    from easymo.proof.prove import gate_exit_code
    from easymo.proof.prove import prove as run_proof
    from easymo.proof.session.folder import Stopped

    if repeat is not None:
        _repeat(repeat, out)
    budget_s = _seconds(budget)
    if quick and (full or budget_s):
        fail("A quick run is neither full nor has it a budget: leave --quick or the other one out.", 2)
    mode: Mode = "quick" if quick else "full" if full else "default"
    if check or base:
        clash = [before, after, scenario, rate, round_s]
        if any(clash) or (check and (quick or full or gate)):
            fail("--check and --base start the system of acceptance.toml: give no option of a comparison or run.", 2)
    try:
        if check:
            _print_check(run_check(acceptance or DEFAULT, scale=scale, base=base), as_json)
            return
        if before or after or scenario or rate or round_s or duet:
            result, folder = _compare(
                *(before, after, acceptance, scenario, rate, round_s, scale, out, mode),
                gate=gate,
                budget_s=budget_s,
                duet=duet,
            )
        else:
            result, folder = run_proof(acceptance or DEFAULT, out, mode=mode, scale=scale, budget_s=budget_s, base=base)
    except ProofError as error:
        fail(str(error), error.exit_code)
    except Stopped as stop:
        fail(str(stop), 128 + stop.number)
    _print_result(result, folder, summary, as_json)
    if gate:
        raise typer.Exit(gate_exit_code(result))


def _print_result(result: "VerdictFile", folder: Path, summary: Path | None, as_json: bool) -> None:
    from easymo.proof.report.table import first_screen, markdown_summary

    if summary is not None:
        write_text(summary, markdown_summary(result))
    if as_json:
        sys.stdout.write((folder / "verdict.json").read_text(encoding="utf-8"))
    else:
        console = Console()
        for part in first_screen(result):
            console.print(part, highlight=False, markup=False)
        console.print(
            f"Evidence: {shown(folder)}/report.html, verdict.json, rounds.jsonl", highlight=False, soft_wrap=True
        )
    if not result.valid:
        fail("The schema was not restored by the rollback, so the run is void.", 3)


def _print_check(checked: "Checked", as_json: bool) -> None:
    import msgspec

    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(checked) + b"\n")
    else:
        table = Table("request", "arm", "status", "bytes", "ms", title=f"{checked.system}: each request once")
        for answer in checked.answers:
            status = ", ".join(map(str, answer.statuses)) or answer.problem
            ms = "–" if answer.ms is None else f"{answer.ms:.1f}"
            table.add_row(answer.request, answer.arm, status, f"{answer.body_bytes:,}", ms)
        console = Console()
        console.print(table)
        rows = ", ".join(f"{name} {count:,}" for name, count in list(checked.rows.items())[:8])
        console.print(f"Rows: {rows or 'none'}.", highlight=False, soft_wrap=True)
        for note in checked.notes:
            console.print(note, highlight=False, markup=False, soft_wrap=True)
        if 0 in checked.statements.values():
            typer.echo(
                "No statement reached the arm's database: the system may use another one. Give it {database_url} or its"
                " parts by the environment that it reads (docs/reference/acceptance.md).",
                err=True,
            )
    if checked.problems:
        fail("\n".join(checked.problems), 1)


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
    *,
    gate: bool,
    budget_s: float | None,
    duet: bool,
) -> "tuple[VerdictFile, Path]":
    """Two deployments or two runs."""
    from easymo.proof.errors import CannotCompare
    from easymo.proof.session.deployments import compare_deployments, terms_of_acceptance, terms_of_scenario
    from easymo.proof.session.two_runs import compare_runs

    if not before or not after:
        raise CannotCompare(
            "--scenario, --rate, --round and --duet are for a comparison: give both --before and --after."
        )
    if scale is not None:
        raise CannotCompare("--scale is the size of data that is made, and a comparison makes none: leave it out.")
    files = [value.endswith(".json") and "://" not in value for value in (*before, *after)]
    if all(files):
        if len(files) > 2 or scenario or rate or round_s or acceptance or duet or budget_s:
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
    if gate and budget_s is None and mode == "default":
        budget_s = GATE_BUDGET_S
    terms = terms.at(mode, rate, round_s, budget_s=budget_s, duet=duet)
    return compare_deployments(before, after, terms, out, mode=mode)


def _repeat(run: Path, out: Path | None) -> NoReturn:
    """Run the command that made `run`, in a process of its own."""
    from easymo.proof.errors import ProofError
    from easymo.proof.session.change import command_of

    try:
        arguments = command_of(run)
    except ProofError as error:
        fail(str(error), error.exit_code)
    where = ["--out", str(out)] if out is not None else []
    done = subprocess.run([sys.executable, "-m", "easymo.cli", "prove", *arguments, *where], check=False)
    raise typer.Exit(done.returncode)


def _seconds(text: str | None) -> float | None:
    """Seconds of a time like `10m` or `90s`."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", text)
    if found is None or not float(found[1]):
        fail(f"--budget {text} is no time: write it like 90s or 10m.", 2)
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]
