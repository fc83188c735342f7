"""``easymo prove``: one run from ``acceptance.toml`` to a folder of evidence."""

import asyncio
import signal
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from easymo.embedded import EmbeddedError
from easymo.indexes import IndexesError
from easymo.proof import report
from easymo.proof.acceptance import read_acceptance
from easymo.proof.arms import arms_of
from easymo.proof.errors import AcceptanceError, RunVoid
from easymo.proof.experiment import Experiment
from easymo.proof.measurement import read_rounds
from easymo.proof.outcome import conclude
from easymo.proof.plan import lengths_of, plan_of
from easymo.proof.progress import StepProgress
from easymo.proof.verdict_file import Mode, VerdictFile, write_json

_T = TypeVar("_T")


class Stopped(Exception):
    """A signal ended the run; ``number`` says which."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"Stopped by {signal.Signals(number).name}; everything that was started is gone.")


def prove(acceptance_file: Path, out: Path | None, *, mode: Mode, scale: str | None) -> tuple[VerdictFile, Path]:
    """Run the proof; returns the verdicts and the folder that holds the evidence.

    Raises :class:`ProofError` (its ``exit_code`` says which kind) or :class:`Stopped`. Whatever happens, no process and
    no scratch database is left.
    """
    acceptance = read_acceptance(acceptance_file)
    root = acceptance_file.resolve().parent
    folder = new_folder(out, root)
    size = scale or acceptance.system.scale
    lengths = lengths_of(acceptance, mode)
    experiment = Experiment(acceptance, root, folder, scale=size, lengths=lengths, mode=mode)
    arms = len(arms_of(acceptance, full=mode == "full"))
    began = time.monotonic()
    grid = acceptance.break_even if mode == "full" else None
    with StepProgress(plan_of(lengths, acceptance, arms, grid)) as progress:
        findings = _run(experiment.run(progress))
    seconds = time.monotonic() - began
    result = conclude(findings, acceptance, root, lengths, mode=mode, scale=size, seconds=seconds)
    write_evidence(result, folder)
    return result, folder


def write_evidence(result: VerdictFile, folder: Path) -> None:
    """Write ``verdict.json`` and ``report.html`` beside the raw rounds."""
    write_json(folder / "verdict.json", result)
    page = report.render_report(result, read_rounds(folder / "rounds.jsonl"))
    (folder / "report.html").write_text(page, encoding="utf-8")


def new_folder(out: Path | None, root: Path) -> Path:
    """The run's folder, made: ``out``, or one named by the time below ``root``."""
    folder = out or root / "runs" / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    try:
        folder.mkdir(parents=True, exist_ok=False)
    except FileExistsError as error:
        raise AcceptanceError(
            folder, None, "the folder of the run exists already. Name another one with --out."
        ) from error
    except OSError as error:
        raise RunVoid(
            f"The folder of the run cannot be made: {folder.name}: {error.strerror}. Name another one with --out."
        ) from error
    return folder


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run ``work``; a first SIGINT or SIGTERM cancels it, later ones wait for the clean-up."""
    received: list[int] = []

    async def supervised() -> _T:
        task = asyncio.ensure_future(work)

        def stop(number: int) -> None:
            received.append(number)
            if len(received) == 1:
                task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        return await task

    try:
        return asyncio.run(supervised())
    except asyncio.CancelledError:
        raise Stopped(received[0] if received else signal.SIGINT) from None
    except (EmbeddedError, IndexesError) as error:
        raise RunVoid(str(error)) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError) as error:
        raise RunVoid(
            f"The Postgres server was lost or refused in the middle of the run ({type(error).__name__}: {error})."
            " Nothing can be said about the arms; run it again."
        ) from error
    except OSError as error:
        raise RunVoid(f"The run could not be finished: {error}. Put that right, then run it again.") from error
    finally:
        if received:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def summary_line(result: VerdictFile) -> str:
    """One sentence: how many promises were kept, broken, undecided."""
    counts = {name: sum(v.verdict == name for v in result.promises) for name in ("kept", "broken", "inconclusive")}
    words = ", ".join(f"{count} {name}" for name, count in counts.items())
    taken_back = f"taken back in {result.rollback.seconds:.1f} s; " if result.compared == "treatments" else ""
    shares = {arm.repeat_read_ratio for arm in result.arms.values() if arm.repeat_read_ratio is not None}
    repeated = f"{max(shares):.0%} of a round's reads repeat a key; " if shares else ""
    return f"{len(result.promises)} promises: {words}; {repeated}{taken_back}{result.seconds:.0f} s in all."


def gate_exit_code(result: VerdictFile) -> int:
    """Exit code of ``--gate``: 1 when a promise is broken, else 4 when one is undecided, else 0."""
    decisions = {v.verdict for v in result.promises}
    return 1 if "broken" in decisions else 4 if "inconclusive" in decisions else 0
