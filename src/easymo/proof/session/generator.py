"""The load generator as a process of its own, started once and used for many rounds (:mod:`easymo.load.warm`)."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from easymo.load.errors import ScenarioError, TargetError
from easymo.load.job import Job
from easymo.load.result import LoadResult
from easymo.load.warm import Answer
from easymo.proof.errors import AcceptanceError, RunVoid
from easymo.proof.system.processes import base_environment, die_with_parent

_LONGEST_ANSWER_BYTES = 1 << 26


class WarmGenerator:
    """Plays jobs of one scenario, one after the other; `await close()` ends it with all it started."""

    def __init__(self, scenario: str, folder: Path, environment: Mapping[str, str], log: Path) -> None:
        self._scenario, self._folder, self._environment, self._log = scenario, folder, dict(environment), log
        self._process: asyncio.subprocess.Process | None = None

    async def play(self, job: Job) -> LoadResult:
        """Carry out `job`; when this is cancelled, so is the job.

        Raises :class:`AcceptanceError` for a scenario that cannot be used, :class:`RunVoid` for any other failure.
        """
        process = self._process or await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            line = await process.stdout.readline()
        except BaseException:
            await self.close()
            raise
        if not line:
            await self.close()
            raise RunVoid(f"The load generator ended in the middle of the run. Its last lines:\n{self._tail()}")
        answer = msgspec.json.decode(line, type=Answer)
        if answer.result is not None:
            return answer.result
        if answer.exit_code == ScenarioError.exit_code:
            raise AcceptanceError(self._scenario, None, answer.said)
        tail = "" if answer.exit_code == TargetError.exit_code else f"\n{self._tail()}"
        raise RunVoid(f"{answer.said}{tail}")

    async def close(self) -> None:
        """End the process and the job that it may be playing."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "easymo.load.warm", self._scenario),
                cwd=self._folder,
                env={**base_environment(), **self._environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
                limit=_LONGEST_ANSWER_BYTES,
            )
        return self._process

    def _tail(self, lines: int = 12) -> str:
        text = self._log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(f"  | {line}" for line in text) or "  | (it printed nothing)"
