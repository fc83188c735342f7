"""An index that only a replica uses is not unused: `plan` says so after it has asked every replica, and not before."""

import asyncio
import time
from collections.abc import Iterator

import asyncpg
import pytest

from easymo.indexes import Declared, plan
from easymo.indexes.plan import Plan
from tests.indexes.conftest import Declare
from tests.indexes.servers import postgres_15, standby_of

SETUP = """
create table orders (id bigint primary key, customer text not null, total numeric);
insert into orders select i, 'customer ' || i % 5000, i from generate_series(1, 20000) i;
create index by_customer on orders (customer);
create index by_total on orders (total);
create role reader login;
grant select on orders to reader;
"""


@pytest.fixture(scope="module")
def primary() -> Iterator[str]:
    with postgres_15() as url:
        yield url


@pytest.fixture
def declared(declare: Declare) -> list[Declared]:
    return declare("create index concurrently by_both on orders (customer, total)")


def remarks(planned: Plan) -> dict[str, str]:
    return {index.index: index.remark for index in planned.indexes}


@pytest.fixture(autouse=True)
def counted_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if use had been counted for a week."""
    monkeypatch.setattr("easymo.indexes.state.LEAST_DAYS", 0.0)


async def test_unused_is_said_when_the_replicas_were_asked_and_only_of_what_none_of_them_uses(
    primary: str, declared: list[Declared]
) -> None:
    connection = await asyncpg.connect(primary)
    await connection.execute(SETUP)
    await connection.execute("vacuum analyze orders")
    assert remarks(await plan(primary, declared))["by_total"] == "unused", "no replica streams yet"

    with standby_of(primary) as replica:
        await _until_it_streams(connection)
        await _read_by_customer(replica)
        for url in (primary, primary.replace("postgres@", "reader@")):
            unasked = await plan(url, declared)
            assert "1 replicas stream from this server and 0 were named" in unasked.usage.unknown_because
            assert "unused" not in remarks(unasked).values()

        asked = await plan(primary, declared, replicas=[replica])
        assert asked.usage.unknown_because == ""
        assert asked.usage.last_scan_unknown_because == "PostgreSQL 15 does not keep it, 16 does"
        assert {name: remark for name, remark in remarks(asked).items() if remark} == {"by_total": "unused"}
        assert {state.index: state.scans for state in asked.indexes}["by_customer"] == 1

        wrong = await plan(primary, declared, replicas=[primary])
        assert "an address given as a replica's is not one" in wrong.usage.unknown_because
        assert "unused" not in remarks(wrong).values()
    await connection.close()


async def _until_it_streams(primary: asyncpg.Connection) -> None:
    deadline = time.monotonic() + 30
    while not await primary.fetchval("select count(*) from pg_stat_replication where state = 'streaming'"):
        assert time.monotonic() < deadline, "the standby does not stream"
        await asyncio.sleep(0.05)


async def _read_by_customer(replica: str) -> None:
    connection = await asyncpg.connect(replica)
    assert await connection.fetchval("select pg_is_in_recovery()")
    assert await connection.fetchval("select count(*) from orders where customer = 'customer 7'") == 4
    await connection.execute("select pg_stat_force_next_flush()")
    await connection.close()
