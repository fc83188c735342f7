"""The fourteen indexes of the note on the ci data: all valid, each chosen for a hot query, on PostgreSQL 18 and 15.

Or on the one that EASYMO_TEST_POSTGRES names.
"""

import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

import asyncpg
import pytest
from pytest_asyncio import fixture as async_fixture

from easymo.embedded import Postgres
from easymo.indexes import Schema, apply, difference, read_declared, rollback, snapshot
from easymo.indexes.hotqueries import read_hot_queries
from easymo.indexes.verify import Verified, verify
from easymo_platform.operations.migrate import MIGRATIONS, migrate
from easymo_platform.sample_data.load import load
from tests.indexes.servers import GIVEN, postgres_15, server_to_test
from tests.repo.test_hot_queries_are_frozen import FROZEN

pytestmark = pytest.mark.timeout(400)

pytestmark = pytest.mark.slow
INDEXES = MIGRATIONS / "20251129000000_performance_optimization.sql"


class Shop:
    """A database with the ci data and the fourteen indexes, and what verify says of it."""

    def __init__(self, url: str, before: Schema, verified: Verified) -> None:
        self.url, self.before, self.verified = url, before, verified


SERVERS: dict[str, Callable[[], AbstractContextManager[Any]]] = (
    {"given": server_to_test} if GIVEN in os.environ else {"18": Postgres, "15": postgres_15}
)


@async_fixture(scope="module", loop_scope="module", params=SERVERS)
async def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    with SERVERS[request.param]() as server:
        url = server if isinstance(server, str) else server.url
        folder = tmp_path_factory.mktemp("baseline")
        for file in MIGRATIONS.glob("*.sql"):
            if file != INDEXES:
                shutil.copy(file, folder)
        await migrate(url, folder)
        await load(url, "ci", seed=1)
        before = await schema_of(url)
        declared = read_declared(INDEXES)
        await apply(url, declared)
        queries = folder / "frozen.sql"
        queries.write_text("".join(f"-- name: {name}\n{text};\n" for name, text in FROZEN.items()))
        yield Shop(url, before, await verify(url, declared, read_hot_queries([queries]), measure=False))


async def schema_of(url: str) -> Schema:
    connection = await asyncpg.connect(url)
    try:
        return await snapshot(connection)
    finally:
        await connection.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_all_are_there_and_each_serves_a_frozen_query_with_real_and_with_any_parameters(shop: Shop) -> None:
    assert [index.state for index in shop.verified.indexes] == ["ok"] * 14
    names = {index.index for index in shop.verified.indexes}
    assert names <= {name for query in shop.verified.queries for name in query.indexes}
    assert names <= {name for query in shop.verified.queries for name in query.generic_indexes}
    assert shop.verified.failures == []
    assert [query.problem for query in shop.verified.queries] == [""] * 16


@pytest.mark.asyncio(loop_scope="module")
async def test_rollback_restores_the_schema(shop: Shop) -> None:
    await rollback(shop.url, read_declared(INDEXES))
    assert difference(shop.before, await schema_of(shop.url)) == []


def test_no_two_are_the_same_index() -> None:
    shapes = [(index.definition.table, index.definition.shape) for index in read_declared(INDEXES)]
    assert len(set(shapes)) == 14
