"""Declared and observed indexes are compared by what Postgres makes of them, not by how they are spelt."""

import asyncpg
import pytest

from easymo.indexes import IndexesError
from easymo.indexes.errors import DeclarationError, DifferentIndexError
from easymo.indexes.plan import Action, plan_index
from tests.indexes.conftest import Declare

SPELLINGS = [
    ("(created_at)", "using btree (created_at asc nulls last)"),
    ("(created_at desc)", "(created_at desc nulls first)"),
    ("(customer) where status in ('new', 'paid')", "(customer) where status = any (array['new', 'paid'])"),
    ("(customer) where status = 'new'", "(customer text_ops) where ((status) = 'new'::text)"),
    ("(lower(customer))", "((lower(customer)))"),
    ("((total + 1))", "((total+1))"),
    ("(customer) include (id, total)", '("customer") include ("id", "total")'),
    ('(customer collate "C")', 'using btree (customer collate pg_catalog."C")'),
    ("(customer) with (fillfactor = 70)", "(customer) with (fillfactor = '70')"),
]
DIFFERENCES = [
    ("(created_at)", "(created_at desc)"),
    ("(created_at, customer)", "(customer, created_at)"),
    ("(customer)", "(customer) include (id)"),
    ("(customer) where status in ('new', 'paid')", "(customer) where status in ('new')"),
    ("(customer)", "(customer) where status = 'new'"),
    ("(customer)", "(lower(customer))"),
    ("(customer)", "(customer text_pattern_ops)"),
    ("(customer)", "using hash (customer)"),
    ("(customer)", "(customer) with (fillfactor = 70)"),
]


async def test_same_index_spelt_otherwise_is_kept(connection: asyncpg.Connection, declare: Declare) -> None:
    for number, (_, in_place) in enumerate(SPELLINGS):
        await connection.execute(f"create index wanted_{number} on orders {in_place}")
    wanted = declare(*(f"create index wanted_{n} on orders {declared}" for n, (declared, _) in enumerate(SPELLINGS)))
    actions = {index.statement: (await plan_index(connection, index, replace=False)).action for index in wanted}
    assert actions == dict.fromkeys(actions, Action.KEEP)


async def test_different_index_of_the_same_name_is_refused(connection: asyncpg.Connection, declare: Declare) -> None:
    for number, (_, in_place) in enumerate(DIFFERENCES):
        await connection.execute(f"create index wanted_{number} on orders {in_place}")
    for index in declare(*(f"create index wanted_{n} on orders {wanted}" for n, (wanted, _) in enumerate(DIFFERENCES))):
        with pytest.raises(DifferentIndexError, match=f"already has an index {index.name}"):
            await plan_index(connection, index, replace=False)
        assert (await plan_index(connection, index, replace=True)).action is Action.REPLACE


async def test_uniqueness_is_a_difference(connection: asyncpg.Connection, declare: Declare) -> None:
    await connection.execute("create index wanted on orders (id)")
    (index,) = declare("create unique index wanted on orders (id)")
    with pytest.raises(DifferentIndexError):
        await plan_index(connection, index, replace=False)


async def test_missing_index_is_built_where_the_search_path_finds_the_table(
    connection: asyncpg.Connection, declare: Declare
) -> None:
    await connection.execute("create schema shop; create table shop.orders (customer text); set search_path = shop")
    (index,) = declare("create index wanted on orders (customer)")
    step = await plan_index(connection, index, replace=False)
    assert (step.action, step.table.schema) == (Action.BUILD, "shop")


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("create index wanted on orders (created_at) where created_at > now()", "must be marked IMMUTABLE"),
        ("create index wanted on orders (sold_at)", 'column "sold_at" does not exist'),
        ("create index wanted on invoices (id)", "the database has no table"),
        ("create unique index wanted on parts (name)", "must include all partitioning columns"),
    ],
)
async def test_index_that_postgres_would_refuse_is_refused_before_anything_is_built(
    connection: asyncpg.Connection, declare: Declare, declared: str, message: str
) -> None:
    await connection.execute("create table parts (id int, name text) partition by range (id)")
    (index,) = declare(declared)
    with pytest.raises(DeclarationError, match=message):
        await plan_index(connection, index, replace=False)


@pytest.mark.parametrize(
    "in_place",
    [
        "alter table orders add constraint wanted unique (customer, id)",
        "create table other (customer text); create index wanted on other (customer)",
    ],
)
async def test_index_of_a_constraint_or_of_another_table_is_never_replaced(
    connection: asyncpg.Connection, declare: Declare, in_place: str
) -> None:
    await connection.execute(in_place)
    (index,) = declare("create index wanted on orders (customer)")
    with pytest.raises(IndexesError):
        await plan_index(connection, index, replace=True)


async def test_planning_leaves_nothing_in_the_database(connection: asyncpg.Connection, declare: Declare) -> None:
    count = "select count(*) from pg_class"
    before = await connection.fetchval(count)
    (index,) = declare("create index wanted on orders (customer)")
    await plan_index(connection, index, replace=False)
    assert await connection.fetchval(count) == before
