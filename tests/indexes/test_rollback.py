"""Rollback drops what apply built, all of it and nothing else."""

from datetime import timedelta

import asyncpg
import pytest

from easymo.indexes import Retry, apply, difference, rollback, snapshot
from easymo.indexes.errors import LockError
from tests.indexes.conftest import Declare, indexes_of, leave_invalid

BY_CUSTOMER = "create index concurrently by_customer on orders (customer, created_at)"
BY_TOTAL = "create index concurrently by_total on orders (total) where status in ('new', 'paid')"


async def test_schema_after_rollback_equals_the_one_before_apply(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute("create index older on orders (status)")
    before = await snapshot(connection)
    declared = declare(BY_CUSTOMER, BY_TOTAL)
    await apply(database_url, declared)
    assert len(difference(before, await snapshot(connection))) == 4, "two indexes and their marks"
    rolled_back = await rollback(database_url, declared)
    assert [(index.index, index.dropped) for index in rolled_back] == [("by_total", True), ("by_customer", True)]
    assert difference(before, await snapshot(connection)) == []


async def test_rollback_leaves_indexes_we_did_not_create(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute(BY_CUSTOMER)
    declared = declare(BY_CUSTOMER, BY_TOTAL)
    await apply(database_url, declared)
    by_total, by_customer = await rollback(database_url, declared)
    assert by_total.dropped
    assert (by_customer.dropped, by_customer.kept_because) == (False, "apply did not build it")
    assert await indexes_of(connection) == {"by_customer": True}


async def test_rollback_leaves_our_indexes_that_the_files_do_not_name(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await apply(database_url, declare(BY_CUSTOMER, BY_TOTAL))
    await rollback(database_url, declare(BY_TOTAL))
    assert await indexes_of(connection) == {"by_customer": True}


async def test_mark_survives_a_rebuild_of_the_index(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    declared = declare(BY_CUSTOMER)
    await apply(database_url, declared)
    await connection.execute("reindex index concurrently by_customer")
    assert [index.dropped for index in await rollback(database_url, declared)] == [True]
    assert await indexes_of(connection) == {}


async def test_index_whose_mark_somebody_took_away_is_theirs(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    declared = declare(BY_CUSTOMER)
    await apply(database_url, declared)
    await connection.execute("comment on index by_customer is 'kept for the report of 2026'")
    assert [index.dropped for index in await rollback(database_url, declared)] == [False]
    assert await indexes_of(connection) == {"by_customer": True}


async def test_leftover_of_a_broken_off_apply_is_dropped(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    before = await snapshot(connection)
    await leave_invalid(connection, writer, BY_CUSTOMER)
    await rollback(database_url, declare(BY_CUSTOMER))
    assert difference(before, await snapshot(connection)) == []


async def test_invalid_index_that_is_not_the_declared_one_stays(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await leave_invalid(connection, writer, "create index concurrently by_customer on orders (status)")
    (index,) = await rollback(database_url, declare(BY_CUSTOMER))
    assert index.kept_because == "it is invalid, but not the declared index"
    assert await indexes_of(connection) == {"by_customer": False}


async def test_broken_off_rollback_is_finished_by_the_next_one(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    before = await snapshot(connection)
    declared = declare(BY_CUSTOMER, BY_TOTAL)
    await apply(database_url, declared)
    async with writer.transaction():
        await writer.execute("update orders set total = 0 where id = 1")
        with pytest.raises(LockError, match="by_total"):
            await rollback(database_url, declared, lock_timeout=timedelta(milliseconds=50), retry=Retry(attempts=1))
    assert await indexes_of(connection) == {"by_customer": True, "by_total": False}
    await rollback(database_url, declared)
    assert difference(before, await snapshot(connection)) == []


async def test_rolling_back_what_is_not_there_does_nothing(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    no_table, no_index = await rollback(database_url, declare(BY_CUSTOMER, "create index i on invoices (id)"))
    assert no_table.kept_because == "its table is not there"
    assert no_index.kept_because == "it is not there"
