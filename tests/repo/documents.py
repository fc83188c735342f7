"""``python -m tests.repo.documents [--check]``: fills measured numbers into README.md and docs.

A document holds blocks between ``<!-- measured: NAME -->`` and ``<!-- /measured -->``; what stands between is replaced
by what NAME renders from the accepted verdict. ``--check`` changes nothing and exits 1 when a block is out of date.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from easymo.proof.accepted.evidence import accepted_verdict
from easymo.proof.errors import ProofError
from easymo.proof.report import wording
from easymo.proof.report.table import markdown_table
from easymo.proof.verdict.file import VerdictFile
from tests.repo import claims

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/performance.md")
BLOCK = re.compile(r"(<!-- measured: (?P<name>[^>]+?) -->\n)(?P<body>.*?)(<!-- /measured -->)", re.DOTALL)


def machine(result: VerdictFile) -> str:
    """One line on where and when."""
    m = result.machine
    return (
        f"Measured {result.created[:10]} on {m.cores} cores ({m.cpu}), {m.memory_bytes / 2**30:.0f} GiB, {m.postgres},"
        f" {m.cache}, Python {m.python}; load offered at {result.arms['none'].at_rps:g} requests/s in both arms;"
        f" data: {wording.rows(result.scale.rows)}."
    )


def arms(result: VerdictFile) -> str:
    """Both arms side by side, whatever was promised."""
    rows: list[tuple[str, Callable[..., str]]] = [
        ("Capacity (P95 < 500 ms, errors < 1 %)", lambda a: wording.amount(a.capacity_rps, "requests/s")),
        *((p.upper(), lambda a, p=p: wording.amount(a.latency_ms[p], "ms")) for p in ("p50", "p95", "p99")),
        *(
            (f"Errors at {rate} requests/s", lambda a, rate=rate: wording.amount(a.error_ratio[rate], "ratio"))
            for rate in result.arms["none"].error_ratio
        ),
        (
            "Database statements per request",
            lambda a: wording.amount(a.db_statements_per_request, "statements/request"),
        ),
        ("CPU, all processes", lambda a: wording.amount(a.cpu_ratio, "cores")),
        ("Memory, service and cache", lambda a: wording.amount(a.rss_bytes, "bytes")),
        ("Database connections", lambda a: str(a.db_connections)),
        ("Reads of something read before", lambda a: wording.amount(a.repeat_read_ratio, "ratio")),
    ]
    before, after = result.arms["none"], result.arms["both"]
    lines = ["| Metric | Before | After |", "|---|---:|---:|"]
    return "\n".join(lines + [f"| {name} | {show(before)} | {show(after)} |" for name, show in rows])


def indexes(result: VerdictFile) -> str:
    """The built indexes with their price."""
    if result.applied is None:
        return "No index was built."
    lines = ["| Index | Build | Size |", "|---|---:|---:|"]
    for index in result.applied.indexes:
        size = wording.amount(index.bytes, "bytes")
        lines.append(f"| `{index.name}` | {index.seconds * 1000:.0f} ms | {size} |")
    return "\n".join(lines)


def promise(result: VerdictFile, identity: str) -> str:
    """One promise in one sentence."""
    v = next((v for v in result.promises if v.id == identity), None)
    if v is None:
        return f"{identity}: not in the accepted run."
    return (
        f"**{v.claim}**: {wording.amount(v.before, v.unit)} → {wording.amount(v.after, v.unit)}"
        f" ({wording.percent(v.change)}; 95 % interval {wording.interval(v)}): **{v.verdict}** ({v.reason})."
    )


def verdicts_of(result: VerdictFile, sources: list[str]) -> str:
    """The promises of some headings of the note only."""
    return markdown_table(replace(result, promises=[v for v in result.promises if v.source in sources]))


def rollback(result: VerdictFile) -> str:
    """How long taking back took."""
    state = "equal to the one before" if result.rollback.schema_restored else "NOT restored"
    return f"Taken back in {result.rollback.seconds:.1f} s; the schema was {state}."


def render(name: str, result: VerdictFile) -> str:
    """What belongs into the block ``name``."""
    if name.startswith("promise "):
        return promise(result, name.removeprefix("promise "))
    if name.startswith("verdicts of "):
        return verdicts_of(result, name.removeprefix("verdicts of ").split(" + "))
    if name.startswith("claims "):
        return claims.table(name.removeprefix("claims "), result)
    blocks = {"verdicts": markdown_table, "arms": arms, "machine": machine, "indexes": indexes, "rollback": rollback}
    return blocks[name](result)


def fill(text: str, result: VerdictFile) -> str:
    """``text`` with every block filled."""
    return BLOCK.sub(lambda b: f"{b[1]}{render(b['name'], result)}\n{b[4]}", text)


def main(arguments: list[str]) -> int:
    """Fill or check; returns the exit code."""
    try:
        result = accepted_verdict(ROOT)
    except ProofError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    stale = []
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        filled = fill(text, result)
        if filled != text:
            stale.append(name)
            if "--check" not in arguments:
                (ROOT / name).write_text(filled, encoding="utf-8")
    if stale and "--check" in arguments:
        sys.stderr.write(f"Out of date against evidence/prove/verdict.json: {', '.join(stale)}. Run `make docs`.\n")
        return 1
    sys.stdout.write(f"{', '.join(DOCUMENTS)}: {'filled' if stale else 'up to date'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
