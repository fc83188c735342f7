"""A worker whose claim has run out changes nothing: another one holds the message by now."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from easymo_platform.runtime.statements import read_statements
from easymo_platform.whatsapp_webhook.app import QUERIES
from tests.conftest import Database

STATEMENTS = read_statements(QUERIES)
NOW = datetime.now(UTC)
EARLIER, HELD = NOW - timedelta(seconds=5), NOW + timedelta(seconds=60)


async def claimed(database: Database, status: str) -> UUID:
    """A message that somebody holds until HELD."""
    message_id: UUID = await database.fetchval(
        "insert into whatsapp_messages (direction, from_number, to_number, message_type, status, next_attempt_at)"
        " values ('inbound', '+250700000001', '+250700000999', 'text', $1, $2) returning id",
        status,
        HELD,
    )
    return message_id


async def run(database: Database, name: str, **arguments: Any) -> Any:
    statement = STATEMENTS[name]
    asked = {key: value for key, value in arguments.items() if key in statement.parameters}
    return await database.fetchrow(statement.text, *statement.bind(asked))


ANSWER = next(name for name in ("answer", "finish_inbound") if name in STATEMENTS)
"""The statement with which a message is processed."""

WORDS: dict[str, dict[str, Any]] = {
    ANSWER: {
        "status": "processed",
        "user_id": None,
        "replies": "[]",
        "active_service": None,
        "agent_session_id": None,
        "opting": "",
        "reason": "",
    },
    "postpone": {"delay": timedelta(seconds=1), "failed": 1},
    "set_failed": {"error_code": 1, "error_title": "no"},
}


@pytest.mark.parametrize("name", WORDS)
async def test_only_the_worker_that_holds_the_message_has_the_last_word_on_it(database: Database, name: str) -> None:
    message_id = await claimed(database, "processing")
    before = await database.fetchrow("select * from whatsapp_messages")
    late = await run(database, name, message_id=message_id, lease=EARLIER, **WORDS[name])
    assert late is None
    assert await database.fetchrow("select * from whatsapp_messages") == before
    assert await run(database, name, message_id=message_id, lease=HELD, **WORDS[name]) is not None
    assert await database.fetchrow("select * from whatsapp_messages") != before
