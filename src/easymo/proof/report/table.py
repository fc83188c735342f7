"""The first screen in the terminal and as the Markdown of a pull request; the table of the documents."""

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from easymo.proof.report import break_even_words, summary, wording
from easymo.proof.verdict.file import VerdictFile
from easymo.proof.verdict.judge import Verdict

_STYLE = {"kept": "green", "broken": "red", "inconclusive": "yellow"}
#: What a colour-blind reader and a log without colours see.
_WORD = {"kept": "kept", "broken": "BROKEN", "inconclusive": "undecided"}


def first_screen(result: VerdictFile) -> list[RenderableType]:
    """What the terminal shows: the sentence, what was changed, the broken rows first, and what to do next."""
    parts: list[RenderableType] = [Text(warning, style="yellow") for warning in summary.warnings(result)]
    parts.append(Text(f"{result.system} ({result.mode} run)", style="bold"))
    parts.append(Text(summary.headline(result)))
    parts += [Text(f"  {line}", style="dim") for line in summary.changed(result)]
    parts.append(terminal_table(result))
    parts += [Text(line) for line in why(result)]
    if result.compared != "treatments":
        parts += [Text(note, style="dim") for note in result.notes if note not in summary.warnings(result)]
    taken_back = f"Taken back in {result.rollback.seconds:.1f} s; " if result.compared == "treatments" else ""
    return [*parts, Text(f"{taken_back}{result.seconds:.0f} s in all.", style="dim")]


def terminal_table(result: VerdictFile) -> Table:
    """Promise, limit, before, after, change with its interval, verdict: fits 100 columns, folds at 80."""
    table = Table(title_justify="left", expand=False)
    columns = ("promise", "limit", "before", "after", "change, 95 % interval")
    for name in columns:
        table.add_column(name, justify="left" if name == "promise" else "right", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for v in summary.ordered(result):
        cells = (v.claim, wording.limit(v), wording.amount(v.before, v.unit), wording.amount(v.after, v.unit))
        change = f"{wording.percent(v.change)} ({wording.interval(v)})" if v.interval else wording.percent(v.change)
        table.add_row(*cells, change, Text(_WORD[v.verdict], style=_STYLE[v.verdict]))
    return table


def why(result: VerdictFile) -> list[str]:
    """A line for each promise that is not kept: why, and what would decide it."""
    return [f"{v.claim}: {reason(v)}" for v in summary.ordered(result) if v.verdict != "kept"]


def reason(verdict: Verdict) -> str:
    """What the verdict rests on, with the next step of an undecided one."""
    return f"{verdict.reason}; {verdict.next_step}" if verdict.next_step else verdict.reason


def markdown_table(result: VerdictFile, promises: list[Verdict] | None = None) -> str:
    """The verdicts for documents, in the order of the promises unless others are given."""
    rows = [
        "| Promise | Limit | Before | After | Change | 95 % interval | Verdict |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    rows += [
        f"| {v.claim} | {wording.limit(v)} | {wording.amount(v.before, v.unit)} | {wording.amount(v.after, v.unit)} |"
        f" {wording.percent(v.change)} | {wording.interval(v)} | {v.verdict} |"
        for v in (result.promises if promises is None else promises)
    ]
    return "\n".join(rows)


def markdown_summary(result: VerdictFile) -> str:
    """The first screen as a Markdown document of its own, for a pull request."""
    machine = result.machine
    notes = "".join(f"\n{warning}\n" for warning in summary.warnings(result))
    changes = summary.changed(result)
    changed = "\nChanged:\n\n" + "\n".join(f"- `{line}`" for line in changes) + "\n" if changes else ""
    undecided = "\n".join(f"- {line}" for line in why(result))
    reasons = f"\nNot kept, and why:\n\n{undecided}\n" if undecided else ""
    by = f"{machine.cores} cores ({machine.cpu})"
    if result.compared == "treatments":
        by += f", {machine.postgres}, {machine.cache}; commit {result.git or 'unknown'}"
    return (
        f"### {result.system}: what was promised, what was measured\n{notes}\n"
        f"**{summary.headline(result)}**\n{changed}\n"
        f"{markdown_table(result, summary.ordered(result))}\n{reasons}{break_even_words.markdown(result)}\n"
        f"{by}; {result.mode} run of {result.seconds:.0f} s.\n"
    )
