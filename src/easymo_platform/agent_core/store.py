"""Sessions and what is said in them. Every write drops the cached session after its commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from easymo.cache import CacheService
from easymo.cache.commit import Later
from easymo_platform.agent_core.model import (
    LIVE,
    AgentMessage,
    AgentMessageList,
    NewSession,
    Reply,
    Session,
    SessionChange,
    SessionList,
    predecessors,
)
from easymo_platform.agent_core.strategies import AgentStrategies
from easymo_platform.runtime.database import Database
from easymo_platform.runtime.database import Session as Connection
from easymo_platform.runtime.errors import DatabaseError, ServiceError

SHOWN_MESSAGES = 200
SWEEP_BATCH = 500


def session_not_found(session_id: UUID) -> ServiceError:
    """The 404 of an unknown session."""
    return ServiceError(404, "session_not_found", f"There is no session {session_id}.")


def session_ended(session: Session) -> ServiceError:
    """The 409 of a session that is over."""
    return ServiceError(409, "session_ended", f"The session has ended: it is {session.status}.")


class SessionStore:
    """Raises :class:`~easymo_platform.runtime.errors.DatabaseError` when Postgres fails."""

    def __init__(self, database: Database, cache: CacheService) -> None:
        self._database = database
        self._cache = cache

    async def open(self, session_id: UUID, wanted: NewSession) -> Session:
        """A new session, or the one that has this id already. Raises the 404 for an unknown user."""
        window = timedelta(minutes=wanted.window_minutes)
        try:
            async with self._writing(session_id) as connection:
                await connection.fetch(
                    "insert_session",
                    session_id=session_id,
                    user_id=wanted.user_id,
                    flow_type=wanted.flow_type,
                    agent_kind=wanted.agent_kind,
                    request_data=wanted.request_data,
                    window=window,
                )
                session = await self._read(connection, session_id)
        except DatabaseError as error:
            if isinstance(error.__cause__, asyncpg.ForeignKeyViolationError):
                raise ServiceError(404, "user_not_found", f"There is no user {wanted.user_id}.") from error
            raise
        same = ("user_id", "flow_type", "agent_kind", "request_data")
        if any(getattr(session, name) != getattr(wanted, name) for name in same):
            raise ServiceError(409, "idempotency_key_reused", "This Idempotency-Key was used for another session.")
        return session

    async def by_id(self, session_id: UUID) -> Session:
        """One session from Postgres; raises the 404 for an unknown one."""
        async with self._database.session() as connection:
            return await self._read(connection, session_id)

    async def cached(self, session_id: UUID) -> Session:
        """The same, at most as old as the last write."""
        key = AgentStrategies.agent_session(session_id)
        return await self._cache.get_or_set(key, lambda: self.by_id(session_id), type=Session)

    async def of_user(self, user_id: UUID, *, active: bool) -> SessionList:
        """The newest 50 sessions of a user, all or only those that are live."""
        rows = await self._database.fetch("sessions_of_user", user_id=user_id, active=active)
        return SessionList([Session(**row) for row in rows])

    async def change(self, session_id: UUID, change: SessionChange) -> Session:
        """Move a session through its life cycle. Raises the 404 for an unknown one, the 409 for an illegal move."""
        async with self._writing(session_id) as connection:
            moved = await connection.fetch_row(
                "set_session_status",
                session_id=session_id,
                status=change.status,
                predecessors=predecessors(change.status),
                reason=change.reason,
                result_data=change.result_data,
            )
            session = await self._read(connection, session_id)
        if moved is None and session.status != change.status:
            raise ServiceError(
                409, "illegal_transition", f"A session that is {session.status} cannot become {change.status}."
            )
        return session

    async def extend(self, session_id: UUID, minutes: int) -> Session:
        """Give a live session more time. Raises the 404 for an unknown one, the 409 for one that has ended."""
        async with self._writing(session_id) as connection:
            window = timedelta(minutes=minutes)
            extended = await connection.fetch_row("extend_session", session_id=session_id, window=window)
            session = await self._read(connection, session_id)
        if extended is None:
            raise session_ended(session)
        return session

    async def messages(self, session_id: UUID, limit: int = SHOWN_MESSAGES) -> AgentMessageList:
        """The newest messages, oldest first. Raises the 404 for an unknown session."""
        await self.cached(session_id)
        rows = await self._database.fetch("messages_of_session", session_id=session_id, limit=limit)
        return AgentMessageList([AgentMessage(**row) for row in rows])

    async def earlier_reply(self, session_id: UUID, question_id: UUID, reply_id: UUID, question: str) -> Reply | None:
        """The reply that was given to this question. Raises the 409 if another one was asked under the id."""
        row = await self._database.fetch_row("earlier_reply", question_id=question_id, reply_id=reply_id)
        if row is None:
            return None
        if (row["session_id"], row["question"]) != (session_id, question):
            raise ServiceError(409, "idempotency_key_reused", "This Idempotency-Key was used for another question.")
        metadata: dict[str, Any] = row["metadata"]
        return Reply(
            row["content"],
            row["provider"],
            row["model"],
            metadata.get("degraded", False),
            metadata.get("suggestions", []),
        )

    async def record(self, session_id: UUID, columns: dict[str, Any]) -> bool:
        """Store question and reply. False if another request has answered this question meanwhile."""
        try:
            row = await self._database.fetch_row("insert_messages", session_id=session_id, **columns)
        finally:  # also when its outcome is unknown: dropping too much is harmless
            await asyncio.shield(self._cache.delete(AgentStrategies.agent_session(session_id)))
        return row is not None

    async def end_overdue(self) -> int:
        """Sessions whose time is over come to ``timeout``; how many did (up to :data:`SWEEP_BATCH`)."""
        async with self._database.session() as session, self._cache.after_commit(session.connection) as later:
            rows = await session.fetch("end_overdue_sessions", limit=SWEEP_BATCH)
            _drop(later, *(row["id"] for row in rows))
        return len(rows)

    async def about_to_end(self) -> int:
        """How many live sessions have less than a minute left."""
        row = await self._database.fetch_row("count_sessions_about_to_end")
        return int(row["sessions"]) if row else 0

    async def _read(self, connection: Connection, session_id: UUID) -> Session:
        row = await connection.fetch_row("session_by_id", session_id=session_id)
        if row is None:
            raise session_not_found(session_id)
        return Session(**row)

    @asynccontextmanager
    async def _writing(self, session_id: UUID) -> AsyncIterator[Connection]:
        async with self._database.session() as session, self._cache.after_commit(session.connection) as later:
            _drop(later, session_id)
            yield session


def _drop(later: Later, *session_ids: UUID) -> None:
    later.delete(*(AgentStrategies.agent_session(session_id) for session_id in session_ids))


def is_live(session: Session) -> bool:
    """Whether anything may still be said in it."""
    return session.status in LIVE
