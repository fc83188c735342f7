"""What a Postgres that is killed could leave outside of its directory."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

STAYS_S = 10.0


@pytest.fixture
def leaked_shared_memory() -> Callable[[], set[str]]:
    """Shared memory, POSIX and System V, that came into being during the test and that no process uses."""
    before = _unused_shared_memory()

    def find() -> set[str]:
        # Servers of other tests that start or stop just now hold some for a moment without using it: a leak stays.
        found, until = _unused_shared_memory() - before, time.monotonic() + STAYS_S
        while found and time.monotonic() < until:
            time.sleep(0.1)
            found &= _unused_shared_memory()
        return found

    return find


def _unused_shared_memory() -> set[str]:
    mapped = ""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile, or is another user's
            mapped += (process / "maps").read_text()
    files = {path.name for path in Path("/dev/shm").glob("PostgreSQL.*") if path.name not in mapped}
    header, *rows = (line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines())
    return files | {row[header.index("shmid")] for row in rows if row[header.index("nattch")] == "0"}
