"""An index of a partitioned table is built on each partition concurrently, and is one index in the end."""

from datetime import timedelta

import asyncpg
import pytest

from easymo.indexes import Retry, apply, difference, rollback, snapshot
from easymo.indexes.errors import DifferentIndexError, LockError
from easymo.indexes.partitions import partition_index_name
from easymo.indexes.plan import Action
from tests.indexes.conftest import Declare

BY_AGENT = "create index concurrently by_agent on visits (agent, at) where agent <> 'robot'"
TREE = "select relid::regclass::text as name, isleaf from pg_partition_tree('by_agent') order by 1"
SHORT = timedelta(milliseconds=50)


@pytest.fixture(autouse=True)
async def visits(connection: asyncpg.Connection) -> None:
    """A table with two partitions, one of which is partitioned again."""
    await connection.execute(
        """
        create table visits (at date not null, agent text) partition by range (at);
        create table visits_2025 partition of visits for values from ('2025-01-01') to ('2026-01-01');
        create table visits_2026 partition of visits for values from ('2026-01-01') to ('2027-01-01')
          partition by list (agent);
        create table visits_2026_ann partition of visits_2026 for values in ('ann');
        create table visits_2026_rest partition of visits_2026 default;
        insert into visits select date '2025-06-01' + i, (array['ann', 'bob'])[1 + i % 2] from generate_series(1, 500) i
        """
    )


async def all_valid(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval("select bool_and(indisvalid) from pg_index"))


async def test_every_partition_is_indexed_and_attached(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    (applied,) = await apply(database_url, declare(BY_AGENT))
    assert [row["name"] for row in await connection.fetch(TREE) if row["isleaf"]] == [
        "by_agent_visits_2025",
        "by_agent_visits_2026_ann",
        "by_agent_visits_2026_rest",
    ]
    assert await all_valid(connection)
    assert (applied.action, applied.size_bytes > 0) == (Action.BUILD, True)
    await connection.execute("set enable_seqscan = off")
    plan = await connection.fetch("explain select from visits where agent = 'ann' and at = '2025-07-01'")
    assert "by_agent_visits_2025" in str(plan)
    (again,) = await apply(database_url, declare(BY_AGENT))
    assert again.action is Action.KEEP


async def test_rollback_takes_all_of_it_away(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    before = await snapshot(connection)
    await apply(database_url, declare(BY_AGENT))
    await rollback(database_url, declare(BY_AGENT))
    assert difference(before, await snapshot(connection)) == []


async def test_broken_off_build_is_finished_by_the_next_apply_and_taken_back_by_rollback(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    before = await snapshot(connection)
    async with writer.transaction():
        await writer.execute("lock table visits_2026_ann in row exclusive mode")
        with pytest.raises(LockError):
            await apply(database_url, declare(BY_AGENT), lock_timeout=SHORT, retry=Retry(attempts=1))
    assert not await all_valid(connection)
    (applied,) = await apply(database_url, declare(BY_AGENT))
    assert (applied.action, await all_valid(connection)) == (Action.REPAIR, True)
    await rollback(database_url, declare(BY_AGENT))
    async with writer.transaction():
        await writer.execute("lock table visits_2026_ann in row exclusive mode")
        with pytest.raises(LockError):
            await apply(database_url, declare(BY_AGENT), lock_timeout=SHORT, retry=Retry(attempts=1))
    await rollback(database_url, declare(BY_AGENT))
    assert difference(before, await snapshot(connection)) == []


async def test_equal_index_of_a_partition_is_attached_and_comes_back_after_rollback(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute("create index theirs on visits_2025 (agent, at) where agent <> 'robot'")
    await connection.execute("create index other on visits_2026_ann (agent)")
    before = await snapshot(connection)
    oid = await connection.fetchval("select 'theirs'::regclass::oid")
    await apply(database_url, declare(BY_AGENT))
    assert [row["name"] for row in await connection.fetch(TREE) if row["isleaf"]] == [
        "by_agent_visits_2026_ann",
        "by_agent_visits_2026_rest",
        "theirs",
    ]
    assert oid == await connection.fetchval("select 'theirs'::regclass::oid"), "not built again"
    assert await all_valid(connection)
    (again,) = await apply(database_url, declare(BY_AGENT))
    assert again.action is Action.KEEP
    await rollback(database_url, declare(BY_AGENT))
    assert difference(before, await snapshot(connection)) == []


async def test_different_index_on_partitions_is_never_replaced(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute("create index by_agent on visits (agent)")
    with pytest.raises(DifferentIndexError):
        await apply(database_url, declare(BY_AGENT), replace=True)


def test_long_names_of_partitions_are_cut_and_stay_apart() -> None:
    one, other = (partition_index_name("i" * 40, "p" * 40 + end) for end in "ab")
    assert one != other
    assert {len(one), len(other)} == {63}
    assert partition_index_name("by_agent", "visits_2025") == "by_agent_visits_2025"
