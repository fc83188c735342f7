"""The accepted run: ``evidence/prove/``, from which documents take their numbers, and ``evidence/history.jsonl``."""

import shutil
from pathlib import Path

import msgspec

from easymo.proof.errors import ProofError
from easymo.proof.verdict.file import VerdictFile, read_verdict

RUNS, ACCEPTED, HISTORY = Path("runs"), Path("evidence/prove"), Path("evidence/history.jsonl")
#: What is kept of a run; logs may hold what a service wrote about its users.
KEPT = ("verdict.json", "report.html", "rounds.jsonl")


class EvidenceError(ProofError):
    """A run cannot be accepted."""

    exit_code = 2


def accepted_verdict(root: Path) -> VerdictFile:
    """The verdict of the accepted run below ``root``; raises :class:`ProofError` when there is none."""
    return read_verdict(root / ACCEPTED / "verdict.json")


def accept_run(root: Path, run: Path | None, *, force: bool) -> Path:
    """Make ``run`` (default: the last valid one) the accepted one; returns its folder.

    Never a quick or void run; a default run replaces a full one only with ``force``. Raises :class:`EvidenceError`.
    """
    folder = run if run is not None else last_valid_run(root)
    result = read_verdict(folder / "verdict.json")
    if (why := _why_not(result)) is not None:
        raise EvidenceError(f"{folder} cannot be accepted: {why}. Run `easymo prove` and accept that.")
    if result.mode == "default" and not force and _accepted_mode(root) == "full":
        raise EvidenceError(
            f"{folder} is a default run and the accepted one is a full run, which says more."
            " Accept a full run, or insist with --force (make evidence FORCE=1)."
        )
    _replace(folder, root / ACCEPTED)
    with (root / HISTORY).open("ab") as file:
        file.write(msgspec.json.encode(history_line(result)) + b"\n")
    return folder


def last_valid_run(root: Path) -> Path:
    """The newest run below ``runs/`` that may be accepted."""
    for folder in sorted((root / RUNS).glob("*/"), reverse=True):
        if not (folder / "verdict.json").is_file():
            continue
        result = read_verdict(folder / "verdict.json")
        if _why_not(result) is None:
            return folder
    raise EvidenceError(f"No valid run below {RUNS}/. Run `easymo prove` first, or name a run.")


def _why_not(result: VerdictFile) -> str | None:
    """Why the run can never be the accepted one; None when it can."""
    if result.compared != "treatments":
        return f"it compared {result.compared}, and the documents are about treatments"
    if result.mode == "quick":
        return "a quick run decides nothing"
    return None if result.valid else "the run is void"


def history_line(result: VerdictFile) -> dict[str, object]:
    """What the history keeps of an accepted run."""
    return {
        "created": result.created,
        "git": result.git,
        "promises": {v.id: v.verdict for v in result.promises},
        "capacities": {name: arm.capacity_rps for name, arm in result.arms.items()},
        "p95_ms": {name: arm.latency_ms["p95"] for name, arm in result.arms.items() if "p95" in arm.latency_ms},
        "statements": {
            name: arm.db_statements_per_request
            for name, arm in result.arms.items()
            if arm.db_statements_per_request is not None
        },
    }


def _accepted_mode(root: Path) -> str | None:
    path = root / ACCEPTED / "verdict.json"
    return read_verdict(path).mode if path.is_file() else None


def _replace(folder: Path, target: Path) -> None:
    """Copy beside the old evidence first, so that a full disk leaves the old one whole."""
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name in KEPT:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, fresh / name)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
