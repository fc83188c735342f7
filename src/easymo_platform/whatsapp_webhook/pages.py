"""Lists of messages, newest first, page by page."""

from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from msgspec import Struct

from easymo_platform.runtime.database import Database
from easymo_platform.runtime.errors import ServiceError
from easymo_platform.whatsapp_webhook.model import MessageList, MessageStatus, MessageSummary

PAGE = 50
"""Messages of a page whose client names no limit; the hot queries read as many."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Cursor(Struct, frozen=True):
    """Where a page ends: when its last message was created, and which messages of that very moment were shown.

    Time alone would lose or repeat messages that were created together; for an order by time and id the list would need
    other indexes than it has.
    """

    at: datetime
    shown: frozenset[UUID]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what :meth:`__str__` wrote. Raises the 400 for anything else."""
        moment, *shown = text.split(".")
        try:
            return cls(_EPOCH + int(moment) * _MICROSECOND, frozenset(UUID(hex=one) for one in shown))
        except (ValueError, OverflowError) as error:
            raise ServiceError(400, "invalid_query", "`before` is not the `next` of an earlier page.") from error

    def after(self, rows: list[Any]) -> Self:
        """Where a page ends that began here."""
        at = rows[-1]["created_at"]
        shown = frozenset(row["id"] for row in rows if row["created_at"] == at)
        return type(self)(at, shown | self.shown if at == self.at else shown)

    def __str__(self) -> str:
        return ".".join([str((self.at - _EPOCH) // _MICROSECOND), *sorted(one.hex for one in self.shown)])


NEWEST = Cursor(datetime.max.replace(tzinfo=UTC), frozenset())
"""Where the first page begins."""


class MessagePages:
    """The lists that GET /messages offers. The plain first page of most is one of the hot queries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        *,
        from_number: str | None = None,
        to_number: str | None = None,
        user_id: UUID | None = None,
        status: MessageStatus | None = None,
        before: Cursor = NEWEST,
        limit: int = PAGE,
    ) -> MessageList:
        """Up to ``limit`` messages: all, or those from or to a number, or of a user."""
        fetch = self._database.fetch
        rest = {"status": status, "at": before.at, "shown": list(before.shown), "limit": limit}
        plain = status is None and before == NEWEST and limit == PAGE
        if from_number is not None and plain:
            rows = await fetch("messages_of_sender", from_number=from_number)
        elif from_number is not None:
            rows = await fetch("page_of_sender", from_number=from_number, **rest)
        elif to_number is not None:
            rows = await fetch("page_to", to_number=to_number, **rest)
        elif user_id is not None and plain:
            rows = await fetch("messages_of_user", user_id=user_id)
        elif user_id is not None:
            rows = await fetch("page_of_user", user_id=user_id, **rest)
        elif plain:
            rows = await fetch("newest_messages")
        else:
            rows = await fetch("page_of_all", **rest)
        following = str(before.after(rows)) if len(rows) == limit else None
        return MessageList([MessageSummary(**row) for row in rows], following)
