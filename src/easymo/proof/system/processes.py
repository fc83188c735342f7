"""The system's own processes: started from command lines, known only by their ports."""

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType

from easymo.embedded.ports import lease_port
from easymo.proof.errors import ProofError, RunVoid
from easymo.proof.system.acceptance import Process

STOP_WITHIN_S = 5.0
FIRST_ANSWER_S = 2.0
TAIL_LINES = 12
#: Grace on a restart: a service that drains the backlog of an overload would take it along for seconds.
RESTART_WITHIN_S = 0.3
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def fill(words: list[str], **values: str | int) -> list[str]:
    """Fill ``{python}`` and the given placeholders into a command; other braces stay as they are."""
    known = {"python": sys.executable, **{name: str(value) for name, value in values.items()}}
    return [re.sub(r"\{([^{}]+)\}", lambda found: known.get(found[1], found[0]), word) for word in words]


def base_environment() -> dict[str, str]:
    """This process's environment without the addresses of the user's own servers.

    PATH ends with the folder of this interpreter: programs beside it are found though nobody activated its environment.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "REDIS_URL") and not re.fullmatch(r"PG[A-Z]+", name)
    }
    kept["PATH"] = os.pathsep.join([*filter(None, [kept.get("PATH")]), os.path.dirname(sys.executable)])
    return kept


def die_with_parent() -> None:
    """Ask the kernel to kill this child when the judge is gone, however it went (``preexec_fn``; Linux alone can)."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start_process(
    command: list[str], folder: Path, environment: Mapping[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    """Start ``command`` in ``folder``; its output is appended to ``log``, and it never outlives the judge."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**base_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - started from the main thread, before any other runs Python
        )


def last_lines(log: Path, start: int = 0) -> str:
    """The last lines of a log after its first ``start`` bytes, each marked as quoted."""
    text = log.read_bytes()[start:].decode(errors="replace") if log.exists() else ""
    return "\n".join(f"  | {line}" for line in text.splitlines()[-TAIL_LINES:]) or "  | (it printed nothing)"


class RunningProcess:
    """One started process: its address (``url``, without a trailing slash), its log and how to end it with all its
    children.

    ``places`` are the placeholders of its command and environment; ``{url:NAME}`` of every process is among them.
    """

    def __init__(
        self,
        process: Process,
        folder: Path,
        environment: Mapping[str, str],
        log: Path,
        port: int,
        places: Mapping[str, str],
    ) -> None:
        self.process = process
        self.url = _url(port)
        self.log = log
        self._port = port
        self._log_start = log.stat().st_size if log.exists() else 0
        places = {**places, "port": str(port)}
        command = fill(process.start, **places)
        own = {**environment, **process.environment}
        own = dict(zip(own, fill(list(own.values()), **places), strict=True))
        try:
            self.popen = start_process(command, folder, own, log)
        except OSError as error:
            raise ProofError(
                f"The process {process.name!r} could not be started: {command[0]}: {error.strerror}. Correct `start` of"
                " [[system.processes]] in acceptance.toml, or activate the environment that has the program."
            ) from error

    async def wait_until_ready(self) -> None:
        """Return once the readiness path answers 2xx; raises :class:`RunVoid` with the log's end when it does not."""
        deadline = time.monotonic() + self.process.ready_within_s
        patience_s = FIRST_ANSWER_S  # grows: a first page that is compiled while it is asked for takes its time
        answer = "no answer"
        while (left_s := deadline - time.monotonic()) > 0:
            self.check("while it started")
            answer = await asyncio.to_thread(self._answer, min(patience_s, left_s))
            if re.fullmatch(r"2\d\d", answer):
                return
            if answer == "timeout":
                patience_s *= 2
            await asyncio.sleep(0.05)
        raise RunVoid(
            f"{self.process.name} did not answer 2xx on {self.process.ready} within {self.process.ready_within_s:g} s"
            f" (the last answer: {answer}). Correct `ready`, or give it longer with `ready_within_s`. Its last lines:\n"
            + self.tail()
        )

    def check(self, when: str = "in the middle of the run") -> None:
        """Raise :class:`RunVoid` when the process has ended by itself."""
        code = self.popen.poll()
        if code is not None:
            ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise RunVoid(f"{self.process.name} {ended} {when}. Its last lines:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its output since it was started."""
        return last_lines(self.log, self._log_start)

    async def stop(self, grace_s: float = STOP_WITHIN_S) -> None:
        """SIGTERM to its process group, SIGKILL for what is left after a grace time."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while self.popen.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 - a child has no event
            await asyncio.sleep(0.02)
        self._signal(signal.SIGKILL)
        self.popen.wait()

    def kill(self) -> None:
        """SIGKILL to its process group, at once."""
        self._signal(signal.SIGKILL)
        self.popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)

    def _answer(self, timeout_s: float) -> str:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=timeout_s)
        try:
            connection.request("GET", self.process.ready)
            return str(connection.getresponse().status)
        except TimeoutError:
            return "timeout"
        except (OSError, ValueError, HTTPException) as error:
            return type(error).__name__
        finally:
            connection.close()


class RunningSystem:
    """All processes of one arm; an async context manager."""

    def __init__(
        self,
        processes: list[Process],
        folder: Path,
        environment: Mapping[str, str],
        logs: Path,
        places: Mapping[str, str] | None = None,
    ) -> None:
        self._declared, self._folder, self._logs = processes, folder, logs
        self.environment = dict(environment)
        self._places = dict(places or {})
        self._leases: list[socket.socket] = []
        self.running: list[RunningProcess] = []

    async def __aenter__(self) -> "RunningSystem":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start every process and wait until all are ready."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self._leases = [lease_port() for _ in self._declared]
        ports = {p.name: lease.getsockname()[1] for p, lease in zip(self._declared, self._leases, strict=True)}
        places = {**self._places, **{f"url:{name}": _url(port) for name, port in ports.items()}}
        try:
            for process in self._declared:
                log, port = self._logs / f"{process.name}.log", ports[process.name]
                self.running.append(RunningProcess(process, self._folder, self.environment, log, port, places))
            await asyncio.gather(*(started.wait_until_ready() for started in self.running))
        except BaseException:
            self._kill()
            raise

    async def stop(self, grace_s: float = STOP_WITHIN_S) -> None:
        """End every process; nothing of it is left afterwards, also when this is cancelled."""
        try:
            await asyncio.gather(*(process.stop(grace_s) for process in self.running))
        finally:
            self._kill()

    def _kill(self) -> None:
        for process in self.running:
            process.kill()
        for lease in self._leases:
            lease.close()
        self.running.clear()
        self._leases.clear()

    def check(self) -> None:
        """Raise :class:`RunVoid` when one of the processes has ended by itself."""
        for process in self.running:
            process.check()

    def targets(self) -> dict[str, str]:
        """Address per process name."""
        return {process.process.name: process.url for process in self.running}

    def pids(self) -> list[int]:
        """Process ids of the started commands (their children are not listed)."""
        return [process.popen.pid for process in self.running]


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
