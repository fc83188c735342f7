"""Apply builds what is declared, mends what a broken-off run left, and refuses to touch what it does not know."""

import asyncio
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import asyncpg
import pytest

from easymo.embedded import Postgres
from easymo.indexes import Progress, Retry, apply, difference, rollback, snapshot
from easymo.indexes.errors import (
    AnotherRunError,
    BuildError,
    ConnectError,
    DeclarationError,
    DifferentIndexError,
    LockError,
)
from easymo.indexes.plan import Action
from easymo.indexes.progress import teller
from easymo.indexes.session import with_retries
from tests.indexes.conftest import Declare, indexes_of, leave_invalid, version_of

BY_CUSTOMER = "create index concurrently by_customer on orders (customer, created_at)"
BY_TOTAL = "create index concurrently by_total on orders (total) where status in ('new', 'paid')"
SHORT = timedelta(milliseconds=50)
LONG = timedelta(minutes=1)
BUILDING = "select pid from pg_stat_progress_create_index where phase like 'waiting%'"


async def test_missing_indexes_are_built_valid_and_reported(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    events: list[Progress] = []
    applied = await apply(database_url, declare(BY_CUSTOMER, BY_TOTAL), report=events.append)
    assert await indexes_of(connection) == {"by_customer": True, "by_total": True}
    assert [(index.index, index.action, index.attempts) for index in applied] == [
        ("by_customer", Action.BUILD, 1),
        ("by_total", Action.BUILD, 1),
    ]
    sizes = [await connection.fetchval(f"select pg_relation_size('{index.index}')") for index in applied]
    assert [index.size_bytes for index in applied] == sizes
    assert all(index.seconds > 0 for index in applied)
    assert [(event.position, event.total, event.event) for event in events] == [
        (1, 2, "build"),
        (1, 2, "done"),
        (2, 2, "build"),
        (2, 2, "done"),
    ]


async def test_second_apply_changes_nothing(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    declared = declare(BY_CUSTOMER, BY_TOTAL)
    await apply(database_url, declared)
    oids = await connection.fetch("select oid, relname, relfilenode from pg_class order by oid")
    applied = await apply(database_url, declared)
    assert [index.action for index in applied] == [Action.KEEP, Action.KEEP]
    assert await connection.fetch("select oid, relname, relfilenode from pg_class order by oid") == oids


async def test_index_is_built_concurrently_even_where_the_file_does_not_say_so(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    # An ordinary build would not even begin while rows are written; a concurrent one begins, then waits for the writer.
    async with writer.transaction():
        await writer.execute("lock table orders in row exclusive mode")
        with pytest.raises(LockError):
            await apply(
                database_url, declare("create index x on orders (total)"), lock_timeout=SHORT, retry=Retry(attempts=1)
            )
    assert await indexes_of(connection) == {"x": False}, "a concurrent build leaves its entry when it is broken off"


@pytest.mark.parametrize("leftover", [BY_CUSTOMER, "create index concurrently by_customer on orders (status)"])
async def test_invalid_leftover_is_rebuilt_as_declared(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare, leftover: str
) -> None:
    await leave_invalid(connection, writer, leftover)
    assert await indexes_of(connection) == {"by_customer": False}
    (applied,) = await apply(database_url, declare(BY_CUSTOMER))
    assert applied.action is Action.REPAIR
    assert await indexes_of(connection) == {"by_customer": True}
    definition = await connection.fetchval("select pg_get_indexdef('by_customer'::regclass)")
    assert definition.endswith("(customer, created_at)")


async def test_different_index_is_refused_before_anything_is_built(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute("create index by_total on orders (total)")
    with pytest.raises(DifferentIndexError, match="not the declared one"):
        await apply(database_url, declare(BY_CUSTOMER, BY_TOTAL))
    assert await indexes_of(connection) == {"by_total": True}


async def test_different_index_is_rebuilt_when_replacing_is_allowed(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute("create index by_total on orders (total)")
    (applied,) = await apply(database_url, declare(BY_TOTAL), replace=True)
    assert applied.action is Action.REPLACE
    assert "WHERE" in await connection.fetchval("select pg_get_indexdef('by_total'::regclass)")


async def test_illegal_index_is_refused_before_anything_is_built(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    illegal = "create index concurrently recent on orders (id) where created_at > now() - interval '1 day'"
    with pytest.raises(DeclarationError, match="IMMUTABLE"):
        await apply(database_url, declare(BY_CUSTOMER, illegal))
    assert await indexes_of(connection) == {}


async def test_lock_timeout_is_retried_while_a_transaction_is_open(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    tried_twice = asyncio.Event()

    def watch(progress: Progress) -> None:
        if progress.event == "wait" and progress.attempt == 2:
            tried_twice.set()

    async def write() -> None:
        async with writer.transaction():
            await writer.execute("update orders set total = 0 where id = 1")
            await tried_twice.wait()

    writing = asyncio.create_task(write())
    retry = Retry(attempts=20, first_delay=timedelta(milliseconds=10), longest_delay=SHORT)
    (applied,) = await apply(database_url, declare(BY_CUSTOMER), lock_timeout=SHORT, retry=retry, report=watch)
    await writing
    assert applied.attempts >= 3
    assert await indexes_of(connection) == {"by_customer": True}


async def test_transaction_that_stays_open_is_named_and_a_later_apply_finishes(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    pid = await writer.fetchval("select pg_backend_pid()")
    retry = Retry(attempts=2, first_delay=timedelta(milliseconds=1))
    async with writer.transaction():
        await writer.execute("update orders set total = 0 where id = 1")
        with pytest.raises(LockError, match=rf"backend {pid}, idle in transaction.*update orders set total"):
            await apply(database_url, declare(BY_CUSTOMER), lock_timeout=SHORT, retry=retry)
    await apply(database_url, declare(BY_CUSTOMER))
    assert await indexes_of(connection) == {"by_customer": True}


async def test_locked_table_is_waited_for_when_planning_too(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    retry = Retry(attempts=2, first_delay=timedelta(milliseconds=1))
    async with writer.transaction():
        await writer.execute("lock table orders in access exclusive mode")
        with pytest.raises(LockError):
            await apply(database_url, declare(BY_CUSTOMER), lock_timeout=SHORT, retry=retry)
    assert await indexes_of(connection) == {}


async def test_second_run_is_refused_while_the_first_one_builds(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    async with writer.transaction():
        await writer.execute("update orders set total = 0 where id = 1")
        first = asyncio.create_task(apply(database_url, declare(BY_CUSTOMER), lock_timeout=LONG))
        pid = await building(connection, first)
        with pytest.raises(AnotherRunError, match=f"backend {pid}"):
            await apply(database_url, declare(BY_CUSTOMER))
    await first
    assert await indexes_of(connection) == {"by_customer": True}


async def test_cancelled_apply_stops_the_build_and_can_be_repeated(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    async with writer.transaction():
        await writer.execute("update orders set total = 0 where id = 1")
        first = asyncio.create_task(apply(database_url, declare(BY_CUSTOMER, BY_TOTAL), lock_timeout=LONG))
        await building(connection, first)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await connection.fetch(BUILDING) == []
    assert await indexes_of(connection) == {"by_customer": False}
    applied = await apply(database_url, declare(BY_CUSTOMER, BY_TOTAL))
    assert [index.action for index in applied] == [Action.REPAIR, Action.BUILD]
    assert await indexes_of(connection) == {"by_customer": True, "by_total": True}


async def test_lost_connection_is_told_and_the_next_apply_repairs(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    async with writer.transaction():
        await writer.execute("update orders set total = 0 where id = 1")
        first = asyncio.create_task(apply(database_url, declare(BY_CUSTOMER), lock_timeout=LONG))
        await connection.execute("select pg_terminate_backend($1)", await building(connection, first))
        with pytest.raises(BuildError, match=r"by_customer was not finished: .*terminating connection"):
            await first
    (applied,) = await apply(database_url, declare(BY_CUSTOMER))
    assert applied.action is Action.REPAIR


async def test_index_that_somebody_builds_at_this_moment_is_left_to_them(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    somebody = await asyncpg.connect(database_url)
    async with writer.transaction():
        await writer.execute("update orders set total = 0 where id = 1")
        theirs = asyncio.create_task(somebody.execute(BY_CUSTOMER))
        pid = await building(connection, theirs)
        with pytest.raises(BuildError, match=f"backend {pid} is building an index of that name now"):
            await apply(database_url, declare(BY_CUSTOMER))
        (kept,) = await rollback(database_url, declare(BY_CUSTOMER))
        assert kept.kept_because == f"backend {pid} is building it now"
    await theirs
    await somebody.close()
    assert await indexes_of(connection) == {"by_customer": True}


async def test_index_to_be_replaced_stays_when_its_lock_cannot_be_had(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute("create index by_total on orders (total)")
    async with writer.transaction():
        await writer.execute("lock table orders in share update exclusive mode")  # as VACUUM does
        with pytest.raises(LockError):
            await apply(database_url, declare(BY_TOTAL), lock_timeout=SHORT, retry=Retry(attempts=1), replace=True)
    assert await indexes_of(connection) == {"by_total": True}


async def test_failed_unique_build_leaves_no_invalid_index(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    with pytest.raises(BuildError, match="could not create unique index"):
        await apply(database_url, declare(BY_TOTAL, "create unique index concurrently one on orders (customer)"))
    assert await indexes_of(connection) == {"by_total": True}


async def test_build_is_not_cut_off_by_the_statement_timeout_of_the_database(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    name = await connection.fetchval("select current_database()")
    await connection.execute(f"alter database {name} set statement_timeout = '1ms'")
    await apply(database_url, declare(BY_CUSTOMER))
    assert await indexes_of(connection) == {"by_customer": True}


async def test_build_is_not_cut_off_by_the_transaction_timeout_that_17_brought(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    if version_of(connection) < 17:
        pytest.skip("transaction_timeout came with PostgreSQL 17")
    name = await connection.fetchval("select current_database()")
    await connection.execute(f"alter database {name} set transaction_timeout = '500ms'")
    age = "select now() - xact_start < interval '1 s' from pg_stat_activity where pid = $1"
    async with writer.transaction():
        await writer.execute("update orders set total = 0 where id = 1")
        run = asyncio.create_task(apply(database_url, declare(BY_CUSTOMER), lock_timeout=LONG))
        pid = await building(connection, run)
        while await connection.fetchval(age, pid):
            assert not run.done()
    await run
    assert await indexes_of(connection) == {"by_customer": True}


async def test_wait_for_the_next_attempt_is_not_cut_off_by_the_idle_session_timeout(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    name = await connection.fetchval("select current_database()")
    await connection.execute(f"alter database {name} set idle_session_timeout = '100ms'")
    retry, waits = Retry(first_delay=timedelta(milliseconds=500)), asyncio.Event()

    def report(progress: Progress) -> None:
        if progress.event == "wait":
            waits.set()

    async with writer.transaction():
        await writer.execute("update orders set total = 0 where id = 1")
        run = asyncio.create_task(
            apply(database_url, declare(BY_CUSTOMER), lock_timeout=SHORT, retry=retry, report=report)
        )
        await waits.wait()
    await run
    assert await indexes_of(connection) == {"by_customer": True}


async def test_database_that_is_not_there_is_an_error_of_ours(postgres: Postgres, declare: Declare) -> None:
    with pytest.raises(ConnectError, match='database "absent" does not exist'):
        await apply(postgres.database_url("absent"), declare(BY_CUSTOMER))


async def test_file_of_a_migration_is_taken_with_its_drops_and_comments(
    connection: asyncpg.Connection, database_url: str, declare: Declare, tmp_path: Path
) -> None:
    await connection.execute("create index by_status on orders (status); create index by_total on orders (total)")
    before, journal = await snapshot(connection), tmp_path / "journal.jsonl"
    declared = declare(
        "set lock_timeout = '1s'",
        "create table new (id bigint)",
        "create index new_id on new (id)",
        "drop index if exists by_status",
        "drop index absent",
        "drop index concurrently by_total",
        BY_TOTAL,
        "comment on index by_total is 'for the work list'",
        "reindex index orders_pkey",
    )
    applied = await apply(database_url, declared, journal=journal)
    assert [(index.index, index.action) for index in applied] == [
        ("by_status", Action.DROP),
        ("absent", Action.KEEP),
        ("by_total", Action.REPLACE),
        ("orders_pkey", Action.REINDEX),
    ]
    assert await indexes_of(connection) == {"by_total": True}
    comment = await connection.fetchval("select obj_description('by_total'::regclass)")
    assert comment.startswith("for the work list\nBuilt by easymo indexes from indexes.sql")
    assert [index.action for index in await apply(database_url, declared[:4], journal=journal)] == [Action.KEEP] * 3
    taken_back = {index.index: index.kept_because for index in await rollback(database_url, declared, journal=journal)}
    assert taken_back == {
        "orders_pkey": "an index that was built again is the same",
        "by_total": "",
        "absent": "its journal does not say that apply has dropped it",
        "by_status": "",
        "new_id": "its table is not there",
    }
    assert difference(before, await snapshot(connection)) == []


async def test_index_that_a_constraint_needs_is_not_dropped(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    with pytest.raises(DeclarationError, match="a constraint needs it"):
        await apply(database_url, declare("drop index orders_pkey"))


async def test_what_is_to_be_replaced_is_on_disk_before_it_is_dropped(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare, tmp_path: Path
) -> None:
    await connection.execute("create index by_total on orders (total)")
    journal = tmp_path / "journal.jsonl"
    async with writer.transaction():
        await writer.execute("lock table orders in share update exclusive mode")  # the drop cannot have its lock
        with pytest.raises(LockError):
            await apply(
                database_url,
                declare(BY_TOTAL),
                lock_timeout=SHORT,
                retry=Retry(attempts=1),
                replace=True,
                journal=journal,
            )
    assert "USING btree (total)" in journal.read_text()


async def test_index_that_is_invalid_after_its_build_is_an_error(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute(
        """
        create function break_it() returns event_trigger language plpgsql as $$
        begin update pg_index set indisvalid = false where indexrelid = 'by_customer'::regclass; end $$;
        create event trigger break_it on ddl_command_end when tag in ('COMMENT') execute function break_it();
        """
    )
    with pytest.raises(BuildError, match="another session has dropped, built or broken it"):
        await apply(database_url, declare(BY_CUSTOMER))


async def test_what_another_session_has_built_under_the_name_since_the_plan_is_left_alone(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    async def build() -> None:
        other = await asyncpg.connect(database_url)
        await other.execute("create index by_customer on orders (status)")
        await other.close()

    def report(progress: Progress) -> None:
        if progress.event == "build":  # planned, and not begun
            thread = Thread(target=lambda: asyncio.run(build()))
            thread.start()
            thread.join()

    with pytest.raises(BuildError, match="already exists"):
        await apply(database_url, declare(BY_CUSTOMER), report=report)
    assert "(status)" in await connection.fetchval("select pg_get_indexdef('by_customer'::regclass)")


async def test_deadlock_is_tried_again() -> None:
    outcomes = [asyncpg.DeadlockDetectedError("a deadlock"), None]

    async def attempt_once() -> None:
        if outcome := outcomes.pop(0):
            raise outcome

    connection: Any = None  # asked for who is in the way only when all attempts have failed
    tell = teller("i", 1, 1, None)
    assert await with_retries(connection, "i", Retry(first_delay=timedelta(0)), attempt_once, tell) == 2


async def building(connection: asyncpg.Connection, run: "asyncio.Task[Any]") -> int:
    """Pid of the backend whose build has come to wait for the open transaction."""
    while not run.done():
        if pid := await connection.fetchval(BUILDING):
            return int(pid)
    raise AssertionError(f"the build ended before it had to wait: {run}")
