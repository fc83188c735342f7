"""Advise on databases of other people's style: schemas, policies, children, functions; no statement goes missing."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from easymo.cli.main import app
from easymo.embedded import Postgres
from easymo.indexes.advise import Advice, Kind, advise, migration
from easymo.indexes.advise.workload import read_work
from easymo.indexes.binding import bind, session_of
from easymo.indexes.errors import AdviceError, ScratchError
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.scratch import order_note, scratch_databases
from easymo.indexes.state import index_states, usage
from easymo.indexes.tables import read_tables
from tests.indexes.servers import postgres_15

ITEMS = """
create table {0} (id bigint generated always as identity primary key, code text, note text);
insert into {0} (code, note) select 'c' || i, repeat('x', 60) from generate_series(1, {1}) i;
"""


def query(sql: str, calls_per_minute: float = 60.0, name: str = "") -> HotQuery:
    return HotQuery(name or sql, sql, Path("w.sql"), 1, (), calls_per_minute)


def built(advice: Advice) -> list[str]:
    return [index.statement.partition(" on ")[2] for index in advice.indexes]


@pytest.fixture
async def plain(database_url: str, connection: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    plain = await asyncpg.connect(database_url, statement_cache_size=0)
    try:
        yield plain
    finally:
        await plain.close()


async def test_tables_of_one_name_in_two_schemas_are_two_tables(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres
) -> None:
    await connection.execute('create schema a; create schema "B c"')
    await connection.execute(ITEMS.format("a.item", 20_000) + ITEMS.format('"B c".item', 100))
    await connection.execute("vacuum analyze")
    workload = [query("select id from a.item where code = 'c7'"), query('select id from "B c".item where code = $1')]
    advice = await advise(database_url, workload, scratch_url=postgres.url)
    assert built(advice) == ["a.item (code)"]
    assert {outcome.kind for outcome in advice.statements} == {Kind.HELPED, Kind.FAST}


async def test_names_are_looked_up_as_a_session_of_the_workload_would(
    connection: asyncpg.Connection, plain: asyncpg.Connection
) -> None:
    await connection.execute("create schema app; create schema other; create table other.only_there (x int)")
    await connection.execute(ITEMS.format("app.item", 10))
    database = await connection.fetchval("select current_database()")
    await connection.execute(f"alter database {database} set search_path = app, public")
    session = await session_of(plain, await read_tables(plain), None)
    for sql, place in {
        "select 1 from item where code = $1": "app.item",
        "select 1 from orders where status = $1": "public.orders",
        "with item as (select * from orders) select 1 from item where status = $1": "public.orders",
        "select 1 from only_there where x = $1": "other.only_there",
    }.items():
        (bound,) = await bind(plain, session, query(sql))
        assert bound.tables == {place}, sql


async def test_a_delete_is_helped_where_it_looks_for_children_and_where_it_finds_its_rows(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres
) -> None:
    await connection.execute(ITEMS.format("item", 1000))
    await connection.execute(
        """
        create table part (id bigint primary key, item bigint references item on delete cascade, made date);
        create table piece (part bigint references part);
        insert into part select i, 1 + i % 1000, date '2020-01-01' + i from generate_series(1, 30000) i;
        insert into piece select i from generate_series(1, 30000) i;
        """
    )
    await connection.execute("vacuum analyze")
    workload = [query("delete from item where id = $1"), query("update part set item = 1 where made = $1")]
    advice = await advise(database_url, workload, scratch_url=postgres.url)
    assert set(built(advice)) == {"public.part (item)", "public.part (made)", "public.piece (part)"}
    assert advice.counts[Kind.HELPED] == 2


async def test_children_that_inherit_are_tables_of_their_own(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres
) -> None:
    await connection.execute("create table parent (id int, name text); create table child (more int) inherits (parent)")
    await connection.execute("insert into child select i, 'n' || i, i from generate_series(1, 30000) i")
    await connection.execute("vacuum analyze")
    advice = await advise(database_url, [query("select id from parent where name = $1")], scratch_url=postgres.url)
    assert built(advice) == ["public.child (name)"]
    (gain,) = advice.queries
    assert gain.after_ms < gain.before_ms


async def test_a_partitioned_table_is_advised_as_one_that_apply_can_build(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres
) -> None:
    await connection.execute(
        """
        create table log (who int, at date) partition by range (at);
        create table log_1 partition of log for values from ('2026-01-01') to ('2027-01-01');
        insert into log select i % 5000, date '2026-01-01' + i % 300 from generate_series(1, 40000) i;
        """
    )
    await connection.execute("vacuum analyze")
    advice = await advise(database_url, [query("select at from log where who = $1")], scratch_url=postgres.url)
    assert built(advice) == ["public.log (who)"]
    assert "build it with easymo indexes apply" in " ".join(migration(advice).split())


async def test_a_query_that_the_copy_cannot_run_is_left_out_alone(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres
) -> None:
    await connection.execute(ITEMS.format("item", 20_000))
    await connection.execute(
        "create function secret(x text) returns text language plpgsql immutable as "
        "$$ begin if current_database() like 'easymo_scratch%' then raise 'no key here'; end if; return x; end $$"
    )
    workload = [query("select id from item where secret(code) = 'c1'"), query("select id from item where code = 'c1'")]
    advice = await advise(database_url, workload, scratch_url=postgres.url)
    assert built(advice) == ["public.item (code)"]
    assert list(advice.of(Kind.UNTRIED).values()) == ["the copy cannot run it: no key here"]


async def test_under_row_level_security_plans_hold_the_policies_of_the_role(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres
) -> None:
    role = await connection.fetchval("select current_database()") + "_app"
    await connection.execute(ITEMS.format("item", 20_000))
    await connection.execute(
        f"""
        create role {role}; grant select on item to {role};
        alter table item add tenant int; update item set tenant = id % 1000; alter table item enable row level security;
        create policy of_tenant on item using (tenant = current_setting('app.tenant')::int);
        """
    )
    await connection.execute("vacuum analyze")
    try:
        workload = [query("select count(*) from item where note like '%x%'")]
        bypassed = await advise(database_url, workload, scratch_url=postgres.url)
        assert "row-level security is on" in " ".join(bypassed.notes)
        advice = await advise(database_url, workload, scratch_url=postgres.url, role=role)
        assert built(advice) == ["public.item (tenant)"]
        hidden = re.sub(r"//[^@]*@", f"//{role}@", database_url)
        await connection.execute(f"alter role {role} login")
        with pytest.raises(AdviceError, match=r"hides rows of public\.item"):
            await advise(hidden, workload, scratch_url=postgres.url)
        assert not await connection.fetchval("select exists (select from pg_roles where rolname = 'easymo_scratch')")
    finally:
        await connection.execute(f"drop owned by {role}; drop role {role}")


async def test_pattern_without_its_extension_is_not_tried_and_the_extension_is_named(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres
) -> None:
    await connection.execute(ITEMS.format("item", 20_000))
    workload = [
        query("select id from item where code ilike '%c7%'"),
        query("select id from item where note ->> $1 = '7'"),
    ]
    await connection.execute("alter table item alter note type jsonb using jsonb_build_object('k', note)")
    untried = (await advise(database_url, workload, scratch_url=postgres.url)).of(Kind.UNTRIED)
    assert "create extension pg_trgm" in untried[workload[0].name]
    assert "has to hold what is a parameter" in untried[workload[1].name]


async def test_budget_is_named_as_the_reason_where_it_is(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres
) -> None:
    await connection.execute(ITEMS.format("item", 20_000))
    await connection.execute("vacuum analyze")
    workload = [query("select id from item where code = 'c7'")]
    advice = await advise(database_url, workload, scratch_url=postgres.url, budget_bytes=50_000)
    assert "item (code) could help but does not fit the budget" in advice.of(Kind.UNHELPED)[workload[0].name]


async def test_merge_conflicts_and_triggers_are_updates(plain: asyncpg.Connection) -> None:
    await plain.execute(
        """
        create function touch() returns trigger language plpgsql as
          $$ begin new.created_at := now(); return new; end $$;
        create trigger touch before update on orders for each row execute function touch()
        """
    )
    statements = [
        query("merge into orders o using (values (1)) v (n) on o.id = v.n when matched then update set total = 1"),
        query("insert into orders (id, customer) values ($1, $2) on conflict (id) do update set status = 'x'"),
        query("select 1 from orders where id = $1"),
    ]
    updates = (await read_work(plain, statements)).prices.writes["public.orders"].updates
    assert [set(update.columns) for update in updates] == [{"total", "created_at"}, {"status", "created_at"}]


async def test_no_index_is_unused_before_its_use_was_counted_for_the_least_days(connection: asyncpg.Connection) -> None:
    await connection.execute("create index never_read on orders (total)")
    observed = (await read_work_of(connection)).observed
    counted = await usage(connection, ())
    remarks = {
        days: [state.remark for state in index_states(observed, {}, counted, days) if state.index == "never_read"]
        for days in (0.0, 7.0)
    }
    assert remarks == {0.0: ["unused"], 7.0: [""]}
    assert "(--least-days)" in counted.unused_unknown_because(7.0)


async def test_what_is_unique_an_identity_or_serves_a_foreign_key_is_never_unused(
    connection: asyncpg.Connection,
) -> None:
    await connection.execute(
        """
        alter table orders add parent bigint references orders; alter table orders alter total set not null;
        create index serves_the_key on orders (parent); create unique index unique_total on orders (total, id);
        create unique index identity on orders (id, total); alter table orders replica identity using index identity;
        """
    )
    counted = await usage(connection, ())
    states = index_states((await read_work_of(connection)).observed, {}, counted, 0.0)
    assert {state.index: state.remark for state in states if state.remark == "unused"} == {}


async def read_work_of(connection: asyncpg.Connection):  # type: ignore[no-untyped-def]
    plain = query("select 1 from orders")
    return await read_work(connection, [plain])


async def test_a_prefix_is_no_reason_for_a_plain_index_where_texts_are_not_sorted_as_bytes(postgres: Postgres) -> None:
    """Debian's 15 in its own order of C.UTF-8, which the planner takes for no C, beside an embedded 18 that is C."""
    with postgres_15() as url:
        source = await asyncpg.connect(url, statement_cache_size=0)
        try:
            await source.execute(ITEMS.format("item", 20_000) + "create index plain on item (code)")
            await source.execute("vacuum analyze")
            advice = await advise(url, [query("select id from item where code like 'c77%'")], scratch_url=postgres.url)
            assert built(advice) == ["public.item (code text_pattern_ops)"]
            async with scratch_databases(postgres.url, 1, source) as (copy,):
                assert "may serve LIKE there" not in await order_note(source, copy)
        finally:
            await source.close()


async def test_a_scratch_server_that_is_not_there_is_one_sentence(database_url: str) -> None:
    with pytest.raises(ScratchError, match=r"cannot be reached.*--scratch"):
        await advise(
            database_url, [query("select 1 from orders where id = $1")], scratch_url="postgresql://x@127.0.0.1:1/x"
        )


POOL = [
    "select id from orders where customer = $1",
    "select id from orders where id = $1",
    "select * from orders",
    "update orders set total = 1 where customer = $1",
    "insert into orders (id) values ($1)",
    "delete from orders where status = $1",
    "select * from missing",
    "vacuum",
    "select 1",
    "this is no SQL",
    "select $1::point from orders limit $2",
    "with o as (select * from orders) select count(*) from o where total > $1",
]


@settings(max_examples=8, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.lists(st.sampled_from(POOL), unique=True), rates=st.lists(st.floats(0.01, 1e4), min_size=12, max_size=12)
)
def test_every_statement_is_in_exactly_one_list_in_json_and_in_text(
    database_url: str, postgres: Postgres, chosen: list[str], rates: list[float]
) -> None:
    workload = [query(sql, rate) for sql, rate in zip(chosen, rates, strict=False)]
    advice = asyncio.run(prepared_advice(database_url, workload, postgres.url))
    assert [outcome.statement for outcome in advice.statements] == chosen
    assert sum(advice.counts.values()) == len(chosen)
    assert {name for kind in Kind for name in advice.of(kind)} == set(chosen)
    assert all(outcome.why for outcome in advice.statements), "each with its reason"


async def prepared_advice(database_url: str, workload: list[HotQuery], scratch_url: str) -> Advice:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "create table if not exists orders (id bigint primary key, customer text, status text, total numeric)"
    )
    await connection.close()
    return await advise(database_url, workload, scratch_url=scratch_url)


async def test_command_counts_the_statements_of_each_list(
    database_url: str, postgres: Postgres, tmp_path: Path, connection: asyncpg.Connection
) -> None:
    file = tmp_path / "w.sql"
    file.write_text(
        "-- name: one\n-- calls_per_minute: 5\nselect id from orders where id = %s;\n-- name: two\nvacuum;\n"
        "-- name: three\nselect id from orders where customer = ? and total > %(least)s;\n"
    )
    arguments = [
        "indexes",
        "advise",
        "--database-url",
        database_url,
        "--workload",
        str(file),
        "--scratch",
        postgres.url,
    ]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert result.exit_code == 0, result.output
    count = re.search(
        r"3 statements: (\d) helped, (\d) fast enough, (\d) no index helps, (\d) not tried", result.output
    )
    assert count, result.output
    assert sum(map(int, count.groups())) == 3
    file.write_text("-- name: one\n-- calls_per_minute: many\nselect 1;\n")
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert result.exit_code == 2
    assert "calls_per_minute of one is 'many'" in result.output
