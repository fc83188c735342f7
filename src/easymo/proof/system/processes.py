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
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType

from easymo.proof.errors import ProofError, RunVoid
from easymo.proof.system.acceptance import Process

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 5.0
#: Grace on a restart: a service that drains the backlog of an overload would take it along for seconds.
RESTART_WITHIN_S = 0.3
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def fill(words: list[str], **values: str | int) -> list[str]:
    """Fill ``{python}`` and the given placeholders into a command; other braces stay as they are."""
    known = {"python": sys.executable, **{name: str(value) for name, value in values.items()}}
    return [re.sub(r"\{([^{}]+)\}", lambda found: known.get(found[1], found[0]), word) for word in words]


def base_environment() -> dict[str, str]:
    """This process's environment without the addresses of the user's own servers."""
    return {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}


def die_with_parent() -> None:
    """Ask the kernel to kill this child when the judge is gone, however it went (``preexec_fn``)."""
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


class RunningProcess:
    """One started process: its address (``url``, without a trailing slash), its log and how to end it with all its
    children.

    ``ports`` has the port of every process of the system by name, its own among them.
    """

    def __init__(
        self, process: Process, folder: Path, environment: Mapping[str, str], log: Path, ports: Mapping[str, int]
    ) -> None:
        self.process = process
        self.url = _url(ports[process.name])
        self.log = log
        self._port = ports[process.name]
        places = {"port": str(self._port), **{f"url:{name}": _url(port) for name, port in ports.items()}}
        command = fill(process.start, **places)
        own = {**environment, **process.environment}
        own = dict(zip(own, fill(list(own.values()), **places), strict=True))
        try:
            self.popen = start_process(command, folder, own, log)
        except OSError as error:
            sentence = f"The process {process.name!r} could not be started: {command[0]}: {error.strerror}."
            raise ProofError(f"{sentence} Check [[system.processes]] start in acceptance.toml.") from error

    async def wait_until_ready(self) -> None:
        """Return once the readiness path answers 2xx; raises :class:`RunVoid` with the log's end when it does not."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            self.check()
            if await asyncio.to_thread(self._answers):
                return
            await asyncio.sleep(0.05)
        raise RunVoid(
            f"{self.process.name} did not answer 2xx on {self.process.ready} within {READY_WITHIN_S:g} s."
            f" Its last lines:\n{self.tail()}"
        )

    def check(self) -> None:
        """Raise :class:`RunVoid` when the process has ended by itself."""
        code = self.popen.poll()
        if code is not None:
            ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise RunVoid(f"{self.process.name} {ended} in the middle of the run. Its last lines:\n{self.tail()}")

    def tail(self, lines: int = 12) -> str:
        """The last lines of its output."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:]) or "  | (it printed nothing)"

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

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", self.process.ready)
            return 200 <= connection.getresponse().status < 300
        except (OSError, ValueError):
            return False
        finally:
            connection.close()


class RunningSystem:
    """All processes of one arm; an async context manager."""

    def __init__(self, processes: list[Process], folder: Path, environment: Mapping[str, str], logs: Path) -> None:
        self._declared, self._folder, self._logs = processes, folder, logs
        self.environment = dict(environment)
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
        ports = dict(zip((p.name for p in self._declared), _free_ports(len(self._declared)), strict=True))
        try:
            for process in self._declared:
                log = self._logs / f"{process.name}.log"
                self.running.append(RunningProcess(process, self._folder, self.environment, log, ports))
            await asyncio.gather(*(started.wait_until_ready() for started in self.running))
        except BaseException:
            for started in self.running:
                started.kill()
            self.running.clear()
            raise

    async def stop(self, grace_s: float = STOP_WITHIN_S) -> None:
        """End every process; nothing of it is left afterwards, also when this is cancelled."""
        try:
            await asyncio.gather(*(process.stop(grace_s) for process in self.running))
        finally:
            for process in self.running:
                process.kill()
            self.running.clear()

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


def _free_ports(count: int) -> list[int]:
    """Different ones, because all are held until the last is found."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
