"""Commands of the platform as processes of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import msgspec

from easymo_platform.operations.serve import LISTENING


@contextmanager
def command(*arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m easymo_platform ARGUMENTS` without the servers of whoever runs the tests; killed at the end.

    Nobody needs a token unless the test says AUTH_DISABLED="".
    """
    inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    inherited["AUTH_DISABLED"] = "true"
    process = subprocess.Popen(
        [sys.executable, "-m", "easymo_platform", *arguments],
        env=inherited | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def address_of(process: subprocess.Popen[str]) -> str:
    """The address that a service logs once it is ready."""
    for line in _lines(process.stderr):
        entry = msgspec.json.decode(line)
        if entry["event"] == LISTENING:
            return str(entry["url"])
    raise AssertionError(f"the service ended with {process.wait()} before it was ready")


def lines_until(process: subprocess.Popen[str], last: str) -> list[str]:
    """What it writes to standard output, up to the line that begins with ``last``."""
    lines: list[str] = []
    for line in _lines(process.stdout):
        lines.append(line.rstrip())
        if line.startswith(last):
            return lines
    raise AssertionError(f"it ended with {process.wait()}: {process.stderr.read() if process.stderr else ''}")


def end(process: subprocess.Popen[str], by: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    """Signal it and wait. Returns the exit code and what was left on standard error."""
    process.send_signal(by)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def _lines(stream: IO[str] | None) -> Iterator[str]:
    assert stream is not None
    yield from iter(stream.readline, "")
