"""The tables of verdicts, of arms, and of what each treatment brought."""

from html import escape

from easymo.proof.report import wording
from easymo.proof.report.parts import row, table
from easymo.proof.verdict.file import VerdictFile


def verdicts(result: VerdictFile) -> str:
    """Every promise with its verdict: the first thing on the page."""
    rows = []
    for v in result.promises:
        cells = [
            ("promise", f"{escape(v.claim)}<br><span class=dim>{escape(v.source)} · {escape(v.reason)}</span>", ""),
            ("before", wording.amount(v.before, v.unit), "n"),
            ("after", wording.amount(v.after, v.unit), "n"),
            ("change", wording.percent(v.change), "n"),
            ("95 % interval", wording.interval(v), "n"),
            ("verdict", f'<span class="{v.verdict}">{v.verdict}</span>', ""),
        ]
        rows.append(row(cells))
    head = ["promise", "before", "after", "change", "95 % interval", "verdict"]
    return f"<h2>Verdicts</h2>{table(head, rows)}"


def arms(result: VerdictFile) -> str:
    """What was measured of each arm, promised or not."""
    rows = []
    for name, arm in result.arms.items():
        errors = ", ".join(f"{wording.amount(ratio, 'ratio')} at {rate}/s" for rate, ratio in arm.error_ratio.items())
        latency = " / ".join(wording.amount(arm.latency_ms.get(p), "ms") for p in ("p50", "p95", "p99"))
        cells = [
            ("arm", escape(name), ""),
            ("capacity", wording.amount(arm.capacity_rps, "requests/s"), "n"),
            (f"P50 / P95 / P99 at {arm.at_rps or 0:g}/s", latency, "n"),
            ("errors under stress", errors or "–", "n"),
            ("statements per request", wording.amount(arm.db_statements_per_request, "statements/request"), "n"),
            ("CPU", wording.amount(arm.cpu_ratio, "cores"), "n"),
            ("connections", str(arm.db_connections if arm.db_connections is not None else "–"), "n"),
        ]
        rows.append(row(cells))
    head = ["arm", "capacity", "P50 / P95 / P99", "errors under stress", "statements per request", "CPU", "connections"]
    return f"<h2>Arms</h2>{table(head, rows)}"
