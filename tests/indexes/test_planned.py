"""The plan shows what apply would do and meet; its digest holds while nothing has moved."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from easymo.indexes import Plan, apply, plan
from easymo.indexes.definitions import parse_definition
from easymo.indexes.errors import DiskError, MovedError
from easymo.indexes.estimate import Estimate, check_room, estimate
from easymo.indexes.observed import find_table, indexes_on
from easymo.indexes.plan import digest
from easymo.indexes.watch import Glimpse
from tests.indexes.conftest import Declare, indexes_of, leave_invalid, until_counted, version_of

BY_CUSTOMER = "create index concurrently by_customer on orders (customer, created_at)"
BY_TOTAL = "create index concurrently by_total on orders (total) where status in ('new', 'paid')"


def remarks(planned: Plan) -> dict[str, str]:
    return {index.index: index.remark for index in planned.indexes}


@pytest.fixture(autouse=True)
def counted_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if use had been counted for a week."""
    monkeypatch.setattr("easymo.indexes.state.LEAST_DAYS", 0.0)


async def test_steps_and_state_are_shown_and_nothing_is_changed(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await leave_invalid(connection, writer, BY_CUSTOMER)
    await connection.execute(
        """
        create index by_total on orders (total); create index by_status on orders (status, total);
        create index by_status_alone on orders (status); create index orders_again on orders (id)
        """
    )
    planned = await plan(database_url, declare(BY_CUSTOMER, BY_TOTAL, "create index fresh on orders (created_at)"))
    assert [(step.index, step.action) for step in planned.steps] == [
        ("by_customer", "repair"),
        ("by_total", ""),
        ("fresh", "build"),
    ]
    assert "not the declared one" in planned.steps[1].refused
    assert remarks(planned) == {
        "by_customer": "invalid",
        "by_status": "unused",
        "by_status_alone": "covered by by_status",
        "by_total": "unused",
        "orders_again": "duplicate of orders_pkey",
        "orders_pkey": "",
    }
    assert await indexes_of(connection) == {
        "by_customer": False,
        "by_status": True,
        "by_status_alone": True,
        "by_total": True,
        "orders_again": True,
    }


async def test_scans_are_counted_and_a_used_index_is_not_called_unused(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute("create index used on orders (total); set enable_seqscan = off")
    await connection.fetch("select from orders where total = 5")
    await until_counted(connection, "select idx_scan = 1 from pg_stat_user_indexes where indexrelname = 'used'")
    planned = await plan(database_url, declare(BY_CUSTOMER))
    (used,) = [index for index in planned.indexes if index.index == "used"]
    assert (used.scans, used.remark) == (1, "")
    assert (used.last_scan is None) == bool(planned.usage.last_scan_unknown_because) == (version_of(connection) < 16)


async def test_open_transaction_that_a_build_would_wait_for_is_shown(
    writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    async with writer.transaction():
        await writer.execute("update orders set total = 0 where id = 1")
        (blocker,) = (await plan(database_url, declare(BY_TOTAL))).blocked_by
    assert "update orders set total" in blocker


async def test_digest_of_the_plan_lets_apply_go_on(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    planned = await plan(database_url, declare(BY_TOTAL))
    await apply(database_url, declare(BY_TOTAL), planned_digest=planned.digest)
    assert await indexes_of(connection) == {"by_total": True}


async def test_apply_refuses_a_digest_when_the_database_has_moved(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    planned = await plan(database_url, declare(BY_TOTAL))
    await connection.execute("create index meanwhile on orders (status)")
    with pytest.raises(MovedError, match=planned.digest):
        await apply(database_url, declare(BY_TOTAL), planned_digest=planned.digest)
    assert await indexes_of(connection) == {"meanwhile": True}


@pytest.mark.parametrize("index", ["(id)", "(customer, created_at)", "(status)", "(id) where status = 'new'"])
async def test_estimated_size_is_near_the_real_one(connection: asyncpg.Connection, index: str) -> None:
    await connection.execute(
        "insert into orders select i, 'customer ' || i % 50, 'paid', i, now() - i * interval '1 s' "
        "from generate_series(1001, 60000) i"
    )
    await connection.execute("analyze orders")
    statement = f"create index sized on orders {index}"
    definition = parse_definition(statement)
    guess = await estimate(connection, await find_table(connection, definition), definition)
    await connection.execute(statement)
    size = await connection.fetchval("select pg_relation_size('sized')")
    assert 0.5 < guess.size_bytes / size < 2


def test_disk_without_room_for_the_indexes_and_the_largest_sort_is_refused() -> None:
    sizes = [Estimate(100, 1.0), Estimate(300, 1.0)]
    check_room(sizes, 700)
    check_room(sizes, None)
    with pytest.raises(DiskError, match="a full disk stops every writer"):
        check_room(sizes, 699)


async def test_watcher_sees_the_phase_and_who_is_waited_for(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    pid = await writer.fetchval("select pg_backend_pid()")
    seen: list[Glimpse] = []
    blocked_once = asyncio.Event()

    def watch(glimpse: Glimpse) -> None:
        seen.append(glimpse)
        if glimpse.blocker_pid:
            blocked_once.set()

    async def write() -> None:
        async with writer.transaction():
            await writer.execute("update orders set total = 0 where id = 1")
            written.set()
            await blocked_once.wait()

    written = asyncio.Event()
    writing = asyncio.create_task(write())
    await written.wait()
    await apply(database_url, declare(BY_TOTAL), lock_timeout=timedelta(minutes=1), watch=watch)
    await writing
    blocked = next(glimpse for glimpse in seen if glimpse.blocker_pid)
    assert blocked.blocker_pid == pid
    assert blocked.phase.startswith("waiting for")
    assert "update orders" in blocked.blocker_query


async def test_digest_changes_when_an_index_becomes_invalid(connection: asyncpg.Connection) -> None:
    oid = await connection.fetchval("select 'orders'::regclass::oid")
    valid = await indexes_on(connection, {oid})
    await connection.execute("update pg_index set indisvalid = false where indexrelid = 'orders_pkey'::regclass")
    assert digest([], valid) != digest([], await indexes_on(connection, {oid}))


async def test_table_outside_public_is_named_with_its_schema_and_what_a_migration_builds_is_left_to_it(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute("create schema shop; create table shop.orders (customer text)")
    planned = await plan(
        database_url,
        declare("create index i on shop.orders (customer)", "create table new (a int)", "create index j on new (a)"),
    )
    assert [(step.index, step.table, step.action) for step in planned.steps] == [("i", "shop.orders", "build")]
    (left,) = planned.left
    assert left.endswith("indexes.sql:3: j, on a table that this file makes")
