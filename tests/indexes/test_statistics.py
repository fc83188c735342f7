"""The copy plans with what the server knows, or says what it uses instead; a skip scan of 18 is no use to an older one.

The older one is Debian's 15, or the server of EASYMO_TEST_POSTGRES.
"""

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from easymo.embedded import DatabaseServer, Postgres
from easymo.indexes.advise import Advice, advise
from easymo.indexes.advise.candidates import Candidate
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.scratch import copy_tables
from easymo.indexes.tables import find_tables
from tests.indexes.conftest import version_of
from tests.indexes.servers import GIVEN, postgres_15

KNOWN = """
select attname, null_frac, avg_width, n_distinct, most_common_vals::text, most_common_freqs, histogram_bounds::text,
  correlation, most_common_elems::text, most_common_elem_freqs, elem_count_histogram
from pg_stats where schemaname = 'public' and tablename = 'people' order by attname
"""
PEOPLE = """
create type mood as enum ('good', 'bad');
create table people (id int, mood mood, city text, tags text[]) with (autovacuum_enabled = off);
insert into people select i, case when i % 9 = 0 then 'bad' else 'good' end::mood,
  case when i % 3 = 0 then null else 'city ' || i % 7 end, array['all', 'tag ' || i % 40]
from generate_series(1, 3000) i;
analyze people;
insert into people select i, 'bad', 'elsewhere', '{}' from generate_series(3001, 6000) i;
"""
ORDERS = """
create table orders (id int primary key, status text not null, total int not null);
insert into orders select i, case when i % 2 = 0 then 'new' else 'sent' end, i * 7919 % 50021
from generate_series(1, 50000) i;
"""
BY_TOTAL = HotQuery("by_total", "select id from orders where total = 4711", Path("w.sql"), 1, (), 500.0)
SKIPPED = Candidate("public.orders", ("status", "total"))


@pytest.fixture(scope="module")
def older_url(postgres: DatabaseServer) -> Iterator[str]:
    if GIVEN in os.environ:
        yield postgres.url
    else:
        with postgres_15() as url:
            yield url


@pytest.fixture(scope="module")
def newer_url(postgres: DatabaseServer) -> Iterator[str]:
    if GIVEN in os.environ:
        with Postgres() as server:
            yield server.url
    else:
        yield postgres.url


@pytest.fixture
async def older(older_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A fresh database on a server before 18."""
    async with fresh_database(older_url) as connection:
        if version_of(connection) >= 18:
            pytest.skip("EASYMO_TEST_POSTGRES names an 18, and this is about an older server beside it")
        yield connection


@pytest.fixture
async def newer(newer_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A fresh database on 18."""
    async with fresh_database(newer_url) as connection:
        yield connection


@asynccontextmanager
async def fresh_database(server_url: str) -> AsyncIterator[asyncpg.Connection]:
    name = f"test_{time.monotonic_ns()}"
    admin = await asyncpg.connect(server_url)
    await admin.execute(f"create database {name}")
    connection = await asyncpg.connect(address(server_url, name))
    try:
        yield connection
    finally:
        await connection.close()
        await admin.execute(f"drop database {name}")
        await admin.close()


def address(server_url: str, database: str) -> str:
    return server_url.replace("/postgres?", f"/{database}?")


async def test_copy_on_18_knows_what_the_server_knows_and_not_what_its_own_rows_say(
    older: asyncpg.Connection, newer: asyncpg.Connection
) -> None:
    await older.execute(PEOPLE)
    copied = await copy_tables(older, newer, await find_tables(older, ["people"]))
    assert (copied.own_statistics, copied.left_out) == (True, ())
    known = [tuple(row) for row in await older.fetch(KNOWN)]
    assert [tuple(row) for row in await newer.fetch(KNOWN)] == known
    assert "elsewhere" not in str(known), "half of the rows came after the last ANALYZE"

    relation = "select reltuples, relallvisible from pg_class where relname = 'people'"
    assert [tuple(row) for row in await newer.fetch(relation)] == [(3000, 0)], "the server has never vacuumed it"
    await newer.execute("create index by_city on people (city)")
    assert [tuple(row) for row in await newer.fetch(relation)] == [(3000, 0)], "building an index changes nothing of it"


async def test_sample_knows_of_its_share_of_the_rows(older: asyncpg.Connection, newer: asyncpg.Connection) -> None:
    await older.execute(PEOPLE)
    (table,) = await find_tables(older, ["people"])
    copied = await copy_tables(older, newer, [table], table.bytes // 2)
    assert copied.sampled_ratio == pytest.approx(0.5, abs=0.01)
    assert await newer.fetchval("select reltuples from pg_class where relname = 'people'") == pytest.approx(
        1500, rel=0.02
    )


async def test_older_copy_counts_its_own_rows(older: asyncpg.Connection, newer: asyncpg.Connection) -> None:
    await newer.execute(PEOPLE)
    copied = await copy_tables(newer, older, await find_tables(newer, ["people"]))
    assert not copied.own_statistics
    assert "elsewhere" in str(await older.fetch(KNOWN))


async def advised(database: asyncpg.Connection, url: str, scratch_url: str) -> Advice:
    await database.execute(ORDERS)
    await database.execute("vacuum analyze orders")
    name = await database.fetchval("select current_database()")
    return await advise(address(url, name), [BY_TOTAL], scratch_url=scratch_url)


async def test_index_that_only_a_skip_scan_uses_is_dropped_for_a_server_that_has_none(
    older: asyncpg.Connection, older_url: str, newer_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easymo.indexes.advise.search.candidates", lambda *_: {SKIPPED})
    advice = await advised(older, older_url, newer_url)
    assert advice.indexes == []
    assert advice.dropped == {
        SKIPPED.statement: "only a skip scan used it, which the database's version cannot do",
    }
    notes = " ".join(advice.notes)
    assert f"Measured on PostgreSQL 18, while the database is {version_of(older)}: plans may differ" in notes
    assert "Planned with the server's own statistics" in notes


async def test_index_that_only_a_skip_scan_uses_is_advised_for_18(
    newer: asyncpg.Connection, newer_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easymo.indexes.advise.search.candidates", lambda *_: {SKIPPED})
    advice = await advised(newer, newer_url, newer_url)
    assert [index.statement for index in advice.indexes] == [SKIPPED.statement]


async def test_advice_from_an_older_scratch_server_says_whose_statistics_it_used(
    older: asyncpg.Connection, newer: asyncpg.Connection, older_url: str, newer_url: str
) -> None:
    advice = await advised(newer, newer_url, older_url)
    assert [index.statement.split(" on ")[1] for index in advice.indexes] == ["public.orders (total)"]
    said = f"ANALYZE counted on the copy: PostgreSQL {version_of(older)} cannot be given"
    assert any(said in note for note in advice.notes)
