"""The embedded Postgres, as its users meet it."""

import asyncpg

from easymo.embedded import Postgres


async def test_every_test_gets_a_fresh_database(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert (
            await connection.fetchval("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 0
        )
    finally:
        await connection.close()


async def test_statements_of_every_database_are_seen_from_database_postgres(
    postgres: Postgres, database_url: str
) -> None:
    measured = await asyncpg.connect(database_url)
    probe = await asyncpg.connect(postgres.url)
    try:
        for _ in range(3):
            await measured.fetchval("SELECT 'counted'::text || $1", "!")
        calls = await probe.fetchval(
            "SELECT sum(calls) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
            " WHERE d.datname = $1 AND query LIKE 'SELECT $2::text || $1%'",
            database_url.partition("?")[0].rpartition("/")[2],
        )
        assert calls == 3
    finally:
        await measured.close()
        await probe.close()
