"""A server of its own for roles, which belong to the whole server, with the schema and the roles of the platform."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from easymo.embedded import Postgres
from easymo_platform.operations.migrate import migrate
from easymo_platform.operations.roles import apply_roles
from tests.conftest import missing_wheels_skip
from tests.security.roles import add_users


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """Address, as its owner, of a database with the schema and the roles."""
    with missing_wheels_skip(), Postgres() as server:
        asyncio.run(migrate(server.url))
        asyncio.run(apply_roles(server.url))
        yield server.url


@pytest.fixture(scope="module")
def users(guarded: str) -> dict[str, str]:
    """The address with which each service connects."""
    return asyncio.run(add_users(guarded))


@pytest.fixture
async def owner(guarded: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(guarded)
    try:
        yield connection
    finally:
        await connection.close()
