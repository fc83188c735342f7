"""POST /calls/{id}/consent and /segments."""

from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Database
from tests.voice_bridge.client import insert_call, voice_bridge

HELLO = {"sequence": 0, "speaker": "caller", "text": "Muraho"}


async def test_consent_is_stored_on_the_call_and_as_a_row_of_its_own(
    environ: dict[str, str], database: Database
) -> None:
    call_id = await insert_call(database, consent_required=True)
    consent = {"recordedAt": "2026-11-24T08:00:00+02:00", "channel": "sms", "mediaUrl": "https://media.example/7.wav"}
    async with voice_bridge(environ) as client:
        response = await client.post(f"/calls/{call_id}/consent", json=consent)
        assert (response.status_code, response.json()) == (200, {"status": "stored"})
        call = (await client.get(f"/calls/{call_id}")).json()
    assert (call["consent_obtained"], call["consent_channel"]) == (True, "sms")
    assert (call["consent_recorded_at"], call["consent_media_url"]) == ("2026-11-24T06:00:00Z", consent["mediaUrl"])
    rows = await database.fetch("select consent_result, audio_url from call_consents where call_id = $1", call_id)
    assert [tuple(row) for row in rows] == [(True, consent["mediaUrl"])]


async def test_consent_needs_no_field_at_all(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database)
    async with voice_bridge(environ) as client:
        assert (await client.post(f"/calls/{call_id}/consent", json={})).status_code == 200
        assert (await client.get(f"/calls/{call_id}")).json()["consent_channel"] == "ivr"


@pytest.mark.parametrize(
    "body",
    [
        {"invalid": "payload"},
        {"recordedAt": "yesterday"},
        {"recordedAt": "2026-11-24T08:00:00"},
        {"mediaUrl": "file:///etc"},
    ],
    ids=str,
)
async def test_wrong_consent_is_refused_and_stores_nothing(
    environ: dict[str, str], database: Database, body: dict[str, Any]
) -> None:
    call_id = await insert_call(database)
    async with voice_bridge(environ) as client:
        response = await client.post(f"/calls/{call_id}/consent", json=body)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_payload")
    assert response.json()["details"]
    assert await database.fetchval("select consent_obtained from voice_calls where id = $1", call_id) is False


async def test_segment_sent_again_replaces_its_text(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, "active")
    reply = {"sequence": 1, "speaker": "assistant", "text": "Habari", "confidence": 0.5}
    async with voice_bridge(environ) as client:
        first = await client.post(f"/calls/{call_id}/segments", json={"segments": [HELLO, reply], "locale": "sw"})
        assert (first.status_code, first.json()) == (200, {"status": "captured", "count": 2, "locale": "sw"})
        again = {"segments": [{**reply, "text": "Habari yako"}]}
        assert (await client.post(f"/calls/{call_id}/segments", json=again)).json()["locale"] == "en"
        call = (await client.get(f"/calls/{call_id}")).json()
    rows = await database.fetch(
        "select sequence, text from voice_segments where call_id = $1 order by sequence", call_id
    )
    assert [tuple(row) for row in rows] == [(0, "Muraho"), (1, "Habari yako")]
    assert (call["transcript_status"], call["transcript_locale"]) == ("processing", "en")


@pytest.mark.parametrize(
    "body",
    [
        {"segments": []},
        {"segments": [HELLO], "locale": "fr"},
        {"segments": [HELLO, HELLO]},
        {"segments": [{**HELLO, "sequence": -1}]},
        {"segments": [{**HELLO, "speaker": "ghost"}]},
        {"segments": [{**HELLO, "confidence": 1.5}]},
        {"segments": [{**HELLO, "mood": "good"}]},
        {"segments": [{**HELLO, "text": "a\0b"}]},
    ],
    ids=str,
)
async def test_wrong_segments_are_refused_and_none_is_stored(
    environ: dict[str, str], database: Database, body: dict[str, Any]
) -> None:
    call_id = await insert_call(database, "active")
    async with voice_bridge(environ) as client:
        response = await client.post(f"/calls/{call_id}/segments", json=body)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_payload")
    assert await database.fetchval("select count(*) from voice_segments") == 0


async def test_unknown_call_is_not_found_and_nothing_is_stored(environ: dict[str, str], database: Database) -> None:
    async with voice_bridge(environ) as client:
        for what, body in (("consent", {}), ("segments", {"segments": [HELLO]})):
            response = await client.post(f"/calls/{uuid4()}/{what}", json=body)
            assert (response.status_code, response.json()["error"]) == (404, "call_not_found")
    assert await database.fetchval("select count(*) from call_consents") == 0


async def test_failing_database_has_an_error_of_its_own_per_operation(
    environ: dict[str, str], database: Database
) -> None:
    call_id = await insert_call(database)
    async with voice_bridge(environ) as client:
        await database.execute("drop table call_consents; drop table voice_segments")
        consent = await client.post(f"/calls/{call_id}/consent", json={})
        segments = await client.post(f"/calls/{call_id}/segments", json={"segments": [HELLO]})
    assert (consent.status_code, consent.json()["error"]) == (500, "consent_persist_failed")
    assert (segments.status_code, segments.json()["error"]) == (500, "segments_persist_failed")
    assert await database.fetchval("select consent_obtained from voice_calls where id = $1", call_id) is False
