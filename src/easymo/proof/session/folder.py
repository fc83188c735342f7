"""The folder of a run: made before it, filled after it; and how a run ends on a signal or a lost server."""

import asyncio
import shutil
import signal
import threading
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from easymo.embedded import EmbeddedError
from easymo.indexes import IndexesError
from easymo.proof import report
from easymo.proof.errors import AcceptanceError, RunVoid
from easymo.proof.verdict.file import VerdictFile, write_json
from easymo.proof.verdict.measurement import read_rounds

_T = TypeVar("_T")
#: What a run writes into its folder before there is a verdict.
BEFORE_VERDICT = {"logs", "prepare.log", "rounds.jsonl", "break-even.jsonl"}


class Stopped(Exception):
    """A signal ended the run; `number` says which."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"Stopped by {signal.Signals(number).name}; everything that was started is gone.")


def new_folder(out: Path | None, root: Path) -> Path:
    """The run's folder, made: `out`, or one named by the time below `root`."""
    folder = out or root / "runs" / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    if _is_of_a_failed_run(folder):
        shutil.rmtree(folder)
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


def _is_of_a_failed_run(folder: Path) -> bool:
    """Whether it holds only what a run writes before its verdicts: the same command then takes its place."""
    return folder.is_dir() and not folder.is_symlink() and {path.name for path in folder.iterdir()} <= BEFORE_VERDICT


def write_evidence(result: VerdictFile, folder: Path) -> None:
    """Write `verdict.json` and `report.html` beside the raw rounds."""
    write_json(folder / "verdict.json", result)
    page = report.render_report(result, read_rounds(folder / "rounds.jsonl"))
    (folder / "report.html").write_text(page, encoding="utf-8")


def run_until_stopped(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work`; a first SIGINT or SIGTERM cancels it, later ones wait for the clean-up."""
    received: list[int] = []

    async def supervised() -> _T:
        task = asyncio.ensure_future(work)

        def stop(number: int) -> None:
            received.append(number)
            if len(received) == 1:
                task.cancel()

        loop = asyncio.get_running_loop()
        # Signals reach the main thread alone; a program that compares in another one stops it by its own means.
        if threading.current_thread() is threading.main_thread():
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
