"""Rounds that began with an emptied cache: a case of their own."""

from html import escape

from easymo.proof.report import wording
from easymo.proof.report.parts import section, table
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
        {
            "arm": escape(wording.arm(result, arm)),
            "P50 / P95 / P99 cold": wording.percentiles(latency),
            "warm": wording.percentiles(result.arms[arm].latency_ms),
        }
        for arm, latency in found.latency_ms.items()
    ]
    changes = [
        {
            "metric": escape(metric),
            "change cold": wording.percent(value),
            "95 % interval": f"{wording.percent(low)} … {wording.percent(high)}",
        }
        for metric, (value, low, high) in found.changes.items()
    ]
    return section("Cold cache", told, table(rows), table(changes), folded=True)
