"""Whether two runs on one commit contradict each other: no promise may be kept in one and broken in the other.

`python -m easymo.proof.accepted.consistency A/verdict.json B/verdict.json` compares them;
`make prove-twice` makes both.
Exit codes: 0 no contradiction, 1 at least one, 2 the runs cannot be laid side by side.
"""

import sys
from pathlib import Path

from msgspec import Struct

from easymo.proof.errors import ProofError
from easymo.proof.report import wording
from easymo.proof.verdict.file import VerdictFile, read_verdict
from easymo.proof.verdict.judge import Verdict


class Different(ProofError):
    """Two runs that did not measure the same, so that they may well disagree."""

    exit_code = 2


class Agreement(Struct, frozen=True):
    """``decided_alike``: promises with the same decision in both runs; ``undecided``: inconclusive in at least one."""

    decided_alike: list[str]
    undecided: list[str]
    contradictions: list[tuple[Verdict, Verdict]]


def compare(first: VerdictFile, second: VerdictFile) -> Agreement:
    """Lay the verdicts of two runs side by side; raises :class:`Different` when they are not of the same thing."""
    measured, again = _what(first), _what(second)
    for what, name in measured.items():
        if name != again[what]:
            raise Different(
                f"The runs have different {what} ({name} and {again[what]}), so a difference between them says nothing"
                " about the judge. Make both runs without a change in between: make prove-twice."
            )
    alike, undecided, contradictions = [], [], []
    for one, other in zip(first.promises, second.promises, strict=True):
        if "inconclusive" in (one.verdict, other.verdict):
            undecided.append(one.id)
        elif one.verdict == other.verdict:
            alike.append(one.id)
        else:
            contradictions.append((one, other))
    return Agreement(alike, undecided, contradictions)


def _what(result: VerdictFile) -> dict[str, str]:
    """What must be the same for the verdicts to be the same."""
    return {
        "commits": result.git or "no checkout",
        "modes": result.mode,
        "data sizes": result.scale.name,
        "promises": ", ".join(promise.id for promise in result.promises),
    }


def told(agreement: Agreement) -> list[str]:
    """The outcome in lines for people."""
    lines = [
        f"{one.claim}: {one.verdict} ({wording.interval(one)}), then {other.verdict} ({wording.interval(other)})"
        for one, other in agreement.contradictions
    ]
    return [
        *lines,
        f"{len(agreement.decided_alike)} promises decided alike, {len(agreement.undecided)} inconclusive in a run,"
        f" {len(agreement.contradictions)} kept in one run and broken in the other.",
    ]


def main(arguments: list[str]) -> int:
    """Read two files and print what :func:`told` says."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m easymo.proof.accepted.consistency A/verdict.json B/verdict.json\n")
        return 2
    try:
        agreement = compare(*(read_verdict(Path(name)) for name in arguments))
    except ProofError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("\n".join(told(agreement)) + "\n")
    return 1 if agreement.contradictions else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
