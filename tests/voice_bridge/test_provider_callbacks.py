"""POST /webhooks/twilio/voice-status: at least once, in any order."""

import asyncio
from uuid import UUID, uuid4

import pytest

from tests.conftest import Database
from tests.voice_bridge.client import callback, insert_call, status_of, voice_bridge


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ringing", "ringing"),
        ("in-progress", "active"),
        ("answered", "active"),
        ("completed", "completed"),
        ("busy", "busy"),
        ("failed", "failed"),
        ("no-answer", "no_answer"),
        ("canceled", "canceled"),
    ],
)
async def test_each_of_the_providers_words_moves_a_call(
    environ: dict[str, str], database: Database, word: str, status: str
) -> None:
    call_id = await insert_call(database)
    async with voice_bridge(environ) as client:
        response = await callback(client, call_id, word, 1)
    assert (response.status_code, response.json()) == (200, {"outcome": "applied"})
    assert await status_of(database, call_id) == status


async def test_callback_delivered_again_is_a_duplicate(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database)
    async with voice_bridge(environ) as client:
        responses = await asyncio.gather(*(callback(client, call_id, "ringing", 1) for _ in range(4)))
    outcomes = sorted(response.json()["outcome"] for response in responses)
    assert outcomes == ["applied", "duplicate", "duplicate", "duplicate"]
    assert await database.fetchval("select count(*) from call_events where call_id = $1", call_id) == 1


async def test_late_callback_is_recorded_but_moves_nothing_back(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database)
    async with voice_bridge(environ) as client:
        assert (await callback(client, call_id, "completed", 3)).json() == {"outcome": "applied"}
        late = await callback(client, call_id, "in-progress", 2)
    assert (late.status_code, late.json()) == (200, {"outcome": "ignored"})
    assert await status_of(database, call_id) == "completed"
    events = await database.fetch("select type from call_events where call_id = $1 order by sequence_number", call_id)
    assert [event["type"] for event in events] == ["status.active", "status.completed"]


async def test_call_whose_answer_was_never_reported_still_ends(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, "ringing")
    async with voice_bridge(environ) as client:
        await callback(client, call_id, "completed", 9)
    assert await status_of(database, call_id) == "completed"


async def test_duration_is_the_providers(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, "active")
    form = {"CallSid": f"SIM{call_id.hex}", "CallStatus": "completed", "CallDuration": "95", "SequenceNumber": "4"}
    async with voice_bridge(environ) as client:
        await client.post("/webhooks/twilio/voice-status", data=form)
        assert (await client.get(f"/calls/{call_id}")).json()["duration_seconds"] == 95


async def test_unknown_word_is_accepted_and_ignored(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database)
    async with voice_bridge(environ) as client:
        response = await callback(client, call_id, "levitating", 1)
    assert (response.status_code, response.json()) == (200, {"outcome": "ignored"})
    assert await status_of(database, call_id) == "pending"


async def test_call_that_we_did_not_place_is_not_found(environ: dict[str, str], database: Database) -> None:
    async with voice_bridge(environ) as client:
        response = await callback(client, UUID(int=uuid4().int), "ringing", 1)
    assert (response.status_code, response.json()["error"]) == (404, "call_not_found")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"CallStatus=ringing",
        b"CallSid=SIM1",
        b"CallSid=SIM1&CallStatus=ringing&SequenceNumber=x",
        b"CallSid=SIM1&CallStatus=ringing&SequenceNumber=-1",
        b"CallSid=SIM1&CallStatus=ringing&SequenceNumber=99999999999",
        b"CallSid=%FF&CallStatus=ringing",
        b"CallSid=%00&CallStatus=ringing",
        b"\xff\xfe",
        b"&".join(b"a%d=1" % n for n in range(200)),
    ],
)
async def test_malformed_callback_is_an_invalid_payload(
    environ: dict[str, str], database: Database, body: bytes
) -> None:
    async with voice_bridge(environ) as client:
        response = await client.post("/webhooks/twilio/voice-status", content=body)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_payload")
