"""One server process with its keeper and its directory: what Postgres and Valkey share."""

import abc
import contextlib
import importlib.util
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from easymo.embedded.errors import ServerLostError, StartError
from easymo.embedded.ports import lease_port

_KEEPER = Path(__file__).with_name("keeper.py")
_START_TIMEOUT_S = 60.0
_READY_CHECK_S = 0.005
_LOG_TAIL_LINES = 15
_LOG_TAIL_BYTES = 16_384
_PORT_ATTEMPTS = 5
_FULL_DISK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Plan:
    """What the keeper is to do. In commands `{root}`, `{directory}` and `{sockets}` stand for paths it decides."""

    root: str
    """Directory that holds the installed packages."""
    parts: list[str]
    """Folders below `root` that are needed to run."""
    command: list[str]
    stop_signal: int
    prepare: list[list[str]] = field(default_factory=list)
    """Commands to run before the server, each to its end."""
    files: dict[str, str] = field(default_factory=dict)
    """Files to write into the directory first, for the server's user alone: path below it, and text."""


class Instance(abc.ABC):
    """A server that lives as long as its `with` block, and never longer than the process that opened it.

    `port`: None for a Unix socket only, which needs no port and so cannot lose one; 0 for a free TCP port of 127.0.0.1.
    `password` is asked of everybody who connects by TCP; without one everybody on this machine may.
    """

    name: ClassVar[str]
    embedded: ClassVar[bool] = True

    def __init__(self, port: int | None = None, password: str = "") -> None:
        self._requested_port = port
        self._password = password
        self._lease: socket.socket | None = None
        self._forget()

    def _forget(self) -> None:
        self.pid: int | None = None
        self.port = self._requested_port
        self.directory = self.sockets = Path()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._ended = ""
        self._unread = b""

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """The address, as client libraries take it."""

    @abc.abstractmethod
    def _plan(self) -> Plan:
        """What the keeper is to do for `self.port`; raises MissingBinariesError."""

    @abc.abstractmethod
    def _ready(self) -> bool:
        """Whether the server, once started, answers."""

    def __enter__(self) -> Self:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            if self._requested_port == 0:
                self._lease = lease_port()
                self.port = self._lease.getsockname()[1]
            try:
                self._start()
                return self
            except StartError as error:
                lost_race = self._requested_port == 0 and "Address already in use" in error.log_tail
                if not lost_race or attempt == _PORT_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def alive(self) -> bool:
        """Whether the server process still runs. Costs a few microseconds."""
        self._read_events(0)
        return self.pid is not None and not self._ended

    def check(self) -> None:
        """Raise ServerLostError, with the last lines of the log, when the server has ended."""
        if not self.alive():
            raise ServerLostError(self.name, self._ended or "it was stopped", self.log_tail())

    def log_tail(self) -> str:
        """The last lines that the server wrote; empty when it wrote none, or is stopped."""
        try:
            with (self.directory / "log").open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
                return "\n".join(deque(log.read().decode(errors="replace").splitlines(), _LOG_TAIL_LINES))
        except OSError:
            return ""

    def _start(self) -> None:
        try:
            plan = asdict(self._plan()) | {"temporary": _temporary_directory(self.name)}
            # A session of its own: Ctrl-C in the terminal reaches the parent, which decides; not the keeper.
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            assert self._keeper.stdin is not None
            # Not an argument: the list of processes is open to everybody, and the plan may hold a password.
            with contextlib.suppress(BrokenPipeError):
                self._keeper.stdin.write(json.dumps(plan).encode() + b"\n")
                self._keeper.stdin.flush()
            deadline = time.monotonic() + _START_TIMEOUT_S
            while not (self.pid and self._ready()):
                self._read_events(_READY_CHECK_S)
                if not self._ended and time.monotonic() > deadline:
                    self._ended = f"it was not ready after {_START_TIMEOUT_S:.0f} s"
                if self._ended:
                    raise self._start_error()
            self._after_start()
        except BaseException:
            self._stop()
            raise

    def _start_error(self) -> StartError:
        reason = self._ended if self.port is None else f"{self._ended} (port {self.port})"
        # A full disk takes no log lines either, so that they may not say it.
        if self.directory != Path() and shutil.disk_usage(self.directory).free < _FULL_DISK_BYTES:
            reason += f" ({self.directory.parent}: No space left on device)"
        return StartError(self.name, reason, self.log_tail())

    def _after_start(self) -> None:  # noqa: B027 - only Postgres has something to do
        """What remains to be done on the running server before it is handed out."""

    def _read_events(self, timeout_s: float) -> None:
        keeper = self._keeper
        if keeper is None or keeper.stdout is None or self._ended or self._owner != os.getpid():
            return
        while select.select([keeper.stdout], [], [], timeout_s)[0]:
            chunk = os.read(keeper.stdout.fileno(), 4096)
            if not chunk:
                self._ended = "its keeper process was killed"
                return
            *lines, self._unread = (self._unread + chunk).split(b"\n")
            for line in lines:
                event = json.loads(line)
                self.directory = Path(event.get("directory", self.directory))
                self.sockets = Path(event.get("sockets", self.sockets))
                self.pid = event.get("pid", self.pid)
                self._ended = event.get("ended", self._ended)
            timeout_s = 0

    def _stop(self) -> None:
        keeper = self._keeper
        if self._lease is not None:
            self._lease.close()
        if keeper is None or self._owner != os.getpid():  # a forked child leaves its parent's server alone
            return
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                os.write(keeper.stdin.fileno(), b"\n")
            keeper.wait()
        finally:
            keeper.stdin.close()
            keeper.stdout.close()
        if keeper.returncode != 0:
            self._clean_up_after_keeper()
        self._forget()

    def _clean_up_after_keeper(self) -> None:
        """The keeper was killed: its server dies with it, but the directories are left to us."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.pid and _running(self.pid) and time.monotonic() < deadline:
            time.sleep(_READY_CHECK_S)
        for directory in {self.directory, self.sockets} - {Path()}:
            shutil.rmtree(directory, ignore_errors=True)


def installed_root(module: str) -> Path | None:
    """Directory that holds `module` of an installed wheel, found without running any code of it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).parent


def program_at(variable: str, *names: str) -> Path | None:
    """A server program of the user's: in the folder (or the file) that the environment's `variable` names.

    Without the variable, the first of the `names` on PATH. Raises StartError when the variable names nothing to run.
    """
    given = os.environ.get(variable)
    if given is None:
        return next((Path(path).absolute() for name in names if (path := shutil.which(name))), None)
    for program in (Path(given), *(Path(given) / name for name in names)):
        if program.is_file() and os.access(program, os.X_OK):
            return program.absolute()
    raise StartError(names[0], f"{variable} is {given!r}, where no program {' or '.join(names)} is", "")


def _running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except PermissionError:  # of another user: root's servers run as nobody, and only root asks
        return True
    except ProcessLookupError:
        return False
    except (OSError, IndexError):
        return not Path("/proc/self").exists()  # macOS has no /proc; here it has just ended
    return state not in "ZX"  # ended; its new parent need not have noticed


def _temporary_directory(server: str) -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError as error:  # none is writable, or all are full
        raise StartError(server, str(error), "") from error
