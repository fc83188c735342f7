"""One self-contained ``report.html``: no network, no script, readable on a phone, dark and light."""

from html import escape

from easymo.proof.report import circumstances, verdicts
from easymo.proof.report.parts import STYLE
from easymo.proof.verdict_file import VerdictFile

__all__ = ["render_report"]


def render_report(result: VerdictFile) -> str:
    """The page for ``result``."""
    quick = "<p><strong>A quick run is a smoke test: its numbers decide nothing.</strong></p>"
    note = quick if result.mode == "quick" else ""
    heading = f"{escape(result.system)}: what was promised, what was measured"
    sections = [
        verdicts.verdicts(result),
        verdicts.arms(result),
        verdicts.attribution(result),
        circumstances.applied(result),
        circumstances.circumstances(result),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(result.system)}: before and after</title><style>{STYLE}</style></head><body>"
        f"<h1>{heading}</h1>{note}{''.join(sections)}</body></html>\n"
    )
