"""Deletions that go out only when the outermost transaction has committed.

1. No transaction is open, or one that began by itself (with SQLAlchemy and psycopg at the first statement): the block
   commits at its end, then the deletions go out.
2. A SQLAlchemy session inside `session.begin()`: that block commits. The deletions wait for its commit, and go out
   before it returns.
3. Django: `transaction.on_commit` does the same.
4. Elsewhere inside a transaction somebody else commits, unseen: AfterCommitError.

A commit of unknown outcome counts as one: deleting too much is harmless.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from easymo.cache.errors import AfterCommitError
from easymo.cache.strategy import Key

if TYPE_CHECKING:
    from easymo.cache.service import CacheService
    from easymo.cache.sync import Cache

_INSIDE = (
    "after_commit was opened inside a transaction, whose commit it would not see, so the cache could be filled "
    "with rows that are not committed yet. Open it where the transaction begins: it opens one."
)
_WAITING, _COMMITTING = "easymo_cache_waiting", "easymo_cache_committing"


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

    def send_sync(self, cache: "Cache") -> None:
        """The same for the sync front."""
        cache.delete(*self._keys)
        cache.invalidate_tag(*self._tags)


@asynccontextmanager
async def after_commit(cache: "CacheService", connection: Any) -> AsyncIterator[Later]:
    """See `CacheService.after_commit`."""
    later = Later()
    if hasattr(connection, "sync_session"):
        if _is_begun(connection.sync_session):
            from sqlalchemy.util import await_only

            _when_committed(connection.sync_session, lambda: await_only(later.send(cache)))
            yield later
            return
        committed = _watch(connection.sync_session)
        commit, rollback = connection.commit, connection.rollback
    elif hasattr(connection, "is_in_transaction"):  # asyncpg
        if connection.is_in_transaction():
            raise AfterCommitError(_INSIDE)
        transaction = connection.transaction()
        await transaction.start()
        committed, commit, rollback = _Noted(), transaction.commit, transaction.rollback
    elif asyncio.iscoroutinefunction(getattr(connection, "commit", None)):  # AsyncConnection, psycopg
        _refuse_begun(connection)
        committed, commit, rollback = _Noted(), connection.commit, connection.rollback
    else:
        raise AfterCommitError(_unknown(connection))
    try:
        yield later
        committed.yes = True  # from here on the commit may have been made even if it fails
        await commit()
    except BaseException:
        try:
            await rollback()
        except Exception:
            if not committed.yes:  # else there may be nothing left to roll back
                raise
        raise
    finally:
        committed.forget()
        if committed.yes:
            await later.send(cache)


@contextmanager
def after_commit_sync(cache: "Cache", connection: Any) -> Iterator[Later]:
    """See `Cache.after_commit`."""
    later = Later()
    if hasattr(connection, "on_commit"):  # Django's, or django.db.transaction itself
        yield later
        connection.on_commit(lambda: later.send_sync(cache))
        return
    if hasattr(connection, "identity_map"):  # a SQLAlchemy Session
        if _is_begun(connection):
            _when_committed(connection, lambda: later.send_sync(cache))
            yield later
            return
        committed = _watch(connection)
    elif callable(getattr(connection, "commit", None)) and not asyncio.iscoroutinefunction(connection.commit):
        _refuse_begun(connection)
        committed = _Noted()
    else:
        raise AfterCommitError(_unknown(connection))
    try:
        yield later
        committed.yes = True
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    finally:
        committed.forget()
        if committed.yes:
            later.send_sync(cache)


class _Noted:
    """Whether a commit has been made, or may have been."""

    yes = False

    def forget(self) -> None:
        """Stop looking."""


class _Watched(_Noted):
    """A session whose block may also commit by itself."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def note(self, session: Any) -> None:
        self.yes = self.yes or not session.in_nested_transaction()  # the release of a savepoint is no commit

    def forget(self) -> None:
        from sqlalchemy import event

        event.remove(self._session, "after_commit", self.note)


def _watch(session: Any) -> _Noted:
    from sqlalchemy import event

    watched = _Watched(session)
    event.listen(session, "after_commit", watched.note)
    return watched


def _is_begun(session: Any) -> bool:
    """Whether `session.begin()` was called: its block commits."""
    from sqlalchemy.orm import SessionTransactionOrigin

    transaction = session.get_transaction()
    return transaction is not None and transaction.origin is not SessionTransactionOrigin.AUTOBEGIN


def _when_committed(session: Any, send: Callable[[], None]) -> None:
    """Send at the commit of the transaction that is open, or if that fails in the middle; not after a rollback."""
    from sqlalchemy import event

    if _WAITING not in session.info:
        event.listen(session, "before_commit", _note_commit)
        event.listen(session, "after_transaction_end", _end)
    session.info.setdefault(_WAITING, []).append(send)


def _note_commit(session: Any) -> None:
    session.info[_COMMITTING] = not session.in_nested_transaction()


def _end(session: Any, transaction: Any) -> None:
    if transaction.parent is None:
        waiting, session.info[_WAITING] = session.info[_WAITING], []
        if session.info.pop(_COMMITTING, False):
            for send in waiting:
                send()


def _refuse_begun(connection: Any) -> None:
    """A connection that somebody else's block will commit."""
    plain = getattr(connection, "sync_connection", connection)
    # Neither says so in public; psycopg itself refuses such a commit.
    if getattr(plain, "_trans_context_manager", None) is not None:
        raise AfterCommitError(_INSIDE)


def _unknown(connection: Any) -> str:
    return (
        f"after_commit does not know how a {type(connection).__module__}.{type(connection).__qualname__} commits. "
        "Pass a SQLAlchemy session or connection, or a connection of asyncpg, psycopg or Django (sync ones to "
        "easymo.cache.sync); elsewhere call `delete` after your commit."
    )
