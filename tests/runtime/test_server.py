"""What the whole database server is asked, as metrics."""

import uuid

import asyncpg

from easymo_platform.runtime.metrics import Metrics
from easymo_platform.runtime.server import ServerWatch
from tests.runtime.test_database import opened

STATEMENTS = "db_server_statements_total"


def value(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"service": "test"})


async def test_statements_of_other_clients_are_counted(database_url: str) -> None:
    other = await asyncpg.connect(database_url)
    await other.execute("create schema elsewhere; create extension pg_stat_statements schema elsewhere")
    async with opened(database_url) as (database, metrics):
        watch = ServerWatch(database, metrics)
        await watch.look()
        assert value(metrics, STATEMENTS) == 0
        for _ in range(50):
            await other.execute("select 2")
        await watch.look()
        counted = value(metrics, STATEMENTS)
        assert counted is not None
        assert 50 <= counted < 70
        assert (value(metrics, "db_server_statement_seconds_total") or 0) > 0
    await other.close()


async def test_a_reset_of_the_statistics_does_not_look_like_a_burst_of_statements(database_url: str) -> None:
    other = await asyncpg.connect(database_url)
    await other.execute("create extension pg_stat_statements")
    async with opened(database_url) as (database, metrics):
        watch = ServerWatch(database, metrics)
        for _ in range(50):
            await other.execute("select 3")
        await watch.look()
        await other.execute(
            "select pg_stat_statements_reset(dbid => oid) from pg_database where datname = current_database()"
        )
        await watch.look()
        assert value(metrics, STATEMENTS) == 0
    await other.close()


async def test_a_user_who_may_not_use_the_extension_is_still_told_the_connections(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute("create schema elsewhere; create extension pg_stat_statements schema elsewhere")
    role = f"stranger_{uuid.uuid4().hex}"
    await owner.execute(f"create role {role} login")
    async with opened(database_url.replace("postgres@", f"{role}@", 1), size=2) as (database, metrics):
        await ServerWatch(database, metrics).look()
        assert value(metrics, STATEMENTS) is None
        assert (value(metrics, "db_server_connections") or 0) >= 3  # the owner's too
    await owner.execute(f"drop role {role}")
    await owner.close()


async def test_without_the_extension_connections_are_still_told(database_url: str) -> None:
    async with opened(database_url, size=2) as (database, metrics):
        await ServerWatch(database, metrics).look()
        assert value(metrics, STATEMENTS) is None
        assert 2 <= (value(metrics, "db_server_connections") or 0) < (value(metrics, "db_server_max_connections") or 0)
