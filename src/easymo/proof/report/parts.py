"""What every section of the report is made of: the style sheet and tables whose rows become cards on a phone."""

from collections.abc import Collection, Sequence
from html import escape

#: Beside the style sheet of every page with charts.
STYLE = """
:root { --kept: #116329; --broken: #a40e26; --inconclusive: #7d4e00; }
@media screen and (prefers-color-scheme: dark) { :root {
  --kept: #56d364; --broken: #ff7b72; --inconclusive: #e3b341; } }
body { max-width: 72rem; } .n { white-space: nowrap; } th.n { white-space: normal; }
.kept { color: var(--kept); } .broken { color: var(--broken); } .inconclusive { color: var(--inconclusive); }
.kept, .broken, .inconclusive, .simulated { font-weight: 600; } code, pre { font-size: .875rem; overflow-wrap: anywhere;
} pre { white-space: pre-wrap; margin: .5rem 0; }
.simulated { border: 1px solid; border-radius: .25rem; padding: .1rem .4rem; font-size: .875rem; }
.headline { font-size: 1.25rem; line-height: 1.35; margin: .5rem 0; }
td, th { font-size: .9375rem; line-height: 1.35; }
details > summary { cursor: pointer; } summary > h2 { display: inline-block; margin: .6rem 0; }
.mini { width: 9rem; height: 1rem; display: block; } .mini .limit { stroke: var(--ink); stroke-dasharray: 2 2; }
.mini .range { stroke: currentColor; stroke-width: 3; } .mini .at { fill: currentColor; }
@media (max-width: 64rem) { table { font-size: .875rem; } th, td { padding: .3rem .25rem; overflow-wrap: anywhere; }
  .n { white-space: normal; } }
@media (max-width: 40rem) { table { font-size: 1rem; } td.n { white-space: normal; text-align: right; }
  td:first-child { display: block; } td:first-child::before { content: none; }
  td:first-child .dim { font-weight: 400; } tr { padding: .25rem 0; } td, td::before { font-size: .875rem; }
  .wide, td.wide { display: none; } summary > h2 { margin: .35rem 0; } }
@media print { details > :not(summary) { display: block; } }
"""
Row = dict[str, str]


def section(title: str, *parts: str, folded: bool = False) -> str:
    """A headed section of HTML `parts`, closed at first when `folded`; nothing where there is none of them."""
    body, head = "".join(parts), f"<h2>{escape(title)}</h2>"
    if not body:
        return ""
    return f"<details><summary>{head}</summary>{body}</details>" if folded else head + body


def look(arms: Sequence[str], arm: str) -> int:
    """The colour of an arm: the baseline's and that of the arm with every treatment are the same on every page."""
    place = list(arms).index(arm)
    return 0 if place == 0 else 3 if place == len(arms) - 1 else 1 + (place - 1) % 2


def table(rows: Sequence[Row], words: Collection[str] = (), wide: Collection[str] = ()) -> str:
    """A table of rows, each HTML by the name of its column; the head is made of the columns of the first row.

    The first column and those in `words` are text, all others numbers. Those in `wide` are left out on a phone.
    """
    if not rows:
        return ""
    text = {next(iter(rows[0])), *words}

    def kind(column: str) -> str:
        return " ".join(filter(None, ["" if column in text else "n", "wide" if column in wide else ""]))

    head = "".join(f'<th scope=col class="{kind(name)}">{escape(name)}</th>' for name in rows[0])
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kind(n)}" data-name="{escape(n)}">{cell}</td>' for n, cell in row.items())
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
