"""The note's 73 claims (docs/reference/claims.toml), and the tables of them in docs/performance.md."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from easymo.proof.report import wording
from easymo.proof.verdict.file import VerdictFile
from easymo.proof.verdict.judge import Verdict

FILE = Path(__file__).parents[2] / "docs/reference/claims.toml"


class Claim(Struct, frozen=True, forbid_unknown_fields=True):
    """One row: what is claimed under which heading, and how it is answered (see the head of the file)."""

    id: str
    heading: str
    claim: str
    promises: list[str] = []
    criterion: str = ""
    remark: Literal["", "not comparable", "wrong in the note"] = ""
    found: str = ""


def read_claims() -> list[Claim]:
    """All rows, in the order of the page."""
    return msgspec.convert(tomllib.loads(FILE.read_text(encoding="utf-8"))["claims"], list[Claim])


def table(heading: str, result: VerdictFile) -> str:
    """The rows under one heading, with verdicts and figures of the accepted run."""
    rows = [claim for claim in read_claims() if claim.heading == heading]
    lines = ["| Row | Claimed | Found |", "|---|---|---|"]
    return "\n".join(lines + [f"| {c.id} | {c.claim} | {found(c, result.promises)} |" for c in rows])


def found(claim: Claim, verdicts: Sequence[Verdict]) -> str:
    """What became of a claim, in one cell."""
    by_id = {v.id: v for v in verdicts}
    parts = [_verdict(by_id[name]) if name in by_id else f"{name}: not in the accepted run" for name in claim.promises]
    if claim.criterion:
        parts.append(f"checked by `easymo accept`, *{claim.criterion}*")
    if claim.remark:
        parts.append(f"*{claim.remark}*")
    said = "; ".join(parts)
    return f"{said}: {claim.found}" if claim.found else said


def _verdict(v: Verdict) -> str:
    change = f" ({wording.percent(v.change)})" if v.kind == "change" else ""
    before = "" if v.before is None else f"{wording.amount(v.before, v.unit)} → "
    return f"**{v.verdict}** {v.claim}: {before}{wording.amount(v.after, v.unit)}{change}"
