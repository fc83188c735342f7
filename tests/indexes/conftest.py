"""A small table of orders, and SQL files that declare indexes on it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from easymo.indexes import Declared, read_declared

Declare = Callable[..., list[Declared]]


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with the table `orders` (1 000 rows) in it."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        """
        create table orders (
          id bigint primary key, customer text not null, status text not null, total numeric, created_at timestamptz
        )
        """
    )
    await connection.execute(
        """
        insert into orders
        select i, 'customer ' || i % 50, (array['new', 'paid', 'sent'])[1 + i % 3], i, now() - i * interval '1 minute'
        from generate_series(1, 1000) i
        """
    )
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def writer(database_url: str, connection: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """A second session on the same database, for transactions that stay open."""
    writer = await asyncpg.connect(database_url)
    try:
        yield writer
    finally:
        await writer.close()


@pytest.fixture
def declare(tmp_path: Path) -> Declare:
    """Write statements into a file and read back what they declare."""

    def write(*statements: str) -> list[Declared]:
        file = tmp_path / "indexes.sql"
        file.write_text(";\n".join(statements) + ";\n")
        return read_declared(file)

    return write


async def leave_invalid(connection: asyncpg.Connection, writer: asyncpg.Connection, statement: str) -> None:
    """Break off a concurrent build: it waits for the writer's open transaction and runs into its lock_timeout.

    Again, should an ANALYZE of autovacuum have kept it from beginning.
    """
    before = await indexes_of(connection)
    async with writer.transaction():
        await writer.execute("update orders set total = 0 where id = 1")
        await connection.execute("set lock_timeout = '20ms'")
        while await indexes_of(connection) == before:
            with pytest.raises(asyncpg.LockNotAvailableError):
                await connection.execute(statement)
        await connection.execute("reset lock_timeout")


def version_of(connection: asyncpg.Connection) -> int:
    """14 for PostgreSQL 14.23."""
    return int(connection.get_server_version().major)


async def until_counted(connection: asyncpg.Connection, question: str) -> None:
    """Wait until the counters of Postgres answer the question with yes; before 15 it cannot be told to hurry."""
    deadline = time.monotonic() + 30
    while not await connection.fetchval(question):
        assert time.monotonic() < deadline, f"never counted: {question}"
        if version_of(connection) >= 15:
            await connection.execute("select pg_stat_force_next_flush()")
        else:
            await asyncio.sleep(0.05)


async def indexes_of(connection: asyncpg.Connection) -> dict[str, bool]:
    """Name and validity of every index on `orders` but the primary key's."""
    rows = await connection.fetch(
        """
        select indexrelid::regclass::text as name, indisvalid as valid from pg_index
        where indrelid = 'orders'::regclass and not indisprimary
        """
    )
    return {row["name"]: row["valid"] for row in rows}
