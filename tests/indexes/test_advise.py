"""Advice: few indexes that serve a workload together, measured, priced, and written as a migration."""

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from easymo.cli.main import app
from easymo.embedded import Postgres
from easymo.indexes import apply, difference, read_declared, snapshot
from easymo.indexes.advise import Advice, Kind, advise, migration
from easymo.indexes.advise.bench import Measured
from easymo.indexes.advise.candidates import Candidate, candidates
from easymo.indexes.advise.judgement import ENTRY_MS, PAGE_IMAGE_MS
from easymo.indexes.advise.pricing import Prices, Updates, Writes
from easymo.indexes.advise.workload import read_work
from easymo.indexes.definitions import parse_definition
from easymo.indexes.errors import CountersError
from easymo.indexes.hotqueries import HotQuery, read_hot_queries
from easymo.indexes.lint import lint

TABLES = """
create table people (
  person_id bigint, email text, deleted_at timestamptz, notes text, tags text[], doc jsonb, place point, host inet,
  stay tsrange, born date
);
insert into people select i, 'p' || i || '@x.rw', case when i % 10 = 0 then now() - i * interval '1 h' end, 'n' || i,
  array['t' || i % 90], jsonb_build_object('city', i), point(i, i % 7), '10.0.0.0'::inet + i,
  tsrange(now()::timestamp, now()::timestamp + interval '1 h'), date '1970-01-01' + i from generate_series(1, 2000) i;
insert into orders select i, 'customer ' || i % 900, 'new', i, now() from generate_series(1001, 3000) i;
create table parts (number int, day date) partition by range (day);
create table parts_1 partition of parts for values from ('2026-01-01') to ('2027-01-01');
insert into parts select i, date '2026-01-01' + i % 300 from generate_series(1, 2000) i;
create view living as select person_id as number, email from people where deleted_at is null;
create extension pg_trgm;
analyze;
"""
WORKLOAD = """
-- name: of_customer
-- calls_per_minute: 600
select id, total from orders where customer = :customer order by created_at desc limit 5;
-- name: first_of_customer
-- calls_per_minute: 60
select id from orders where customer = :customer order by created_at limit 1;
-- name: waiting
-- calls_per_minute: 300
select id from orders where status = 'new' order by created_at limit 10;
-- name: dear
-- calls_per_minute: 120
select id from orders where total = :total;
-- name: everything
-- calls_per_minute: 30
select avg(length(customer || total)) from orders;
-- name: by_id
-- calls_per_minute: 900
select total from orders where id = :id;
-- name: seldom
-- calls_per_minute: 0.001
select id from orders where created_at = :at;
-- name: pay
-- calls_per_minute: 60
update orders set status = 'paid' where id = :id;
"""


async def statements_for(connection: asyncpg.Connection, sql: str) -> set[str]:
    """Table, keys, INCLUDE and predicate of the candidates, without their names."""
    await connection.execute(TABLES)
    work = await read_work(connection, [HotQuery("q", sql, Path("q.sql"), 1)])
    assert work.untried == {}
    found = {c for query in work.queries for c in candidates(query.asked, work.catalogue)}
    return {candidate.statement.partition(" on public.")[2] for candidate in found}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select id from orders where customer = $1 order by created_at desc", "orders (customer, created_at)"),
        ("select id from orders where status = 'new' order by created_at", "orders (created_at) where status = 'new'"),
        ("select 1 from orders where status = $1 and customer = $2", "orders (customer, status)"),
        ("select 1 from orders where created_at > now() - interval '1 h'", "orders (created_at)"),
        ("select sum(total) from orders where created_at > $1", "orders (created_at) include (total)"),
        ("select 1 from orders order by customer, created_at desc", "orders (customer, created_at desc)"),
        ("select 1 from orders where customer = $1 or total = $2", "orders (total)"),
        ("select max(total) from orders where customer = $1", "orders (customer, total)"),
        ("select 1 from orders where (created_at, id) < ($1, $2)", "orders (created_at, id)"),
        ("select count(*) from orders where status in ('a', 'b')", "orders (status) where status IN ('a', 'b')"),
        ("update orders set total = 1 where customer = $1", "orders (customer)"),
        ("delete from orders using people p where p.email = customer and p.notes = $1", "orders (customer)"),
        ("with gone as (delete from orders where total = $1 returning id) select * from gone", "orders (total)"),
        ("merge into orders o using (values (1)) v (n) on o.total = v.n when matched then delete", "orders (total)"),
        ("update orders set (status, total) = (select notes, 1 from people where email = $1)", "people (email)"),
        ("select id from orders where customer = $1 for update of orders", "orders (customer)"),
        ("select 1 from parts where day = $1 and number = $2", "parts (number, day)"),
        ("insert into orders (id) select person_id from people where notes = $1", "people (notes)"),
        ("select 1 from people where lower(email) = $1", "people ((lower(email)))"),
        ("select 1 from people where email like 'ann%'", "people (email text_pattern_ops)"),
        ("select 1 from people p join orders o on o.customer = p.email", "orders (customer)"),
        ("select 1 from people join orders on customer = email where notes = $1", "people (notes)"),
        ("select 1 from living where number = $1", "people (person_id) where deleted_at IS NULL"),
        ("select 1 from people where deleted_at is null and email = $1", "people (email) where deleted_at IS NULL"),
        ("select 1 from people where deleted_at > $1", "people (deleted_at) where deleted_at is not null"),
        ("select 1 from people where doc ->> 'city' = 'Kigali'", "people ((doc ->> 'city'))"),
        ("select 1 from people where (doc ->> 'age')::int > 90", "people (((doc ->> 'age')::int))"),
        ("select 1 from people where doc @> '{}'", "people using gin (doc jsonb_path_ops)"),
        ("select 1 from people where tags && array['a']", "people using gin (tags)"),
        ("select 1 from people where email ilike '%@x.rw'", "people using gin (email gin_trgm_ops)"),
        ("select 1 from people where host << '10.0.0.0/24'", "people (host)"),
        ("select 1 from people where stay @> $1::timestamp", "people using gist (stay)"),
        ("select 1 from people order by place <-> point(1, 2) limit 3", "people using gist (place)"),
        ("select 1 from people where born > $1", "people using brin (born)"),
    ],
)
async def test_candidates_follow_what_the_query_asks(connection: asyncpg.Connection, sql: str, expected: str) -> None:
    assert expected in await statements_for(connection, sql)


@pytest.mark.parametrize(
    ("sql", "never"),
    [
        ("select 1 from orders where customer = 'ann'", "where customer"),
        ("select 1 from orders where total > 100 order by created_at", "where total"),
        ("select 1 from people where email = $1 and deleted_at is null", "is not null"),
        ("select 1 from people where born = current_date", "using brin"),
        ("select 1 from people where email like '%ann'", "text_pattern_ops"),
    ],
)
async def test_candidates_leave_out_what_is_of_no_use(connection: asyncpg.Connection, sql: str, never: str) -> None:
    assert [statement for statement in await statements_for(connection, sql) if never in statement] == []


def test_names_fit_and_differ() -> None:
    keys = tuple(f"a_rather_long_column_name_{number}" for number in range(4))
    one, other = Candidate("public.orders", keys), Candidate("public.orders", keys, "status = 'new'")
    assert one.name != other.name
    assert max(len(one.name), len(other.name)) <= 63


def test_price_counts_entries_and_lost_hot_updates() -> None:
    update = Updates(frozenset({"state"}), 50.0, "set_state")
    prices = Prices(
        {"public.t": Writes(100.0, (update,))}, {"public.t": [parse_definition("create index k on public.t (id)")]}
    )
    plain = parse_definition("create index i on public.t (customer)")
    on_state = parse_definition("create index j on public.t (customer) where state = 'new'")
    assert prices.of(plain, []) == pytest.approx(100 * ENTRY_MS)
    assert prices.of(plain, [on_state]) == pytest.approx(150 * ENTRY_MS), "updates are not HOT any more"
    ended = 50 * (1 + 0.1) * prices.entry_ms("public.t", update)
    assert prices.of(on_state, [], 0.1) == pytest.approx(100 * 0.1 * ENTRY_MS + ended)
    assert [update.by for update in prices.ends_hot_for(on_state)] == ["set_state"]
    assert prices.ends_hot_for(plain) == []
    assert (prices.hot_kept_ratio([plain]), prices.hot_kept_ratio([on_state])) == (1.0, 0.0)
    elsewhere = parse_definition("create index j on app.t (customer) where state = 'new'")
    assert prices.ends_hot_for(elsewhere) == [], "a table of that name in another schema is another table"


def test_an_entry_costs_a_page_image_where_updates_are_rare_and_none_where_they_are_many() -> None:
    prices = Prices({}, {}, {"public.t": 1000.0})
    rare, many = (Updates(frozenset(), per_minute, "u") for per_minute in (1.0, 1e6))
    assert prices.entry_ms("public.t", rare) == pytest.approx(ENTRY_MS + PAGE_IMAGE_MS, rel=0.01)
    assert prices.entry_ms("public.t", many) == pytest.approx(ENTRY_MS, rel=0.01)


def test_the_same_work_is_never_a_gain_whatever_the_clock_says() -> None:
    def measured(ms: float, counted_ms: float) -> Measured:
        return Measured(ms, counted_ms, frozenset(), frozenset(), frozenset())

    assert not measured(9.0, 0.120).differs_from(measured(0.1, 0.115))
    assert measured(0.1, 0.130).differs_from(measured(0.1, 0.400))
    assert measured(0.1, 0.400).differs_from(measured(0.1, 0.130))


@pytest.fixture
async def many_orders(connection: asyncpg.Connection) -> None:
    await connection.execute(
        """
        insert into orders select i, 'customer ' || i % 5000, case when i % 200 = 0 then 'new' else 'sent' end, i,
          now() - i * interval '1 minute' from generate_series(1001, 60000) i;
        create index orders_status on orders (status); create index orders_status_id on orders (status, id)
        """
    )
    await connection.execute("vacuum analyze orders")


async def advised(database_url: str, postgres: Postgres, folder: Path, budget_bytes: int | None = None) -> Advice:
    file = folder / "workload.sql"
    file.write_text(WORKLOAD)
    return await advise(database_url, read_hot_queries([file]), budget_bytes=budget_bytes, scratch_url=postgres.url)


@pytest.mark.usefixtures("many_orders")
async def test_advice_serves_what_is_asked_often_and_is_a_migration_that_passes_our_lint(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres, tmp_path: Path
) -> None:
    before = await snapshot(connection)
    advice = await advised(database_url, postgres, tmp_path)
    assert difference(before, await snapshot(connection)) == [], "the database is only read"
    serves = {index.statement.split(" on ")[1]: {gain.query for gain in index.serves} for index in advice.indexes}
    by_customer = [queries for keys, queries in serves.items() if keys.startswith("public.orders (customer")]
    assert by_customer == [{"of_customer", "first_of_customer"}], "one index for both"
    assert {"dear"} == set().union(
        *(queries for keys, queries in serves.items() if keys.startswith("public.orders (total"))
    )
    assert not any(queries & {"by_id", "seldom"} for queries in serves.values())
    times = {gain.query: (gain.before_ms, gain.after_ms) for gain in advice.queries}
    assert all(times[name][1] < times[name][0] for name in ("of_customer", "first_of_customer", "dear", "waiting"))
    assert advice.after_ms_per_minute < advice.before_ms_per_minute
    assert "public.orders" in advice.of(Kind.UNHELPED)["everything"]
    assert advice.to_drop["public.orders_status"] == "covered by orders_status_id"
    for index in advice.indexes:
        assert index.gain_ms_per_minute > index.price_ms_per_minute
        assert index.size_bytes > 0

    file = tmp_path / "advised.sql"
    file.write_text(migration(advice))
    assert lint([file]) == []
    built = await apply(database_url, read_declared(file))
    assert [index.index for index in built] == [index.name for index in advice.indexes]


@pytest.mark.usefixtures("many_orders")
async def test_budget_is_kept(database_url: str, postgres: Postgres, tmp_path: Path) -> None:
    budget_bytes = 1_500_000
    advice = await advised(database_url, postgres, tmp_path, budget_bytes)
    assert 0 < advice.size_bytes <= budget_bytes


@pytest.mark.parametrize(("pays_per_minute", "ends_hot"), [(1, True), (1_000_000, False)])
@pytest.mark.usefixtures("many_orders")
async def test_hot_is_ended_only_for_a_gain_that_is_worth_it_and_the_advice_says_for_which_update(
    connection: asyncpg.Connection,
    database_url: str,
    postgres: Postgres,
    tmp_path: Path,
    pays_per_minute: int,
    ends_hot: bool,
) -> None:
    await connection.execute("drop index orders_status, orders_status_id")
    file = tmp_path / "workload.sql"
    file.write_text(
        "-- name: waiting\n-- calls_per_minute: 300\n"
        "select id from orders where status = 'new' order by created_at limit 10;\n"
        "-- name: dear\n-- calls_per_minute: 300\nselect id from orders where total = :total;\n"
        f"-- name: pay\n-- calls_per_minute: {pays_per_minute}\nupdate orders set status = 'paid' where id = :id;\n"
    )
    advice = await advise(database_url, read_hot_queries([file]), scratch_url=postgres.url)
    ended = [(index, hot) for index in advice.indexes for hot in index.ends_hot_for]
    assert bool(ended) is ends_hot
    assert advice.hot_kept_ratio == (0.0 if ends_hot else 1.0)
    text = " ".join(migration(advice).replace("\n-- ", " ").split())
    assert ("Ends HOT for pay (1 a minute), which sets status" in text) is ends_hot
    for index, hot in ended:
        assert (hot.statement, hot.calls_per_minute, hot.columns) == ("pay", 1.0, ["status"])
        assert 0 < hot.ms_per_minute < index.gain_ms_per_minute


def test_price_of_hot_counts_every_index_of_the_table() -> None:
    update = Updates(frozenset({"state"}), 50.0, "set_state")
    prices = Prices(
        {"public.t": Writes(0.0, (update,))}, {"public.t": [parse_definition("create index k on public.t (id)")]}
    )
    on_state = parse_definition("create index j on public.t (state)")
    elsewhere = parse_definition("create index e on public.u (state)")
    assert prices.updates == [("public.t", update)]
    (ended,) = prices.ended_by(on_state, [on_state, elsewhere])
    assert ended.ms_per_minute == pytest.approx(50 * 2 * prices.entry_ms("public.t", update), abs=0.05)
    by_expression = parse_definition("create index x on public.t ((state ->> 'name'))")
    assert [ended.columns for ended in prices.ended_by(by_expression, [])] == [["state"]]
    there = Prices(prices.writes, {"public.t": [on_state]})
    assert there.updates == [], "an index that is there has ended it already"


@pytest.mark.usefixtures("many_orders")
async def test_statements_that_postgres_has_counted_are_a_workload(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres
) -> None:
    with pytest.raises(CountersError, match="CREATE EXTENSION"):
        await advise(database_url, scratch_url=postgres.url)
    await connection.execute("create extension pg_stat_statements")
    for number in range(40):
        await connection.fetch(f"select total from orders where customer = 'customer {number}'")
        await connection.fetch("select count(*) from orders where created_at > now() - interval '10 s'")
    advice = await advise(database_url, scratch_url=postgres.url)
    keys = {index.statement.split(" on ")[1] for index in advice.indexes}
    assert any(key.startswith("public.orders (customer") for key in keys)
    assert any(key.startswith("public.orders (created_at") for key in keys), "interval $1 is given a value, too"


async def test_statements_without_an_index_to_look_for_are_named_with_the_reason(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres
) -> None:
    await connection.execute(
        """
        create function newest() returns setof orders language plpgsql as
          $$ begin return query select * from orders order by created_at desc limit 1; end $$
        """
    )
    reasons = {
        "select 1": "it reads no table",
        "vacuum orders": "no query but vacuum",
        "insert into orders (id) values ($1)": "it reads no table; as a write it counts",
        "select * from no_table where id = $1": 'relation "no_table" does not exist',
        "select * from newest()": "it reads through the function newest",
        "select from where": "syntax error",
        "select count(*) from pg_class": "it reads no table of this database",
    }
    advice = await advise(database_url, [HotQuery(sql, sql, Path("q"), 1) for sql in reasons], scratch_url=postgres.url)
    untried = advice.of(Kind.UNTRIED)
    assert [sql for sql, reason in reasons.items() if reason not in untried.get(sql, "")] == [], untried
    assert sum(advice.counts.values()) == len(reasons)


@pytest.mark.usefixtures("many_orders")
async def test_command_writes_the_migration_and_prints_json(
    database_url: str, postgres: Postgres, tmp_path: Path
) -> None:
    workload, out = tmp_path / "workload.sql", tmp_path / "advised.sql"
    workload.write_text("-- name: dear\n-- calls_per_minute: 9\nselect id from orders where total = :total;\n")
    arguments = ["--database-url", database_url, "--workload", str(workload), "--scratch", postgres.url]
    result = await asyncio.to_thread(
        CliRunner().invoke, app, ["indexes", "advise", *arguments, "--budget", "1GB", "--out", str(out), "--json"]
    )
    assert result.exit_code == 0, result.output
    (index,) = json.loads(result.stdout)["indexes"]
    assert index["statement"] in out.read_text()
    result = await asyncio.to_thread(CliRunner().invoke, app, ["indexes", "advise", *arguments, "--budget", "lots"])
    assert result.exit_code == 2
