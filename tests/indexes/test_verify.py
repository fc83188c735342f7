"""Verify says what is there, what hot queries make of it and what it costs; it changes nothing on the user's server."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from easymo.embedded import Postgres
from easymo.indexes import apply, difference, snapshot
from easymo.indexes.binding import bind, session_of
from easymo.indexes.errors import CountersError
from easymo.indexes.explain import call, explain, prepare
from easymo.indexes.hotqueries import HotQuery, read_hot_queries
from easymo.indexes.scratch import copy_tables, hidden
from easymo.indexes.statements import compare, read_counters, read_snapshot, write_snapshot
from easymo.indexes.tables import find_tables, read_tables
from easymo.indexes.verify import Verified, verify
from tests.indexes.conftest import Declare, leave_invalid, until_counted

BY_CUSTOMER = "create index concurrently by_customer on orders (customer, created_at)"
BY_STATUS = "create index concurrently by_status on orders (created_at) where status = 'new'"
UNREAD = "create index concurrently unread on orders (total)"
QUERIES = """
-- name: orders_of_customer(customer)
select id, total from orders where customer = :customer order by created_at desc limit 5;
-- name: new_orders()
select id from orders where status = 'new' order by created_at limit 5;
-- name: orders_in_status(status)
select id from orders where status = :status order by created_at limit 5;
-- name: pay(id)!
update orders set status = 'paid' where id = :id;
-- name: gone()
select 1 from invoices;
"""
Queries = Callable[[str], list[HotQuery]]


@pytest.fixture
def queries(tmp_path: Path) -> Queries:
    def write(text: str) -> list[HotQuery]:
        file = tmp_path / "queries.sql"
        file.write_text(text)
        return read_hot_queries([file])

    return write


@pytest.fixture(autouse=True)
async def many_orders(connection: asyncpg.Connection) -> None:
    await connection.execute(
        """
        insert into orders select i, 'customer ' || i % 5000, case when i % 100 = 0 then 'new' else 'sent' end, i,
          now() - i * interval '1 s' from generate_series(1001, 50000) i
        """
    )
    await connection.execute("vacuum analyze orders")


@pytest.fixture
async def plain(database_url: str, connection: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """A connection that keeps no prepared statements of its own."""
    plain = await asyncpg.connect(database_url, statement_cache_size=0)
    try:
        yield plain
    finally:
        await plain.close()


async def test_hot_queries_are_served_measured_and_priced(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres, declare: Declare, queries: Queries
) -> None:
    declared = declare(BY_CUSTOMER, BY_STATUS)
    await apply(database_url, declared)
    before = await snapshot(connection)
    verified = await verify(database_url, declared, queries(QUERIES), scratch_url=postgres.url)
    by_customer, by_status = verified.indexes
    assert [served.query for served in by_customer.serves] == ["orders_of_customer"]
    (served,) = by_customer.serves
    assert served.without_index.p50_ms > served.with_index.p50_ms
    assert by_status.ends_hot_for == ["pay"]
    assert by_customer.ends_hot_for == []
    assert by_customer.size_bytes > by_status.size_bytes > 0
    assert by_customer.write_us_per_row is not None
    explained = {query.query: query for query in verified.queries}
    assert explained["new_orders"].indexes == explained["new_orders"].generic_indexes == ("by_status",)
    assert "by_status" not in explained["orders_in_status"].generic_indexes, "a bound status implies no predicate"
    assert 0 < explained["orders_of_customer"].buffers < 50
    assert "invoices" in explained["gone"].problem
    assert explained["pay"].indexes == ("orders_pkey",), "an update finds its rows as a select does"
    assert verified.failures == []
    assert difference(before, await snapshot(connection)) == []
    assert await connection.fetchval("select count(*) from pg_database where datname like 'easymo_scratch%'") == 0


async def test_what_is_not_as_declared_fails(
    connection: asyncpg.Connection, writer: asyncpg.Connection, database_url: str, declare: Declare, queries: Queries
) -> None:
    await leave_invalid(connection, writer, BY_CUSTOMER)
    await connection.execute("create index by_status on orders (status)")
    await connection.execute(UNREAD)
    missing = "create index missing on orders (id, total)"
    verified = await verify(
        database_url, declare(BY_CUSTOMER, BY_STATUS, UNREAD, missing), queries(QUERIES), measure=False
    )
    assert [index.state for index in verified.indexes] == ["invalid", "different", "ok", "missing"]
    assert [failure.partition(":")[0] for failure in verified.failures] == [
        "by_customer",
        "by_status",
        "missing",
        "unread",
    ]
    assert Verified(verified.indexes, [], None).failures[-1] != "unread: no hot query uses it", "nobody was asked"


async def test_share_of_hot_updates_is_what_postgres_counts(
    connection: asyncpg.Connection, database_url: str, declare: Declare
) -> None:
    await connection.execute("update orders set total = 1 where id = 7")
    await connection.execute("update orders set id = -8 where id = 8")
    await until_counted(connection, "select n_tup_upd = 2 from pg_stat_user_tables")
    (index,) = (await verify(database_url, declare(BY_CUSTOMER), measure=False)).indexes
    counted = await connection.fetchrow("select n_tup_hot_upd as hot, n_tup_upd as all from pg_stat_user_tables")
    assert counted is not None
    assert index.hot_ratio == pytest.approx(counted["hot"] / counted["all"], abs=0.001)
    assert index.writes_per_s > 0


async def test_hidden_index_is_used_again_after_the_block(plain: asyncpg.Connection) -> None:
    await plain.execute(BY_CUSTOMER)

    async def used() -> tuple[str, ...]:
        await prepare(plain, "select id from orders where customer = $1")
        return (await explain(plain, call(["customer 1"]))).indexes

    async with hidden(plain, ["by_customer"]):
        assert await used() == ()
    assert await used() == ("by_customer",)


async def test_copy_holds_rows_types_and_indexes_and_a_sample_where_it_must_be_small(
    connection: asyncpg.Connection, postgres: Postgres
) -> None:
    await connection.execute(
        """
        create type mood as enum ('good', 'bad'); create domain amount as numeric(6, 2) check (value > 0);
        create table stays (id int primary key, mood mood, paid amount, note text);
        insert into stays select i, 'bad', 5, null from generate_series(1, 100) i; create index by_mood on stays (mood)
        """
    )
    tables = await find_tables(connection, ["stays", "orders", "no_table"])
    name = await connection.fetchval("select current_database()")
    await connection.execute(f"create database {name}_copy")
    scratch = await asyncpg.connect(postgres.database_url(f"{name}_copy"))
    try:
        copied = await copy_tables(connection, scratch, tables, max_bytes=tables[0].bytes // 4)
        assert [table.name for table in copied.tables] == ["orders", "stays"]
        assert 0.2 < copied.sampled_ratio < 0.3
        assert 8_000 < await scratch.fetchval("select count(*) from orders") < 17_000
        definition = await scratch.fetchval("select pg_get_indexdef('by_mood'::regclass)")
        assert definition == await connection.fetchval("select pg_get_indexdef('by_mood'::regclass)")
    finally:
        await scratch.close()
        await connection.execute(f"drop database {name}_copy")


async def test_types_functions_and_views_are_copied_and_a_column_of_a_missing_type_is_a_text(
    connection: asyncpg.Connection, postgres: Postgres
) -> None:
    await connection.execute(
        """
        create type pair as (a int, b int); create domain amount as int; create type span as range (subtype = amount);
        create function twice(x int) returns int language sql immutable as 'select 2 * x';
        create table odd (p pair, s span, n int); insert into odd values ((1, 2), '[1,3)', 4);
        create index by_twice on odd (twice(n)); create view evens as select * from odd where twice(n) = 8
        """
    )
    tables = await find_tables(connection, ["odd"])
    name = await connection.fetchval("select current_database()")
    await connection.execute(f"create database {name}_copy")
    scratch = await asyncpg.connect(postgres.database_url(f"{name}_copy"))
    try:
        assert (await copy_tables(connection, scratch, tables)).left_out == ()
        assert await scratch.fetchval("select (p).b from evens") == 2
        assert await scratch.fetchval("select pg_get_indexdef('by_twice'::regclass)") is not None
    finally:
        await scratch.close()
        await connection.execute(f"drop database {name}_copy")


async def values_of(connection: asyncpg.Connection, sql: str) -> list[list[str | None]]:
    session = await session_of(connection, await read_tables(connection), None)
    bound = await bind(connection, session, HotQuery("q", sql, Path("q.sql"), 1))
    return [list(values) for values in bound[0].values]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1 from orders where status = $1", {"sent"}),
        ("select 1 from orders where created_at > now() - $1::interval", {"1 day"}),
        ("select date_trunc($1, created_at) from orders limit $2", {"day", "50"}),
        ("select 1 from orders where ($1::text is null or status = $1)", {"sent"}),
        ("select 1 from orders where upper(status) = $1", {"SENT"}),
        ("select 1 from orders where upper(status) = upper($1)", {"SENT"}),
        ("select 1 from orders where status like $1 || '%'", {"sent"}),
        ("select 1 from orders o, orders p where o.id = p.id and lower(p.status) = any ($1)", {"{sent}"}),
        ("select 1 from orders where (status, id) > ($1, $2) limit 1", {"sent"}),
        ("select 1 from (select status as s from orders offset 0) x where s = $1", {"x"}),
        ("update orders set total = $1 where status = $2", {"50", "sent"}),
        ("select 1 from orders where left(status, $1) = $2", {"50", "sent"}),
        ("select 1 from orders where status ilike $1", {"%sent%"}),
    ],
)
async def test_parameters_get_values_that_rows_have(
    plain: asyncpg.Connection, sql: str, expected: set[str | None]
) -> None:
    await plain.execute("update orders set status = 'sent'")
    assert expected <= {value for values in await values_of(plain, sql) for value in values}


async def test_values_of_one_list_are_of_one_row(plain: asyncpg.Connection) -> None:
    sql = "select id from orders where id = $1 and customer = any ($2)"
    for values in await values_of(plain, sql):
        assert values[0] is not None
        assert values[1] is not None
        customer = await plain.fetchval("select customer from orders where id = $1", int(values[0]))
        assert values[1].strip('{}"') == customer


async def test_documents_arrays_and_texts_are_asked_for_what_they_hold(plain: asyncpg.Connection) -> None:
    await plain.execute(
        """
        create table notes (doc jsonb, tags text[], words tsvector, at tsrange);
        insert into notes select jsonb_build_object('city', 'Kigali ' || i), array['t' || i],
          to_tsvector('simple', 'w' || i), tsrange(now()::timestamp, now()::timestamp + interval '1 h')
        from generate_series(1, 50) i
        """
    )
    for condition in (
        "doc ->> $1 = $2",
        "doc #>> $1 = $2",
        "doc ? $1",
        "doc @> $1",
        "tags && $1",
        "tags @> array[$1]",
        "words @@ to_tsquery('simple', $1)",
        "at && tsrange($1, null)",
        "at @> $1::timestamp",
    ):
        sql = f"select count(*) from notes where {condition}"
        (values, *_) = await values_of(plain, sql)
        await prepare(plain, sql)
        assert await plain.fetchval(call(values)) > 0, (condition, values)


async def test_counters_before_and_after_a_deployment_are_compared_per_query(
    connection: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    await connection.execute("create extension pg_stat_statements")
    for _ in range(3):
        await connection.fetch("select count(*) from orders where customer = 'customer 7'")
    write_snapshot(await read_counters(database_url), tmp_path / "before.json")
    await connection.execute(BY_CUSTOMER)
    for _ in range(4):
        await connection.fetch("select count(*) from orders where customer = 'customer 7'")
    observed = compare(read_snapshot(tmp_path / "before.json"), await read_counters(database_url))
    (row,) = [row for row in observed if row.query.startswith("select count(*) from orders where customer")]
    assert (row.calls_before, row.calls_after) == (3, 4)
    assert row.buffers_before is not None
    assert row.buffers_after is not None
    assert row.buffers_after < row.buffers_before / 5


async def test_counters_that_cannot_be_compared_are_refused(
    connection: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(CountersError, match="CREATE EXTENSION"):
        await read_counters(database_url)
    await connection.execute("create extension pg_stat_statements")
    counters = await read_counters(database_url)
    await connection.execute("select pg_stat_statements_reset()")
    with pytest.raises(CountersError, match="were reset"):
        compare(counters, await read_counters(database_url))
    (tmp_path / "broken").write_text("{}")
    with pytest.raises(CountersError, match="is no snapshot"):
        read_snapshot(tmp_path / "broken")
