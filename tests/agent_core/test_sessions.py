"""Sessions: their life cycle, their cache, their end."""

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from easymo_platform.agent_core.model import LIVE
from easymo_platform.agent_core.worker import Sweeper
from tests.agent_core.conftest import AgentCore, opened
from tests.conftest import Database


async def test_session_is_opened_once_per_key(agent_core: AgentCore, user_id: UUID) -> None:
    body = {"user_id": str(user_id), "flow_type": "shops", "window_minutes": 7}
    async with agent_core() as client:
        answers = await asyncio.gather(
            *(client.post("/sessions", json=body, headers={"Idempotency-Key": "k"}) for _ in range(5))
        )
        other = await client.post("/sessions", json=body | {"flow_type": "pharmacy"}, headers={"Idempotency-Key": "k"})
        unknown = await client.post("/sessions", json=body | {"user_id": str(uuid4())})
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert answers[0].json()["status"] == "searching"
    assert (other.status_code, unknown.status_code) == (409, 404)


MOVES = {
    "negotiating": {"searching"},
    "presenting": {"searching", "negotiating"},
    "completed": {"presenting"},
    "cancelled": set(LIVE),
    "timeout": set(LIVE),
    "error": set(LIVE),
    "searching": set(),
}


async def test_life_cycle_allows_these_moves_and_no_others(
    agent_core: AgentCore, database: Database, user_id: UUID
) -> None:
    async with agent_core() as client:
        session = await opened(client, user_id)
        for target, sources in MOVES.items():
            for source in MOVES:
                await database.execute("update agent_sessions set status = $1", source)
                response = await client.post(f"/sessions/{session}/status", json={"status": target})
                allowed = source in sources or source == target
                assert response.status_code == (200 if allowed else 409), (source, target)
        assert (await client.post(f"/sessions/{uuid4()}/status", json={"status": "cancelled"})).status_code == 404


async def test_every_write_is_seen_by_the_next_read(agent_core: AgentCore, user_id: UUID) -> None:
    async with agent_core() as client:
        session = await opened(client, user_id)

        async def read() -> tuple[dict[str, object], str]:
            response = await client.get(f"/sessions/{session}")
            return response.json(), response.headers["x-cache"]

        before, _ = await read()
        async with asyncio.timeout(60):
            while (await read())[1] != "HIT":
                pass
        await client.post(f"/sessions/{session}/status", json={"status": "negotiating"})
        assert (await read())[0]["status"] == "negotiating"
        await client.post(f"/sessions/{session}/extend", json={"minutes": 60})
        assert str((await read())[0]["deadline_at"]) > str(before["deadline_at"])
        question = {"session_id": session, "agent_kind": "sales", "message": "hello"}
        updated = (await read())[0]["updated_at"]
        await client.post("/respond", json=question)
        assert str((await read())[0]["updated_at"]) > str(updated)
        await client.post(f"/sessions/{session}/status", json={"status": "cancelled", "reason": "enough"})
        ended, _ = await read()
    assert (ended["status"], ended["cancellation_reason"]) == ("cancelled", "enough")


async def test_overdue_sessions_time_out_and_readers_see_it(
    agent_core: AgentCore, database: Database, user_id: UUID
) -> None:
    async with agent_core() as client:
        overdue, live = await opened(client, user_id), await opened(client, user_id)
        assert (await client.get(f"/sessions/{overdue}")).json()["status"] == "searching"
        await database.execute("update agent_sessions set deadline_at = now() - interval '1 s' where id = $1", overdue)
        sweeper = Sweeper(client.app.state.service.store, 60)  # type: ignore[attr-defined]
        assert await sweeper.sweep() == 1
        assert (await client.get(f"/sessions/{overdue}")).json()["status"] == "timeout"
        listed = (await client.get("/sessions", params={"user_id": str(user_id), "active": True})).json()["sessions"]
        assert [session["id"] for session in listed] == [live]
        assert (await client.post(f"/sessions/{overdue}/extend", json={})).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"flow_type": "shops"},
        {"user_id": "7", "flow_type": "shops"},
        {"user_id": str(UUID(int=1)), "flow_type": "pizza"},
        {"user_id": str(UUID(int=1)), "flow_type": "shops", "window_minutes": 0},
        {"user_id": str(UUID(int=1)), "flow_type": "shops", "unknown": 1},
    ],
)
async def test_malformed_session_is_refused(agent_core: AgentCore, body: dict[str, object]) -> None:
    async with agent_core() as client:
        response = await client.post("/sessions", json=body)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_payload")


async def test_sessions_can_be_switched_off(agent_core: AgentCore, user_id: UUID) -> None:
    async with agent_core(FEATURE_AGENT_SESSIONS="false", FEATURE_AGENT_CHAT="false") as client:
        response: httpx.Response = await client.post("/sessions", json={"user_id": str(user_id), "flow_type": "shops"})
        assert (response.status_code, response.json()["error"]) == (403, "feature_off")
        question = {"session_id": str(uuid4()), "agent_kind": "sales", "message": "hello"}
        assert (await client.post("/respond", json=question)).status_code == 403
