"""One self-contained page around charts and tables: no network, no script, dark and light, readable on a phone."""

from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d0d7de; --dim: #57606a;
  --demand: #0550ae; --capacity: #116329; --short: #a40e26; --other: #7d4e00;
  --look0: #9a3b00; --look1: #6639ba; --look2: #116329; --look3: #0550ae; }
@media screen and (prefers-color-scheme: dark) { :root {
  --ink: #e6edf3; --paper: #0d1117; --line: #30363d; --dim: #9198a1;
  --demand: #79c0ff; --capacity: #56d364; --short: #ff7b72; --other: #e3b341;
  --look0: #ffa657; --look1: #d2a8ff; --look2: #56d364; --look3: #79c0ff; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 56rem; padding: 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.2; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .5rem; vertical-align: top;
  border-bottom: 1px solid var(--line); } .n { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; } figcaption { font-weight: 600; } .dim { color: var(--dim); font-size: .875rem; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; margin: .25rem 0;
  font-size: .875rem; } .legend svg { width: 1.5rem; height: .5rem; margin-right: .4rem; }
.chart { display: block; width: 100%; height: auto; } .chart text { fill: var(--dim); font-size: 13px; }
.chart .end { text-anchor: end; }
.chart .unit { paint-order: stroke; stroke: var(--paper); stroke-width: 5px; }
.grid { stroke: var(--line); fill: none; } .line { fill: none; stroke-width: 2; }
.area.demand { fill: var(--demand); fill-opacity: .15; stroke: none; } .line.demand { stroke: var(--demand); }
.line.capacity { stroke: var(--capacity); stroke-dasharray: 7 3; } .line.other { stroke: var(--other);
  stroke-dasharray: 2 3; }
.chart .middle { text-anchor: middle; }
.look0 { --look: var(--look0); } .look1 { --look: var(--look1); }
.look2 { --look: var(--look2); } .look3 { --look: var(--look3); }
[class*=look] { stroke: var(--look); fill: none; }
.line.look0 { stroke-dasharray: 8 3; } .line.look1 { stroke-dasharray: 8 3 2 3; }
.line.look2 { stroke-dasharray: 4 3; } .line.dotted { stroke-dasharray: 1 4; stroke-linecap: round; }
.line.solid { stroke-dasharray: none; } .band { fill: var(--look); fill-opacity: .18; stroke: none; }
.bar, .dot { fill: var(--look); stroke: none; } .cross { stroke-width: 2.5; }
.short { fill: var(--short); fill-opacity: .55; stroke: none; }
@media (max-width: 40rem) { .chart text { font-size: 22px; } thead { display: none; } table, tbody { display: block; }
  tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  td { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: .1rem 0; overflow-wrap: anywhere; }
  td::before { content: attr(data-name); color: var(--dim); text-align: left; } td:first-child { font-weight: 600; } }
@media print { :root { color-scheme: light; } body { max-width: none; } figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; } }
"""


def page(title: str, sections: Sequence[str], style: str = "") -> str:
    """A whole HTML document of ``sections``, which are HTML already; ``style`` is added to the common style sheet."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>"
        f"<body><h1>{escape(title)}</h1>{''.join(sections)}</body></html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column names its rows; all others are numbers. On a phone each row becomes a card."""
    names = "".join(f'<th scope="col"{_numeric(i)}>{escape(name)}</th>' for i, name in enumerate(head))
    body = "".join(
        "<tr>"
        + "".join(
            f'<td{_numeric(i)} data-name="{escape(name)}">{escape(cell)}</td>'
            for i, (name, cell) in enumerate(zip(head, row, strict=True))
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _numeric(column: int) -> str:
    return ' class="n"' if column else ""
