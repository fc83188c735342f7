"""Commands of acceptance.toml that run to their end: build, prepare, data, and those of treatments."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from easymo.proof.errors import ProofError, RunVoid
from easymo.proof.system.processes import fill, last_lines, start_process


async def run_commands(
    what: str,
    commands: Iterable[list[str]],
    folder: Path,
    environment: Mapping[str, str],
    places: Mapping[str, str],
    log: Path,
) -> None:
    """Run each to its end in `folder`, output to `log`; raises :class:`RunVoid` with the last lines of one that fails.

    `what` names the key in the sentence. Children that a command leaves are ended with it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = dict(zip(environment, fill(list(environment.values()), **places), strict=True))
    for command in commands:
        words = fill(command, **places)
        shown = " ".join(word.replace(sys.executable, "python") for word in command)
        log_start = log.stat().st_size if log.exists() else 0
        try:
            process = start_process(words, folder, environment, log)
        except OSError as error:
            raise ProofError(
                f"The {what} command `{shown}` could not be started: {words[0]}: {error.strerror}. Install it, correct"
                " it in acceptance.toml, or activate the environment that has it."
            ) from error
        try:
            while process.poll() is None:  # noqa: ASYNC110 - a child has no event
                await asyncio.sleep(0.05)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode != 0:
            tail = last_lines(log, log_start)
            raise RunVoid(
                f"The {what} command `{shown}` ended with exit code {process.returncode}. Its last lines:\n{tail}"
                + missing_extension(tail)
            )


def missing_extension(message: str) -> str:
    """What to do about an extension that the server lacks, when that is what the message says."""
    missing = re.search(r'extension "([\w-]+)" is not available', message)
    if missing is None:
        return ""
    return (
        f"\nThe embedded PostgreSQL has no extension {missing[1]!r}."
        "\nUse a server that has it: EASYMO_POSTGRES_BIN=/usr/lib/postgresql/17/bin (with its package installed), or"
        " DATABASE_URL=postgresql://…"
    )
