"""`easymo prove`: one run from `acceptance.toml` to a folder of evidence."""

import time
from pathlib import Path

from easymo.proof.session.experiment import Experiment
from easymo.proof.session.folder import new_folder, run_until_stopped, write_evidence
from easymo.proof.session.outcome import conclude
from easymo.proof.session.plan import lengths_of, plan_of
from easymo.proof.session.progress import StepProgress
from easymo.proof.system.acceptance import read_acceptance
from easymo.proof.system.arms import arms_of
from easymo.proof.verdict.file import Mode, VerdictFile


def prove(
    acceptance_file: Path, out: Path | None, *, mode: Mode, scale: str | None, budget_s: float | None = None
) -> tuple[VerdictFile, Path]:
    """Run the proof; returns the verdicts and the folder that holds the evidence.

    With `budget_s` the comparison may go on for so many seconds while more pairs could decide something. Raises
    :class:`ProofError` (its `exit_code` says which kind) or :class:`Stopped`. Whatever happens, no process and no
    scratch database is left.
    """
    acceptance = read_acceptance(acceptance_file)
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


def gate_exit_code(result: VerdictFile) -> int:
    """Exit code of `--gate`: 1 when a promise is broken, else 4 when one is undecided or the run was quick, else 0."""
    decisions = {v.verdict for v in result.promises}
    if "broken" in decisions:
        return 1
    return 4 if "inconclusive" in decisions or result.mode == "quick" else 0
