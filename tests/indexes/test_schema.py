"""A snapshot tells every change of a schema, and no change where there is none."""

import asyncpg

from easymo.indexes import difference, snapshot
from tests.indexes.conftest import leave_invalid

CHANGES = [
    ("create table more (id int)", ["+ column public.more.id: integer", "+ table public.more: persistence=p"]),
    ("alter table orders add note text", ["+ column public.orders.note: text"]),
    (
        "alter table orders alter status set default 'new'",
        ["~ column public.orders.status: text not null -> text not null 'new'::text"],
    ),
    (
        "alter table orders add constraint positive check (total > 0)",
        ["+ constraint public.orders.positive: CHECK ((total > (0)::numeric))"],
    ),
    (
        "create index i on orders (status)",
        ["+ index public.i: CREATE INDEX i ON public.orders USING btree (status)"],
    ),
    ("comment on index orders_pkey is 'ours'", ["+ comment on public.orders_pkey: ours"]),
    ("comment on column orders.id is 'number'", ["+ comment on public.orders.id: number"]),
    (
        "alter table orders set (fillfactor = 80)",
        ["~ table public.orders: persistence=p -> persistence=p fillfactor=80"],
    ),
    (
        "alter table orders enable row level security",
        ["~ table public.orders: persistence=p fillfactor=80 -> persistence=p row security fillfactor=80"],
    ),
    ("create view v as select 1 as one", ["+ view public.v: persistence=p  SELECT 1 AS one;"]),
    ("create sequence s", ["+ sequence public.s: persistence=p"]),
    (
        "alter table orders drop total",
        [
            "- column public.orders.total: numeric",
            "- constraint public.orders.positive: CHECK ((total > (0)::numeric))",
        ],
    ),
]


async def test_every_change_is_told_in_one_line_per_object(connection: asyncpg.Connection) -> None:
    for change, lines in CHANGES:
        before = await snapshot(connection)
        await connection.execute(change)
        assert difference(before, await snapshot(connection)) == lines, change


async def test_index_that_became_invalid_is_a_change(
    connection: asyncpg.Connection, writer: asyncpg.Connection
) -> None:
    before = await snapshot(connection)
    await leave_invalid(connection, writer, "create index concurrently i on orders (status)")
    (line,) = difference(before, await snapshot(connection))
    assert line.startswith("+ index public.i: invalid CREATE INDEX")


async def test_data_are_no_change(connection: asyncpg.Connection) -> None:
    before = await snapshot(connection)
    await connection.execute("delete from orders; analyze orders; create temp table t (id int)")
    assert difference(before, await snapshot(connection)) == []


async def test_triggers_and_functions_are_told(connection: asyncpg.Connection) -> None:
    before = await snapshot(connection)
    await connection.execute(
        """
        create function f() returns trigger language plpgsql as 'begin return new; end';
        create trigger t before insert on orders for each row execute function f();
        """
    )
    function, trigger = difference(before, await snapshot(connection))
    assert function.startswith("+ function f(): ")
    assert trigger.startswith("+ trigger public.orders.t: CREATE TRIGGER t BEFORE INSERT")
