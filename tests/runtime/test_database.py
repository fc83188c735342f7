"""The pool behind its gate."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from easymo.embedded import Postgres
from easymo_platform.runtime import database as module
from easymo_platform.runtime.database import Database
from easymo_platform.runtime.errors import DatabaseError, ServiceError
from easymo_platform.runtime.metrics import Metrics
from easymo_platform.runtime.statements import Statement

STATEMENTS = {
    "one": Statement("one", "select 1 as one", ()),
    "echo": Statement("echo", "select $1::text as text", ("text",)),
    "backend": Statement("backend", "select pg_backend_pid() as pid", ()),
    "end_backend": Statement("end_backend", "select pg_terminate_backend(pg_backend_pid())", ()),
    "divide": Statement("divide", "select 1 / 0", ()),
    "nowhere": Statement("nowhere", "select * from nowhere", ()),
}


@asynccontextmanager
async def opened(url: str, size: int = 2) -> AsyncIterator[tuple[Database, Metrics]]:
    metrics = Metrics("test")
    database = Database(url, size, "test", STATEMENTS, metrics)
    await database.open()
    try:
        yield database, metrics
    finally:
        await database.close()


async def test_statement_is_counted_and_timed_by_its_name(postgres: Postgres) -> None:
    async with opened(postgres.url) as (database, metrics):
        row = await database.fetch_row("one")
        assert row is not None
        assert row["one"] == 1
        await database.fetch("one")
        labels = {"service": "test", "query": "one"}
        assert metrics.registry.get_sample_value("db_queries_total", labels) == 2
        assert metrics.registry.get_sample_value("db_query_duration_seconds_count", labels) == 2


async def test_nobody_is_served_twice_before_who_waits_is_served_once(postgres: Postgres) -> None:
    async with opened(postgres.url, size=2) as (database, _):
        async with database.session(), database.session():
            pass  # both connections are open
        served: list[int] = []
        most: list[int] = []

        async def requests(number: int) -> None:
            for _ in range(200):
                since = len(served)
                async with database.session():
                    most.append(max(Counter(served[since:]).values(), default=0))
                    served.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(requests(number))
    assert max(most) == 1


async def test_request_is_refused_when_no_connection_comes_free(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_FOR_CONNECTION_S", 0.01)
    async with opened(postgres.url, size=1) as (database, metrics):
        async with database.session():
            assert metrics.registry.get_sample_value("db_pool_in_use", {"service": "test"}) == 1
            with pytest.raises(DatabaseError, match="All 1 connections were busy"):
                await database.fetch("one")
            assert metrics.registry.get_sample_value("db_pool_refused_total", {"service": "test"}) == 1
        assert len(await database.fetch("one")) == 1
        assert metrics.registry.get_sample_value("db_pool_in_use", {"service": "test"}) == 0
        assert metrics.registry.get_sample_value("db_pool_waiting", {"service": "test"}) == 0


async def test_who_waits_for_a_connection_is_seen_waiting(postgres: Postgres) -> None:
    async with opened(postgres.url, size=1) as (database, metrics), asyncio.TaskGroup() as group, database.session():
        for _ in range(3):
            group.create_task(database.fetch("one"))
        await asyncio.sleep(0)
        assert metrics.registry.get_sample_value("db_pool_waiting", {"service": "test"}) == 3


@pytest.mark.parametrize("statement", ["nowhere", "end_backend"])
async def test_failure_names_the_statement_and_the_pool_goes_on(postgres: Postgres, statement: str) -> None:
    async with opened(postgres.url, size=1) as (database, _):
        with pytest.raises(DatabaseError, match=statement) as raised:
            await database.fetch(statement)
        assert isinstance(raised.value.__cause__, asyncpg.PostgresError)
        assert len(await database.fetch("one")) == 1


@pytest.mark.parametrize(("statement", "arguments"), [("echo", {"text": "a\0"}), ("divide", {}), ("echo", {"text": 7})])
async def test_value_without_a_form_in_postgres_is_the_clients_mistake(
    postgres: Postgres, statement: str, arguments: dict[str, object]
) -> None:
    async with opened(postgres.url) as (database, _):
        with pytest.raises(ServiceError) as raised:
            await database.fetch(statement, **arguments)
    assert raised.value.status == 400


async def test_unreachable_server_is_a_sentence() -> None:
    with pytest.raises(DatabaseError, match=r"Cannot connect to Postgres.*DATABASE_URL"):
        async with opened("postgresql://127.0.0.1:1/nothing"):
            pass


async def test_connections_are_opened_at_the_start_and_kept(postgres: Postgres) -> None:
    async with opened(postgres.url, size=3) as (database, _):
        async with database.session() as first, database.session() as second, database.session() as third:
            pids = {(await session.fetch("backend"))[0]["pid"] for session in (first, second, third)}
        assert len(pids) == 3
        assert (await database.fetch("backend"))[0]["pid"] in pids
