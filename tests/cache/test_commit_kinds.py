"""Deletions after the commit of each kind of connection."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from easymo.cache import CacheService
from easymo.cache.errors import AfterCommitError
from easymo.cache.sync import Cache
from tests.cache.conftest import Open

UPDATE = "update row set name = 'new'"


@pytest.fixture
async def cache(open_cache: Open) -> CacheService:
    return await open_cache("memory://")


@pytest.fixture
async def rows(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.execute("create table row (id int primary key, name text)")
    await connection.execute("insert into row values (1, 'old')")
    try:
        yield connection
    finally:
        await connection.close()


async def name_in(rows: asyncpg.Connection) -> Any:
    return await rows.fetchval("select name from row")


async def test_a_psycopg_connection_that_has_read(
    cache: CacheService, rows: asyncpg.Connection, database_url: str
) -> None:
    await cache.set("k", "old")
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("select 1")
        async with cache.after_commit(connection) as later:
            await connection.execute(UPDATE)
            later.delete("k")
            assert await cache.get("k") == "old"
        assert await cache.get("k") is None
        assert await name_in(rows) == "new"
        await cache.set("k", "old")
        with pytest.raises(LookupError):
            await _fail(cache, connection)
        assert await cache.get("k") == "old"


async def _fail(cache: CacheService, connection: Any) -> None:
    async with cache.after_commit(connection) as later:
        later.delete("k")
        raise LookupError


async def test_an_async_connection_of_sqlalchemy(
    cache: CacheService, rows: asyncpg.Connection, database_url: str
) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(database_url), poolclass=NullPool
    )
    await cache.set("k", "old")
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
        async with cache.after_commit(connection) as later:
            await connection.execute(text(UPDATE))
            later.delete("k")
            assert await name_in(rows) == "old"
    assert await cache.get("k") is None
    assert await name_in(rows) == "new"
    async with engine.begin() as connection:
        with pytest.raises(AfterCommitError, match="inside a transaction"):
            await _fail(cache, connection)
    await engine.dispose()


@pytest.mark.parametrize("connection", [object(), "postgresql://", None])
async def test_what_is_no_connection_is_a_sentence(cache: CacheService, connection: Any) -> None:
    with pytest.raises(AfterCommitError, match="does not know how"):
        await _fail(cache, connection)


class TestSync:
    """The sync front."""

    @pytest.fixture
    def front(self) -> Iterator[Cache]:
        front = Cache("memory://")
        try:
            yield front
        finally:
            front.close()

    async def test_a_session_of_sqlalchemy(self, front: Cache, rows: asyncpg.Connection, database_url: str) -> None:
        engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database_url))
        front.set("k", "old")
        with Session(engine) as session:
            session.execute(text("select 1"))
            with front.after_commit(session) as later:
                session.execute(text(UPDATE))
                later.delete("k")
                assert front.get("k") == "old"
            assert front.get("k") is None
            assert await name_in(rows) == "new"
            front.set("k", "old")
            with session.begin():
                with front.after_commit(session) as later:
                    later.delete("k")
                assert front.get("k") == "old"
            assert front.get("k") is None
            front.set("k", "old")
            with pytest.raises(LookupError):
                _fail_sync(front, session)
            assert front.get("k") == "old"
        engine.dispose()

    async def test_a_connection_of_psycopg(self, front: Cache, rows: asyncpg.Connection, database_url: str) -> None:
        front.set("k", "old")
        with psycopg.connect(database_url) as connection:
            connection.execute("select 1")
            with front.after_commit(connection) as later:
                connection.execute(UPDATE)
                later.delete("k")
            assert front.get("k") is None
            assert await name_in(rows) == "new"
            with pytest.raises(AfterCommitError, match="does not know how"):
                _fail_sync(front, object())


def _fail_sync(front: Cache, connection: Any) -> None:
    with front.after_commit(connection) as later:
        later.delete("k")
        raise LookupError
