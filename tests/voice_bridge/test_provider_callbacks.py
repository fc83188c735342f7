"""POST /webhooks/twilio/voice-status: at least once, in any order."""

import asyncio
from hashlib import sha256
from uuid import UUID, uuid4

import pytest

from easymo_platform.voice_bridge.twilio import signature
from tests.conftest import Database
from tests.voice_bridge.client import callback, insert_call, place, status_of, voice_bridge


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


@pytest.mark.parametrize("body", [b"", b"CallStatus=ringing", b"CallSid=SIM1", b"CallSid=SIM1&AnsweredBy=human"])
async def test_callback_without_a_status_is_taken_and_changes_nothing(
    environ: dict[str, str], database: Database, body: bytes
) -> None:
    async with voice_bridge(environ) as client:
        response = await client.post("/webhooks/twilio/voice-status", content=body)
    assert (response.status_code, response.json()["outcome"]) == (200, "ignored")


@pytest.mark.parametrize("extra", ["&SequenceNumber=&CallDuration=", "&SequenceNumber=x", "&CallDuration=99999999999"])
async def test_field_that_nobody_needs_never_costs_the_status(
    environ: dict[str, str], database: Database, extra: str
) -> None:
    async with voice_bridge(environ) as client:
        call_id = UUID((await place(client)).json()["callId"])
        body = f"CallSid=SIM{call_id.hex}&CallStatus=ringing{extra}"
        response = await client.post("/webhooks/twilio/voice-status", content=body)
    assert (response.status_code, response.json()["outcome"]) == (200, "applied")


async def test_callback_by_get_is_signed_by_its_address_and_applied(
    environ: dict[str, str], database: Database
) -> None:
    secured = environ | {"AUTH_DISABLED": "false", "SERVICE_JWT_KEYS": "key-of-the-tests-of-voice-bridge"}
    secured |= {"TWILIO_AUTH_TOKEN": "token", "VOICE_PUBLIC_URL": "https://voice.example"}
    path = "/webhooks/twilio/voice-status?CallSid=CA1&CallStatus=ringing"
    async with voice_bridge(secured) as client:
        signed = {"x-twilio-signature": signature("token", f"https://voice.example{path}", [])}
        assert (await client.get(path, headers=signed)).status_code == 404, "signed; there is no such call"
        assert (await client.get(path)).status_code == 403


async def test_body_of_json_is_covered_by_the_hash_in_the_signed_address(
    environ: dict[str, str], database: Database
) -> None:
    secured = environ | {"AUTH_DISABLED": "false", "SERVICE_JWT_KEYS": "key-of-the-tests-of-voice-bridge"}
    secured |= {"TWILIO_AUTH_TOKEN": "token", "VOICE_PUBLIC_URL": "https://voice.example"}
    body = b'{"CallSid":"CA1","CallStatus":"ringing"}'
    path = f"/webhooks/twilio/voice-status?bodySHA256={sha256(body).hexdigest()}"
    signed = {"x-twilio-signature": signature("token", f"https://voice.example{path}", [])}
    async with voice_bridge(secured) as client:
        assert (await client.post(path, content=body, headers=signed)).status_code == 404, "signed; no such call"
        assert (await client.post(path, content=body + b" ", headers=signed)).status_code == 403
