"""What the treatments cost those who write, beside what they bring."""

from html import escape

from easymo.proof.report import wording
from easymo.proof.report.parts import section, table
from easymo.proof.verdict.file import ArmWrites, VerdictFile


def write_cost(result: VerdictFile) -> str:
    """Log, HOT updates, bytes of indexes and the latency of writing requests, per arm; nothing where none was told."""
    arms = {name: arm for name, arm in result.write_cost.items() if arm.db_writes}
    if not arms:
        return ""
    told = (
        "<p>Over the comparison rounds. Write-ahead log is that of the arm's own statements, per statement that writes"
        " rows, copies of whole pages among it. An update is HOT when it needs no new index entry.</p>"
    )
    rows = [
        {
            "arm": escape(wording.arm(result, name)),
            "log per write": _bytes(arm.wal_bytes_per_write),
            "writes": f"{arm.db_writes:,}",
            "indexes": wording.amount(arm.index_bytes, "bytes"),
        }
        for name, arm in arms.items()
    ]
    named = {wording.arm(result, name): arm for name, arm in arms.items()}
    return section("What writing costs", told, table(rows), _updates(named), _latencies(named), folded=True)


def _bytes(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} bytes"


def _updates(arms: dict[str, ArmWrites]) -> str:
    tables = sorted({name for arm in arms.values() for name in arm.updates})
    rows = [
        {"HOT updates of": escape(name), **{arm: _hot(found, name) for arm, found in arms.items()}} for name in tables
    ]
    return table(rows)


def _hot(arm: ArmWrites, name: str) -> str:
    found = arm.updates.get(name)
    return "–" if found is None else f"{found.hot_ratio * 100:.0f} % of {found.rows:,}"


def _latencies(arms: dict[str, ArmWrites]) -> str:
    requests = list(dict.fromkeys(name for arm in arms.values() for name in arm.latency_ms))
    rows = [
        {"P50 / P95 of": escape(name), **{arm: _latency(found, name) for arm, found in arms.items()}}
        for name in requests
    ]
    return table(rows)


def _latency(arm: ArmWrites, request: str) -> str:
    found = arm.latency_ms.get(request)
    if not found:
        return "–"
    shown = " / ".join(wording.amount(found.get(name), "ms") for name in ("p50", "p95"))
    change = arm.change.get(request, {}).get("p50")
    interval = f"<br>P50 {wording.percent(change[1])} … {wording.percent(change[2])}" if change else ""
    return f"<span>{shown}{interval}</span>"
