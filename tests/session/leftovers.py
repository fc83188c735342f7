"""Nothing is left of a run: no thread, task, process or directory, however the last test ended.

A test that is skipped, fails or meets Ctrl-C must clean up as one that passes does. What survives is named at the end
of the session, as an error of the last test: a thread that is no daemon would otherwise keep pytest from ending at all.
"""

import asyncio
import gc
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

LeftBehind = Callable[[int], list[str]]

_MARK = "EASYMO_TESTS_OF"
_ENDS_WITHIN_S = 5.0


def pytest_configure() -> None:
    """Let SIGINT do what it does in a terminal.

    A script that starts the tests in the background has it ignored, and every child would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def nothing_left(left_behind: LeftBehind) -> Iterator[None]:
    """The first fixture to be set up, so the last to be torn down."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    os.environ[_MARK] = mark  # children inherit it; it finds those whose own parent was killed
    before = {*threading.enumerate()}
    try:
        yield
    finally:
        del os.environ[_MARK]
        ends = time.monotonic() + _ENDS_WITHIN_S
        while (found := _survivors(before, mark)) and time.monotonic() < ends:
            time.sleep(0.05)  # what was told to end needs a moment
        assert found + left_behind(os.getpid()) == []


def _survivors(before: set[threading.Thread], mark: str) -> list[str]:
    threads = [
        f"thread {thread.name}"
        for thread in threading.enumerate()
        # Litestar's default logging starts a daemon thread with each application and has nothing to end it.
        if thread not in before and not (thread.daemon and thread.name.endswith("(_monitor)"))
    ]
    tasks = [one for one in gc.get_objects() if isinstance(one, asyncio.Task) and not one.done()]
    return threads + [f"task {task.get_name()}: {task.get_coro()}" for task in tasks] + _processes(mark)


def _processes(mark: str) -> list[str]:
    family = {process.pid for process in psutil.Process().children(recursive=True)}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended meanwhile
            ours = process.pid in family or process.environ().get(_MARK) == mark
            if "multiprocessing.resource_tracker" in " ".join(process.cmdline()):
                continue  # Python's own; it ends when the process that used a pool does
            if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"process {process.pid}: {' '.join(process.cmdline())}")
    return found


@pytest.fixture(scope="session")
def left_behind() -> LeftBehind:
    """What is left of the servers that the process with this id has started: directories and processes."""

    def find(pid: int) -> list[str]:
        mark = f"easymo-{pid}-"
        places = {Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")}
        found = [str(path) for place in places for path in place.glob(f"{mark}*")]
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                # A child of Postgres changes its command line, but works in the data directory.
                signs = (process / "cmdline").read_text(errors="replace"), str((process / "cwd").readlink())
                if any(mark in sign or f"keeper.py\0{pid}\0" in sign for sign in signs):
                    found.append(f"process {process.name}: {signs}")
        return found

    return find
