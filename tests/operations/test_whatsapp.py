"""`python -m easymo_platform whatsapp` against a database and a webhook."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from easymo_platform.operations.whatsapp import main
from easymo_platform.whatsapp_webhook import app
from tests.conftest import Database
from tests.whatsapp_webhook.client import SECRET, VERIFY, envelope, text
from tests.whatsapp_webhook.outside import served

LETTER = """
    with message as (
      insert into whatsapp_messages (direction, from_number, to_number, message_type, body, status)
      values ('inbound', '+250788123443', '+250700000999', 'text', 'x', 'failed') returning id
    )
    insert into webhook_dlq (correlation_id, phone_number, payload, error, error_type, attempts)
    select id::text, '+250788123443', '{}', 'agent-core did not answer', 'timeout', 4 from message returning id::text
"""


@pytest.fixture(autouse=True)
def _environment(baseline_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", baseline_url)


async def run(*arguments: str) -> int:
    return await asyncio.to_thread(main, list(arguments))


async def test_queue_shows_depth_age_and_causes(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("queue") == 0
    words = " ".join(capsys.readouterr().out.split())
    assert words == "to answer 0 to send 0 oldest due - for a person 0 conversations, 0 events of Meta dead letters 0"
    await database.execute(LETTER)
    await database.execute(
        "insert into whatsapp_messages (direction, from_number, to_number, message_type, created_at) "
        "values ('inbound', '+250700000001', '+250700000999', 'text', now() - interval '90 s')"
    )
    assert await run("queue") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["to", "answer", "1"],
        ["to", "send", "0"],
        ["oldest", "due", "90", "s"],
        ["for", "a", "person", "0", "conversations,", "0", "events", "of", "Meta"],
        ["dead", "letters", "1", "timeout:", "1"],
    ]


async def test_dead_letters_are_listed_without_their_numbers_and_decided_once(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    letters = [await database.fetchval(LETTER) for _ in range(3)]
    assert await run("dlq", "ls") == 0
    listed = capsys.readouterr().out
    assert all(letter in listed for letter in letters)
    assert "+250…43" in listed
    assert "788123" not in listed
    assert await run("dlq", "discard", letters[0]) == 0
    assert await run("dlq", "retry", "--all", "--max", "1") == 0
    statuses = await database.fetch("select status from webhook_dlq order by created_at")
    assert [row["status"] for row in statuses] == ["discarded", "processing", "pending"]
    pending = await database.fetch("select attempts from whatsapp_messages where status = 'pending'")
    assert [row["attempts"] for row in pending] == [0]
    capsys.readouterr()
    assert await run("dlq", "retry", letters[0]) == 1
    captured = capsys.readouterr()
    assert "The dead letter is discarded." in captured.out
    assert len(captured.err.splitlines()) == 1
    assert await run("dlq", "discard") == 1


async def test_replay_signs_as_meta_does_and_a_second_replay_is_a_duplicate(
    database: Database,
    baseline_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "body.json"
    file.write_bytes(msgspec.json.encode(envelope(text())))
    environ = {"DATABASE_URL": baseline_url, "REDIS_ENABLED": "false", "AUTH_DISABLED": "true"}
    secrets = {"WHATSAPP_APP_SECRET": SECRET, "WHATSAPP_VERIFY_TOKEN": VERIFY}
    monkeypatch.delenv("WHATSAPP_APP_SECRET", raising=False)
    async with served(app.create(environ | secrets)) as url:
        assert await run("replay", str(file), "--url", url) == 1
        assert await run("replay", str(file), "--url", url, "--sign") == 1
        monkeypatch.setenv("WHATSAPP_APP_SECRET", SECRET)
        for duplicates in (0, 1):
            capsys.readouterr()
            assert await run("replay", str(file), "--url", url, "--sign") == 0
            assert f'"duplicates":{duplicates}' in capsys.readouterr().out
    assert await run("replay", str(tmp_path / "none.json"), "--sign") == 1
    assert await run("replay", str(file), "--url", "http://127.0.0.1:1", "--sign") == 1


async def test_without_a_database_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert await run("queue") == 1
    assert capsys.readouterr().err.startswith("No database")
