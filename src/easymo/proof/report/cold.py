"""Rounds that began with an emptied cache: a case of their own."""

from html import escape

from easymo.proof.report import wording
from easymo.proof.report.parts import row, section, table
from easymo.proof.verdict.file import VerdictFile


def cold(result: VerdictFile) -> str:
    """Latency cold beside warm, and the changes cold; nothing when no such rounds were played."""
    found = result.cold
    if found is None:
        return ""
    told = (
        f"<p>{found.pairs} pairs of {found.round_s:g} s, each round from an emptied cache on. The verdicts above are"
        " those of a warm cache; none of these rounds is in them.</p>"
    )
    rows = [
        row(
            [
                ("arm", escape(arm), ""),
                ("P50 / P95 / P99 cold", _percentiles(latency), "n"),
                ("warm", _percentiles(result.arms[arm].latency_ms), "n"),
            ]
        )
        for arm, latency in found.latency_ms.items()
    ]
    changes = [
        row(
            [
                ("metric", escape(metric), ""),
                ("change cold", wording.percent(value), "n"),
                ("95 % interval", f"{wording.percent(low)} … {wording.percent(high)}", "n"),
            ]
        )
        for metric, (value, low, high) in found.changes.items()
    ]
    return section(
        "Cold cache",
        told,
        table(["arm", "P50 / P95 / P99 cold", "warm"], rows),
        table(["metric", "change cold", "95 % interval"], changes) if changes else "",
    )


def _percentiles(latency_ms: dict[str, float]) -> str:
    return " / ".join(wording.amount(latency_ms.get(name), "ms") for name in ("p50", "p95", "p99"))
