"""``python -m drills.documents [--check]``: the table of docs/explanation/faults.md from the accepted drills."""

import re
import sys
from pathlib import Path

import msgspec

from drills.chaos import Drill, table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "faults.md"
EVIDENCE = ROOT / "evidence" / "operations" / "faults.json"

_BLOCK = re.compile(r"(<!-- faults -->\n).*?(<!-- /faults -->)", re.DOTALL)


class Evidence(msgspec.Struct):
    """The part of faults.json that the page shows."""

    created: str
    result: list[Drill]


def fill(text: str, evidence: Evidence) -> str:
    """``text`` with the table in its place."""
    shown = f"{table(evidence.result)}\n\nMeasured {evidence.created[:10]}.\n"
    return _BLOCK.sub(lambda block: f"{block[1]}{shown}{block[2]}", text)


def main(arguments: list[str]) -> int:
    """Fill or check; returns the exit code."""
    text = PAGE.read_text(encoding="utf-8")
    filled = fill(text, msgspec.json.decode(EVIDENCE.read_bytes(), type=Evidence))
    if filled != text and "--check" in arguments:
        sys.stderr.write(f"Out of date against {EVIDENCE.name}: {PAGE.name}. Run `python -m drills.documents`.\n")
        return 1
    PAGE.write_text(filled, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
