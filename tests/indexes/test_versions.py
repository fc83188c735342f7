"""What differs from one version of Postgres to the next, and what we say where an older one does not know.

On the embedded 18, or on the server of EASYMO_TEST_POSTGRES; `make test-postgres` does it on 14 to 18.
"""

import os
import signal
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest

from easymo.indexes import apply
from easymo.indexes.advise.workload import read_work, read_workload
from easymo.indexes.definitions import parse_definition
from easymo.indexes.errors import CountersError, DeclarationError, DifferentIndexError, VersionError
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.plan import Action, plan_index
from easymo.indexes.price import ends_hot, written
from easymo.indexes.session import reader
from easymo.indexes.statements import read_counters
from easymo.indexes.tables import find_tables
from easymo.indexes.verify import verify
from tests.indexes.conftest import Declare, indexes_of, until_counted, version_of
from tests.indexes.servers import GIVEN, POSTGRES_15, cluster, program, server_to_test

BY_TIME = "create index concurrently by_time on visits using brin (at)"
TOUCH = HotQuery("touch", "update visits set at = now() where id = $1", Path("q.sql"), 1, (), 60.0)
LOOK = HotQuery("look", "select at from visits where id = $1", Path("q.sql"), 2, (), 60.0)
NULLS_EQUAL = "create unique index concurrently one_each on orders (id, total) nulls not distinct"


@pytest.fixture
def programs() -> Path:
    """The directory with the programs of the server to test: Debian's 15 unless another one is given."""
    found = Path(os.environ.get(GIVEN, POSTGRES_15))
    program(str(found / "initdb"), "postgresql-15")
    return found


@pytest.fixture
async def visits(database_url: str, connection: asyncpg.Connection, declare: Declare) -> asyncpg.Connection:
    """With the table `visits`, its pages half empty, and a BRIN index on the column that updates set."""
    await connection.execute(
        """
        create table visits (id int primary key, at timestamptz) with (fillfactor = 50);
        insert into visits select i, now() from generate_series(1, 1000) i
        """
    )
    await apply(database_url, declare(BY_TIME))
    await connection.execute("analyze visits")
    return connection


async def test_programs_that_the_environment_names_are_the_server_that_tests_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program(str(POSTGRES_15 / "initdb"), "postgresql-15")
    monkeypatch.setenv(GIVEN, str(POSTGRES_15))
    with server_to_test() as server:
        connection = await asyncpg.connect(server.database_url("template1"))
        assert version_of(connection) == 15
        await connection.close()


async def test_rate_of_writes_counts_from_before_a_restart_and_anew_after_a_crash(programs: Path) -> None:
    with cluster(programs) as serve:
        with serve(signal.SIGINT) as url:
            connection = await asyncpg.connect(url)
            await connection.execute("create table t as select i from generate_series(1, 500) i")
            await until_counted(connection, "select n_tup_ins = 500 from pg_stat_user_tables")
            moment = await connection.fetchval("select now()")
            await connection.close()
        with serve(signal.SIGQUIT) as url:
            assert await inserted(url, moment) == (500, "counted since before")
        with serve(signal.SIGQUIT) as url:
            assert await inserted(url, moment) == (0, "counted since later")


async def inserted(url: str, moment: datetime) -> tuple[int, str]:
    connection = await asyncpg.connect(url)
    (table,) = await find_tables(connection, ["t"])
    age_s = await connection.fetchval("select extract(epoch from now() - $1)::float8", moment)
    rows = await written(connection, table.oid)
    await connection.close()
    return rows.inserts, "counted since before" if rows.seconds > age_s else "counted since later"


@pytest.mark.parametrize(
    ("index", "version", "ends"),
    [("(at)", 18, True), ("using brin (at)", 15, True), ("using brin (at)", 16, False), ("using brin (at)", 18, False)],
)
def test_brin_ends_hot_before_16(index: str, version: int, ends: bool) -> None:
    assert ends_hot(parse_definition(f"create index i on visits {index}"), version) is ends


async def test_brin_ends_hot_exactly_where_postgres_says_so(
    visits: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await visits.execute("update visits set at = now() where id = 7")
    await until_counted(visits, "select n_tup_upd = 1 from pg_stat_user_tables where relname = 'visits'")
    hot = await visits.fetchval("select n_tup_hot_upd from pg_stat_user_tables where relname = 'visits'")
    assert hot == (1 if version_of(visits) >= 16 else 0)
    (index,) = (await verify(database_url, declare(BY_TIME), [TOUCH], measure=False)).indexes
    assert index.ends_hot_for == ([] if hot else ["touch"])
    async with reader(database_url) as plain:
        work = await read_work(plain, [TOUCH, LOOK])
    assert [update.by for _, update in work.prices.updates] == (["touch"] if hot else [])


async def test_counters_of_an_extension_that_pg_upgrade_left_as_it_was_are_refused_with_what_to_do(
    connection: asyncpg.Connection, database_url: str
) -> None:
    await connection.execute("create extension pg_stat_statements version '1.8'")
    refused = "still at version 1.8, from before PostgreSQL 14: ALTER EXTENSION pg_stat_statements UPDATE"
    with pytest.raises(CountersError, match=refused):
        await read_counters(database_url)
    with pytest.raises(CountersError, match=refused):
        await read_workload(connection)
    await connection.execute("alter extension pg_stat_statements update")
    assert (await read_counters(database_url)).queries


async def test_index_with_equal_nulls_is_not_one_with_distinct_nulls_and_14_has_none(
    connection: asyncpg.Connection, declare: Declare
) -> None:
    (wanted,) = declare(NULLS_EQUAL)
    if version_of(connection) < 15:
        with pytest.raises(DeclarationError, match=r'(?i)one_each .* Postgres says: syntax error at or near "nulls"'):
            await plan_index(connection, wanted, replace=False)
        assert await indexes_of(connection) == {}
        return
    await connection.execute(NULLS_EQUAL)
    assert (await plan_index(connection, wanted, replace=False)).action is Action.KEEP
    await connection.execute("drop index one_each; create unique index one_each on orders (id, total)")
    with pytest.raises(DifferentIndexError, match="not the declared one"):
        await plan_index(connection, wanted, replace=False)


async def test_server_of_an_unknown_version_is_refused_before_anything_is_done(
    connection: asyncpg.Connection, database_url: str, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easymo.indexes.session.OLDEST_VERSION", version_of(connection) + 1)
    refused = f"The server is PostgreSQL {version_of(connection)}, .* no index was touched"
    with pytest.raises(VersionError, match=refused):
        await apply(database_url, declare("create index concurrently by_total on orders (total)"))
    assert await indexes_of(connection) == {}
