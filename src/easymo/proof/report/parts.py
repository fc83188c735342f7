"""What every section of the report is made of: the style sheet and tables whose rows become cards on a phone."""

from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d0d7de; --dim: #57606a;
  --kept: #116329; --broken: #a40e26; --inconclusive: #7d4e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --line: #30363d; --dim: #9198a1;
  --kept: #56d364; --broken: #ff7b72; --inconclusive: #e3b341; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 64rem; padding: 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.2; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .4rem .5rem; vertical-align: top;
  border-bottom: 1px solid var(--line); } .n { text-align: right; } td.n { white-space: nowrap; }
.kept { color: var(--kept); } .broken { color: var(--broken); } .inconclusive { color: var(--inconclusive); }
.kept, .broken, .inconclusive { font-weight: 600; } .dim { color: var(--dim); font-size: .875rem; }
code { font-size: .875rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) { thead { display: none; } table, tbody { display: block; }
  tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  td { display: flex; justify-content: space-between; gap: 1rem; border: 0; overflow-wrap: anywhere;
    padding: .15rem 0; }
  td::before { content: attr(data-name); color: var(--dim); }
  td.n { white-space: normal; text-align: right; }
  td:first-child { display: block; font-weight: 600; } td:first-child::before { content: none; }
  td:first-child .dim { font-weight: 400; } }
"""


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
