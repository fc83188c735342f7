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
        self.keys: list[str | Key] = []
        self.tags: list[str] = []

    def delete(self, *keys: str | Key) -> None:
        """Delete these keys once the transaction has committed."""
        self.keys += keys

    def invalidate_tag(self, *tags: str) -> None:
        """Invalidate these tags once the transaction has committed."""
        self.tags += tags

    async def send(self, cache: "CacheService") -> None:
        """Send everything, even if the caller is cancelled meanwhile: the rows have changed."""
        await asyncio.shield(asyncio.gather(cache.delete(*self.keys), cache.invalidate_tag(*self.tags)))


@asynccontextmanager
async def after_commit(cache: "CacheService", connection: Any) -> AsyncIterator[Later]:
    """See `CacheService.after_commit`."""
    later = Later()
    if connection.is_in_transaction():
        raise AfterCommitError(
            "after_commit was opened inside a transaction, whose commit it would not see, so the cache could be filled "
            "with rows that are not committed yet. Open it where the transaction begins: it opens one."
        )
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield later
    except BaseException:
        await transaction.rollback()
        raise
    try:
        await transaction.commit()
    finally:
        # A commit that failed may have been made (the connection broke): deleting too much is harmless.
        await later.send(cache)
