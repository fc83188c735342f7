"""How often the cache had what was asked of it."""

from html import escape

from easymo.proof.report import wording
from easymo.proof.report.parts import section, table
from easymo.proof.verdict.file import VerdictFile


def caching(result: VerdictFile) -> str:
    """Reads and hit rate per group, and how often the load asked for the same thing again."""
    rows = [
        {
            "group": escape(group or "all"),
            "reads": f"{rate.reads:,}",
            "hits": wording.amount(rate.hit_ratio, "ratio"),
            "by outcome": ", ".join(f"{escape(name)} {count:,}" for name, count in rate.outcomes.items()),
        }
        for group, rate in sorted(result.cache_reads.items(), key=lambda one: -one[1].reads)
    ]
    if not rows:
        return ""
    repeated = {arm.repeat_read_ratio for arm in result.arms.values() if arm.repeat_read_ratio is not None}
    again = f" {max(repeated):.0%} of the load's reads asked for something it had read before." if repeated else ""
    told = f"<p>The system's own counters, over the comparison rounds of the arm with every treatment.{again}</p>"
    return section("Cache hit rates", told, table(rows), folded=True)
