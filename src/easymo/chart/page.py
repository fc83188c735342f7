"""One self-contained page around charts and tables: no network, no script, dark and light, readable on a phone."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files

STYLE = files("easymo.chart").joinpath("page.css").read_text(encoding="utf-8")


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
