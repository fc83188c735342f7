"""The verdicts as a terminal table and as the Markdown table of the documents."""

from rich.table import Table
from rich.text import Text

from easymo.proof.report import break_even_words, wording
from easymo.proof.verdict.file import VerdictFile

_STYLE = {"kept": "green", "broken": "red", "inconclusive": "yellow"}


def terminal_table(result: VerdictFile) -> Table:
    """Promise, before, after, change, verdict: fits 80 columns."""
    table = Table(
        title=f"{result.system}: what was promised, what was measured ({result.mode} run)", title_justify="left"
    )
    for name, justify in (("promise", "left"), ("before", "right"), ("after", "right"), ("change", "right")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("verdict", no_wrap=True)
    for v in result.promises:
        table.add_row(
            v.claim,
            wording.amount(v.before, v.unit),
            wording.amount(v.after, v.unit),
            wording.percent(v.change),
            Text(v.verdict, style=_STYLE[v.verdict]),
        )
    return table


def markdown_table(result: VerdictFile) -> str:
    """The same with the interval, for documents."""
    rows = ["| Promise | Before | After | Change | 95 % interval | Verdict |", "|---|---:|---:|---:|---:|---|"]
    rows += [
        f"| {v.claim} | {wording.amount(v.before, v.unit)} | {wording.amount(v.after, v.unit)} |"
        f" {wording.percent(v.change)} | {wording.interval(v)} | {v.verdict} |"
        for v in result.promises
    ]
    return "\n".join(rows)


def markdown_summary(result: VerdictFile) -> str:
    """The verdicts as a Markdown document of their own, for a pull request."""
    machine = result.machine
    quick = "\nA quick run is a smoke test: its numbers decide nothing.\n" if result.mode == "quick" else ""
    unpaired = f"\n{result.notes[0]}\n" if result.compared == "runs" else ""
    undecided = [f"- {v.claim}: {v.reason}" for v in result.promises if v.verdict == "inconclusive"]
    why = "\nWhy some are inconclusive:\n\n" + "\n".join(undecided) + "\n" if undecided else ""
    by = f"{machine.cores} cores ({machine.cpu})"
    if result.compared == "treatments":
        by += f", {machine.postgres}, {machine.cache}; commit {result.git or 'unknown'}"
    return (
        f"### {result.system}: what was promised, what was measured\n"
        f"{unpaired}{quick}\n{markdown_table(result)}\n{why}{break_even_words.markdown(result)}\n"
        f"{by}; {result.mode} run of {result.seconds:.0f} s.\n"
    )
