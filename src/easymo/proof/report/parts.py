"""What every section of the report is made of: the style sheet and tables whose rows become cards on a phone."""

from collections.abc import Sequence
from html import escape

#: Beside the style sheet of every page with charts.
STYLE = """
:root { --kept: #116329; --broken: #a40e26; --inconclusive: #7d4e00; }
@media screen and (prefers-color-scheme: dark) { :root {
  --kept: #56d364; --broken: #ff7b72; --inconclusive: #e3b341; } }
body { max-width: 64rem; } .n { white-space: nowrap; } th.n { white-space: normal; }
.kept { color: var(--kept); } .broken { color: var(--broken); } .inconclusive { color: var(--inconclusive); }
.kept, .broken, .inconclusive, .simulated { font-weight: 600; } code { font-size: .875rem; overflow-wrap: anywhere; }
.simulated { border: 1px solid; border-radius: .25rem; padding: .1rem .4rem; font-size: .875rem; }
@media (max-width: 64rem) { table { font-size: .875rem; } th, td { padding: .3rem .25rem; overflow-wrap: anywhere; }
  .n { white-space: normal; } }
@media (max-width: 40rem) { table { font-size: 1rem; } td.n { white-space: normal; text-align: right; }
  td:first-child { display: block; } td:first-child::before { content: none; }
  td:first-child .dim { font-weight: 400; } }
"""


def section(title: str, *parts: str) -> str:
    """A headed section of HTML ``parts``; nothing where there is none of them."""
    body = "".join(parts)
    return f"<h2>{escape(title)}</h2>{body}" if body else ""


def look(arms: Sequence[str], arm: str) -> int:
    """The colour of an arm: the baseline's and that of the arm with every treatment are the same on every page."""
    place = list(arms).index(arm)
    return 0 if place == 0 else 3 if place == len(arms) - 1 else 1 + (place - 1) % 2


def row(cells: list[tuple[str, str, str]]) -> str:
    """One row: per cell its column, its HTML, and ``n`` for a number."""
    return (
        "<tr>"
        + "".join(f'<td class="{kind}" data-name="{escape(name)}">{body}</td>' for name, body, kind in cells)
        + "</tr>"
    )


def table(head: list[str], rows: list[str]) -> str:
    """A table of rows made by :func:`row`."""
    numeric = {name for name in head if f'class="n" data-name="{escape(name)}' in "".join(rows)}
    names = "".join(f'<th scope=col class="{"n" if name in numeric else ""}">{escape(name)}</th>' for name in head)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
