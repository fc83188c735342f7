"""Numbers and verdicts in words, the same ones in the terminal, the report and the documents."""

from easymo.proof.verdict.file import VerdictFile
from easymo.proof.verdict.judge import Verdict


def amount(value: float | None, unit: str) -> str:
    """`value` with its unit, to three significant digits; an en dash where there is none."""
    if value is None:
        return "–"
    if unit == "ratio":
        return f"{value * 100:.2g} %" if 0 < value < 0.1 else f"{value * 100:.0f} %"
    if unit == "bytes":
        return f"{value / 1e6:.1f} MB" if value >= 1e5 else f"{value / 1e3:.0f} kB"
    if unit == "requests/s":
        return f"{value:,.0f}/s"
    suffix = {"ms": " ms", "cores": " cores", "s": " s"}.get(unit, "")
    if unit == "connections":
        return f"{value:.1f}"
    return f"{_three_digits(value)}{suffix}"


def percent(change: float | None) -> str:
    """A change as a signed percentage; large growth as a factor."""
    if change is None:
        return "–"
    if change >= 2:
        return f"×{change + 1:.1f}"
    # What is left of a hundred percent is what a reader looks for there; near no change, the first decimal.
    digits = 1 if 0 < abs(change) < 0.05 else 0 if not -1 < change < -0.985 else 1 if change > -0.9995 else 2
    return f"{change * 100:+.{digits}f} %".replace("-", "−")


def interval(verdict: Verdict) -> str:
    """The 95 % interval of the bounded quantity, or why there is none."""
    if verdict.interval is None:
        return "–"
    low, high = (_bounded(verdict, end) for end in verdict.interval)
    return f"{low} … {high}"


def limit(verdict: Verdict) -> str:
    """The limit as it is judged, with how much of it is the margin."""
    if verdict.metric == "same_answers":
        return "none differ"
    sign = "" if verdict.at_most is None else "≤ " if verdict.at_most else "≥ "
    about = f" (±{verdict.margin * 100:g} % in it)" if verdict.margin else ""
    return f"{sign}{_bounded(verdict, verdict.limit)}{about}"


def arm(result: VerdictFile, name: str) -> str:
    """What an arm is called, by its treatments."""
    return result.names.get(name, name)


def rows(counts: dict[str, int]) -> str:
    """Rows per table, the largest ones."""
    largest = ", ".join(f"{count:,} {table}" for table, count in list(counts.items())[:5])
    return f"{sum(counts.values()):,} rows ({largest})" if counts else "no rows counted"


def percentiles(latency_ms: dict[str, float]) -> str:
    """P50, P95 and P99 in one cell."""
    return " / ".join(amount(latency_ms.get(name), "ms").removesuffix(" ms") for name in ("p50", "p95", "p99")) + " ms"


def _bounded(verdict: Verdict, value: float | None) -> str:
    if value is None:
        return "open"
    if verdict.kind == "difference":
        return f"{value * 100:+.2g} points".replace("-", "−")
    return percent(value) if verdict.kind == "change" else amount(value, verdict.unit)


def _three_digits(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
