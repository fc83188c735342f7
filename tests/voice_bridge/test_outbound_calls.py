"""POST /calls/outbound."""

import asyncio
from uuid import UUID

import pytest

from easymo_platform.runtime.idempotency import id_of
from tests.conftest import Database
from tests.voice_bridge.client import NUMBER, insert_user, place, voice_bridge


async def test_outbound_call_is_created_pending_with_its_route(environ: dict[str, str], database: Database) -> None:
    async with voice_bridge(environ) as client:
        response = await place(client, topic="Rent", metadata={"campaign": "november"})
        assert response.status_code == 201
        answer = response.json()
        assert answer["route"] == {
            "agentProfile": "general_agent",
            "sipTarget": "sip:general-agent@sip.easymo",
            "consentRequired": False,
        }
        assert answer["consent"] == {"required": False}
        call = (await client.get(f"/calls/{answer['callId']}")).json()
    assert (call["status"], call["to_number"], call["topic"]) == ("pending", NUMBER, "Rent")
    assert call["metadata"] == {"campaign": "november"}
    assert await database.fetchval("select count(*) from voice_calls") == 1


@pytest.mark.parametrize("topic", ["Bei ya MAZAO", "call the farmer", "shamba", "produce prices", "Mkulima"])
async def test_farming_in_english_or_swahili_goes_to_the_farmer_agent_and_needs_consent(
    environ: dict[str, str], topic: str
) -> None:
    async with voice_bridge(environ | {"VOICE_SIP_FARMER_AGENT": "sip:farm@example"}) as client:
        answer = (await place(client, topic=topic)).json()
    assert answer["route"] == {"agentProfile": "farmer_agent", "sipTarget": "sip:farm@example", "consentRequired": True}
    assert answer["consent"] == {"required": True}


async def test_call_belongs_to_the_user_with_the_number(environ: dict[str, str], database: Database) -> None:
    user_id = await insert_user(database)
    async with voice_bridge(environ) as client:
        await place(client)
        calls = (await client.get("/calls", params={"user_id": str(user_id)})).json()["calls"]
    assert [call["to_number"] for call in calls] == [NUMBER]


async def test_same_idempotency_key_gives_the_same_answer_and_one_row(
    environ: dict[str, str], database: Database
) -> None:
    async with voice_bridge(environ) as client:
        first, *others = await asyncio.gather(*(place(client, key="order-7") for _ in range(8)))
    assert {other.content for other in others} == {first.content}
    assert {other.status_code for other in (first, *others)} == {201}
    assert await database.fetchval("select count(*) from voice_calls") == 1


async def test_client_can_compute_the_id_from_its_key(environ: dict[str, str]) -> None:
    async with voice_bridge(environ) as client:
        answer = (await place(client, key="order-7")).json()
    assert UUID(answer["callId"]) == id_of("calls/outbound", "", "order-7")


async def test_key_used_for_another_call_is_a_conflict(environ: dict[str, str]) -> None:
    async with voice_bridge(environ) as client:
        await place(client, key="order-7")
        response = await place(client, key="order-7", topic="shamba")
    assert response.status_code == 409
    assert response.json()["error"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    "body",
    [{"to": "12"}, {}, {"to": NUMBER, "toe": 1}, {"to": 7}, {"to": NUMBER, "metadata": []}, [], {"to": "a\0b"}],
    ids=str,
)
async def test_wrong_body_is_an_invalid_payload(environ: dict[str, str], database: Database, body: object) -> None:
    async with voice_bridge(environ) as client:
        response = await client.post("/calls/outbound", json=body)
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_payload"
    assert await database.fetchval("select count(*) from voice_calls") == 0


async def test_call_that_cannot_be_stored_is_a_bad_gateway(environ: dict[str, str], database: Database) -> None:
    async with voice_bridge(environ) as client:
        await database.execute("alter table voice_calls rename to elsewhere")
        response = await place(client)
    assert response.status_code == 502
    assert response.json()["error"] == "voice_call_create_failed"
    assert "voice_calls" not in response.text
