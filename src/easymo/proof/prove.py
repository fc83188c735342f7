"""`easymo prove`: one run from `acceptance.toml` to a folder of evidence."""

import time
from pathlib import Path

from easymo.proof.errors import AcceptanceError
from easymo.proof.session import check as session_check
from easymo.proof.session.check import Checked
from easymo.proof.session.experiment import Experiment
from easymo.proof.session.folder import new_folder, run_until_stopped, write_evidence
from easymo.proof.session.outcome import conclude
from easymo.proof.session.plan import lengths_of, plan_of
from easymo.proof.session.progress import StepProgress
from easymo.proof.system.acceptance import read_acceptance
from easymo.proof.system.arms import against, arms_of
from easymo.proof.verdict.file import Mode, VerdictFile


def prove(
    acceptance_file: Path,
    out: Path | None,
    *,
    mode: Mode,
    scale: str | None,
    budget_s: float | None = None,
    base: str = "",
) -> tuple[VerdictFile, Path]:
    """Run the proof; returns the verdicts and the folder that holds the evidence.

    With `budget_s` the comparison may go on for so many seconds while more pairs could decide something. With `base`, a
    revision, the folder of the file as it stands is compared with that revision, and promised is that nothing gets
    worse; treatments and promises of the file are left out.

    Raises :class:`ProofError` (its `exit_code` says which kind) or :class:`Stopped`. Whatever happens, no process, no
    scratch database and no worktree is left.
    """
    acceptance = read_acceptance(acceptance_file)
    if base:
        acceptance = against(acceptance, base)
    elif not acceptance.treatments:
        raise AcceptanceError(
            acceptance_file,
            None,
            "it has no [treatments.NAME], so nothing would differ between the arms. Add one, or compare this folder"
            " with another revision: --base main.",
        )
    root = acceptance_file.resolve().parent
    folder = new_folder(out, root)
    size = scale or acceptance.system.scale
    lengths = lengths_of(acceptance, mode, budget_s)
    experiment = Experiment(acceptance, root, folder, scale=size, lengths=lengths, mode=mode)
    arms = len(arms_of(acceptance, full=mode == "full"))
    began = time.monotonic()
    grid = acceptance.break_even if mode == "full" else None
    with StepProgress(plan_of(lengths, acceptance, arms, grid)) as progress:
        findings = run_until_stopped(experiment.run(progress))
    seconds = time.monotonic() - began
    result = conclude(findings, acceptance, root, lengths, mode=mode, scale=size, seconds=seconds)
    write_evidence(result, folder)
    return result, folder


def check(acceptance_file: Path, *, scale: str | None, base: str = "") -> Checked:
    """Start everything and send each request once; raises as :func:`prove`."""
    acceptance = against(read_acceptance(acceptance_file), base) if base else read_acceptance(acceptance_file)
    return session_check.check(acceptance, acceptance_file.resolve().parent, scale=scale or acceptance.system.scale)


def gate_exit_code(result: VerdictFile) -> int:
    """Exit code of `--gate`: 1 when a promise is broken, else 4 when one is undecided or the run was quick, else 0."""
    decisions = {v.verdict for v in result.promises}
    if "broken" in decisions:
        return 1
    return 4 if "inconclusive" in decisions or result.mode == "quick" else 0
