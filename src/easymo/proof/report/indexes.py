"""The indexes that the treatment built: what each brings and what it costs."""

from html import escape

from easymo.proof.report import wording
from easymo.proof.report.parts import Row, section, table
from easymo.proof.verdict.file import AppliedIndex, VerdictFile
from easymo.proof.verdict.index_check import CheckedIndex, Served


def indexes(result: VerdictFile) -> str:
    """Build time and size as measured in this run; gain and price per row where they were checked."""
    if result.applied is None or not result.applied.indexes:
        return ""
    checked = {one.index: one for one in result.index_check.indexes} if result.index_check is not None else {}
    rows = [
        _row(built, checked.get(built.name) if checked else None, bool(checked)) for built in result.applied.indexes
    ]
    told = "<p>Build and size are of this run, while the system was under load."
    if checked:
        told += (
            " Gain and price per row come from <code>easymo indexes verify</code> on data of its own: the median of"
            " each query that the index serves, without it and with it."
        )
    return section("Indexes: gain and price", f"{told}</p>", table(rows), folded=True)


def _row(built: AppliedIndex, checked: CheckedIndex | None, priced: bool) -> Row:
    cells = {
        "index": f"<code>{escape(built.name)}</code>",
        "build": f"{built.seconds:.2f} s",
        "size": wording.amount(built.bytes, "bytes"),
    }
    price, gains = "–", "–"
    if checked is not None:
        price = "–" if checked.write_us_per_row is None else f"{checked.write_us_per_row:.2f} µs"
        if checked.ends_hot_for:
            price += f"<br><span class=dim>no HOT update by {escape(', '.join(checked.ends_hot_for))}</span>"
        gains = "<br>".join(filter(None, map(_gain, checked.serves))) or "none measured"
    return cells | {"a row more costs": price, "gain": gains} if priced else cells


def _gain(served: Served) -> str:
    if served.with_index is None or served.without_index is None:
        return ""
    before, after = served.without_index.p50_ms, served.with_index.p50_ms
    shown = f"{wording.amount(before, 'ms')} → {wording.amount(after, 'ms')}"
    return f"{escape(served.query)}: {shown} ({wording.percent(after / before - 1)})" if before else ""
