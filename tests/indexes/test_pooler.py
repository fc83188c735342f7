"""A pooler that shares sessions is refused before anything is done; one that keeps them apart is not."""

import asyncpg
import pytest

from easymo.indexes import apply
from easymo.indexes.errors import PoolerError
from tests.indexes.conftest import Declare, indexes_of
from tests.indexes.servers import pgbouncer

BY_TOTAL = "create index concurrently by_total on orders (total)"


async def test_pooler_in_transaction_mode_is_refused_with_what_to_use_instead(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    with (
        pgbouncer(database_url, "transaction") as pooled,
        pytest.raises(PoolerError, match="Use the address of Postgres itself"),
    ):
        await apply(pooled, declare(BY_TOTAL))
    assert await indexes_of(connection) == {}


async def test_pooler_in_session_mode_will_do(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    with pgbouncer(database_url, "session") as pooled:
        await apply(pooled, declare(BY_TOTAL))
    assert await indexes_of(connection) == {"by_total": True}
