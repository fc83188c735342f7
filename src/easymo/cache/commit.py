"""Deletions that go out only when the outermost transaction has committed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from easymo.cache.errors import AfterCommitError
from easymo.cache.strategy import Key

if TYPE_CHECKING:
    from easymo.cache.service import CacheService


class Later:
    """Collects what to invalidate after the commit."""

    def __init__(self) -> None:
        self._keys: list[str | Key] = []
        self._tags: list[str] = []

    def delete(self, *keys: str | Key) -> None:
        """Delete these keys once the transaction has committed."""
        self._keys += keys

    def invalidate_tag(self, *tags: str) -> None:
        """Invalidate these tags once the transaction has committed."""
        self._tags += tags

    async def send(self, cache: "CacheService") -> None:
        """Send everything, even if the caller is cancelled meanwhile: the rows have changed."""
        await asyncio.shield(asyncio.gather(cache.delete(*self._keys), cache.invalidate_tag(*self._tags)))


@asynccontextmanager
async def after_commit(cache: "CacheService", connection: Any) -> AsyncIterator[Later]:
    """See `CacheService.after_commit`."""
    later = Later()
    is_session = hasattr(connection, "sync_session")
    if connection.in_transaction() if is_session else connection.is_in_transaction():
        raise AfterCommitError(
            "after_commit was opened inside a transaction, whose commit it would not see, so the cache could be filled "
            "with rows that are not committed yet. Open it where the transaction begins: it opens one."
        )
    committing = _session(cache, connection, later) if is_session else _transaction(cache, connection, later)
    async with committing:
        yield later


@asynccontextmanager
async def _transaction(cache: "CacheService", connection: Any, later: Later) -> AsyncIterator[None]:
    """A transaction of an asyncpg connection."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    except BaseException:
        await transaction.rollback()
        raise
    try:
        await transaction.commit()
    finally:
        # A commit that failed may have been made (the connection broke): deleting too much is harmless.
        await later.send(cache)


@asynccontextmanager
async def _session(cache: "CacheService", session: Any, later: Later) -> AsyncIterator[None]:
    """A transaction of a SQLAlchemy AsyncSession; the block may also commit by itself."""
    from sqlalchemy import event

    committed = False

    def note_commit(sync_session: Any) -> None:
        nonlocal committed
        committed = committed or not sync_session.in_nested_transaction()  # the release of a savepoint is no commit

    event.listen(session.sync_session, "after_commit", note_commit)
    try:
        yield
        committed = True  # from here on the commit may have been made even if it fails
        await session.commit()
    except BaseException:
        await session.rollback()
        raise
    finally:
        event.remove(session.sync_session, "after_commit", note_commit)
        if committed:
            await later.send(cache)
