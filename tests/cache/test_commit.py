"""Deletions after the commit: never before, never without it, always before the block returns."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from easymo.cache import CacheService, Key, Strategy
from easymo.cache.errors import AfterCommitError
from tests.cache.conftest import Loader, Open, eventually

UPDATE = "UPDATE row SET name = 'new'"
ROW = Strategy("row", key="row:{id}", ttl=60, tags=("rows",))


@pytest.fixture
async def cache(open_cache: Open) -> CacheService:
    return await open_cache("memory://")


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE row (id int PRIMARY KEY, name text)")
    await connection.execute("INSERT INTO row VALUES (1, 'old')")
    try:
        yield connection
    finally:
        await connection.close()


async def fill(cache: CacheService, *keys: int) -> None:
    for key in keys:
        await cache.get_or_set(ROW(key), Loader("old"))
    await cache.set("report", "old")


async def write(cache: CacheService, connection: Any, *, fail: bool = False, commit: bool = False) -> None:
    """Change the row and delete its key later; the block may commit itself, and may fail at its end."""
    async with cache.after_commit(connection) as later:
        await connection.execute(text(UPDATE) if hasattr(connection, "begin") else UPDATE)
        later.delete(ROW(1))
        if commit:
            await connection.commit()
        if fail:
            raise LookupError


async def test_deletions_wait_for_the_commit_and_are_sent_before_the_block_returns(
    cache: CacheService, connection: asyncpg.Connection
) -> None:
    await fill(cache, 1, 2)
    async with cache.after_commit(connection) as later:
        await connection.execute(UPDATE)
        later.delete(ROW(1), "report")
        assert await cache.get(ROW(1)) == "old", "others may still fill it from rows that are not committed"
    assert await cache.get(ROW(1)) is None
    assert await cache.get("report") is None
    assert await cache.get(ROW(2)) == "old"
    async with cache.after_commit(connection) as later:
        later.invalidate_tag("rows")
    assert await cache.get(ROW(2)) is None


async def test_a_rollback_deletes_nothing(cache: CacheService, connection: asyncpg.Connection) -> None:
    await fill(cache, 1)
    with pytest.raises(LookupError):
        await write(cache, connection, fail=True)
    assert await cache.get(ROW(1)) == "old"
    assert await connection.fetchval("SELECT name FROM row") == "old"


async def test_inside_an_open_transaction_it_is_refused(cache: CacheService, connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        with pytest.raises(AfterCommitError, match="inside a transaction"):
            await write(cache, connection)


async def test_a_savepoint_that_rolls_back_inside_changes_nothing(
    cache: CacheService, connection: asyncpg.Connection
) -> None:
    await fill(cache, 1)
    async with cache.after_commit(connection) as later:
        later.delete(ROW(1))
        savepoint = connection.transaction()
        await savepoint.start()
        await savepoint.rollback()
        assert await cache.get(ROW(1)) == "old"
    assert await cache.get(ROW(1)) is None


async def test_a_commit_of_unknown_outcome_deletes(
    cache: CacheService, connection: asyncpg.Connection, database_url: str
) -> None:
    """A deferred constraint fails the commit itself; a broken connection looks the same to the client."""
    await fill(cache, 1)
    await connection.execute("CREATE TABLE later (row int REFERENCES row DEFERRABLE INITIALLY DEFERRED)")
    await connection.execute("CREATE RULE break AS ON UPDATE TO row DO ALSO INSERT INTO later VALUES (99)")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await write(cache, connection)
    assert await cache.get(ROW(1)) is None


async def test_a_caller_cancelled_after_the_commit_still_deletes(
    cache: CacheService, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(cache, 1)
    sending, go_on, delete = asyncio.Event(), asyncio.Event(), cache.delete

    async def slow_delete(*keys: str | Key) -> int:
        sending.set()
        await go_on.wait()
        return await delete(*keys)

    monkeypatch.setattr(cache, "delete", slow_delete)
    writing = asyncio.create_task(write(cache, connection))
    await sending.wait()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    go_on.set()

    async def gone() -> bool:
        return await cache.get(ROW(1)) is None

    await eventually(gone)


class TestSession:
    """The same with a SQLAlchemy AsyncSession."""

    @pytest.fixture
    async def session(self, database_url: str, connection: asyncpg.Connection) -> AsyncIterator[AsyncSession]:
        engine = create_async_engine(
            "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(database_url), poolclass=NullPool
        )
        try:
            async with AsyncSession(engine) as session:
                yield session
        finally:
            await engine.dispose()

    async def test_deletions_are_sent_after_the_sessions_commit(
        self, cache: CacheService, session: AsyncSession, connection: asyncpg.Connection
    ) -> None:
        await fill(cache, 1)
        async with cache.after_commit(session) as later:
            await session.execute(text(UPDATE))
            later.delete(ROW(1))
            assert await cache.get(ROW(1)) == "old"
        assert await cache.get(ROW(1)) is None
        assert await connection.fetchval("SELECT name FROM row") == "new"

    async def test_a_rollback_deletes_nothing(
        self, cache: CacheService, session: AsyncSession, connection: asyncpg.Connection
    ) -> None:
        await fill(cache, 1)
        with pytest.raises(LookupError):
            await write(cache, session, fail=True)
        assert await cache.get(ROW(1)) == "old"
        assert await connection.fetchval("SELECT name FROM row") == "old"

    async def test_the_release_of_a_savepoint_is_no_commit(self, cache: CacheService, session: AsyncSession) -> None:
        async def write_under_a_savepoint() -> None:
            async with cache.after_commit(session) as later:
                later.delete(ROW(1))
                async with session.begin_nested():
                    await session.execute(text(UPDATE))
                raise LookupError

        await fill(cache, 1)
        with pytest.raises(LookupError):
            await write_under_a_savepoint()
        assert await cache.get(ROW(1)) == "old"

    async def test_a_commit_inside_the_block_counts_even_if_the_rest_fails(
        self, cache: CacheService, session: AsyncSession
    ) -> None:
        await fill(cache, 1)
        with pytest.raises(LookupError):
            await write(cache, session, commit=True, fail=True)
        assert await cache.get(ROW(1)) is None

    async def test_after_a_select_the_block_commits(
        self, cache: CacheService, session: AsyncSession, connection: asyncpg.Connection
    ) -> None:
        await fill(cache, 1)
        assert await session.scalar(text("SELECT name FROM row")) == "old"
        await write(cache, session)
        assert await cache.get(ROW(1)) is None
        assert await connection.fetchval("SELECT name FROM row") == "new"

    async def test_inside_begin_the_deletions_wait_for_that_commit(
        self, cache: CacheService, session: AsyncSession, connection: asyncpg.Connection
    ) -> None:
        await fill(cache, 1)
        async with session.begin():
            async with cache.after_commit(session) as later:
                await session.execute(text(UPDATE))
                later.delete(ROW(1))
            assert await cache.get(ROW(1)) == "old"
            assert await connection.fetchval("SELECT name FROM row") == "old"
        assert await cache.get(ROW(1)) is None, "sent before the block of the transaction returned"
        await fill(cache, 1)
        async with session.begin():
            await session.execute(text(UPDATE))
        assert await cache.get(ROW(1)) == "old", "one transaction only"

    async def test_inside_begin_a_rollback_deletes_nothing(self, cache: CacheService, session: AsyncSession) -> None:
        async def fail() -> None:
            async with session.begin(), cache.after_commit(session) as later:
                await session.execute(text(UPDATE))
                later.delete(ROW(1))
                async with session.begin_nested():
                    await session.execute(text(UPDATE))
                raise LookupError

        await fill(cache, 1)
        with pytest.raises(LookupError):
            await fail()
        assert await cache.get(ROW(1)) == "old"
