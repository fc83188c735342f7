"""POST /respond: by rules, by a language model on a real socket, and by rules when the model fails."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Request, Response, post

from easymo_platform.agent_core.rules import reply_by_rules
from tests.agent_core.conftest import AgentCore, opened
from tests.conftest import Database
from tests.whatsapp_webhook.outside import served

KINDS = ("broker", "support", "sales", "marketing", "mobility")


class Model:
    """An OpenAI-compatible server that does what the test says."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers: list[Any] = []
        self.url = ""

    def app(self) -> Litestar:
        @post("/v1/chat/completions", status_code=200)
        async def complete(request: Request[Any, Any, Any]) -> Any:
            self.asked.append(msgspec.json.decode(await request.body()))
            answer = self.answers.pop(0) if self.answers else said("from the model")
            if isinstance(answer, float):
                await asyncio.sleep(answer)
                return said("too late")
            return answer

        return Litestar([complete], logging_config=None)


def said(text: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 11, "completion_tokens": 5}
    return {
        "id": "1",
        "model": "tiny-1",
        "choices": [{"message": {"role": "assistant", "content": text}}],
        "usage": usage,
    }


def failed(status: int, **headers: str) -> Response[bytes]:
    return Response(b"{}", status_code=status, headers=headers)


def _impatient(answers: list[Any]) -> dict[str, str]:
    """A model that is late is not waited for; one that is not must not be missed on a busy machine."""
    return {"AGENT_TIMEOUT_S": "1"} if any(isinstance(answer, float) for answer in answers) else {}


@pytest.fixture
async def model(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Model]:
    monkeypatch.setattr("easymo_platform.agent_core.llm.RETRY_BASE_S", 0.01)
    server = Model()
    async with served(server.app()) as url:
        environ |= {"AGENT_PROVIDER": "openai", "AGENT_BASE_URL": f"{url}/v1", "AGENT_TIMEOUT_S": "20"}
        yield server


@given(st.sampled_from(KINDS), st.text(max_size=300))
def test_rules_answer_the_same_to_the_same_and_invent_no_figures(kind: str, message: str) -> None:
    reply, suggestions = reply_by_rules(kind, message)
    assert (reply, suggestions) == reply_by_rules(kind, message)
    assert not re.search(r"[0-9]", reply)


async def test_reply_by_rules_says_what_it_is_and_is_kept(
    agent_core: AgentCore, database: Database, user_id: UUID
) -> None:
    async with agent_core() as client:
        session = await opened(client, user_id)
        question = {"session_id": session, "agent_kind": "sales", "message": "How much is paracetamol?"}
        reply = (await client.post("/respond", json=question)).json()
        unknown = (await client.post("/respond", json=question | {"message": "xyzzy"})).json()
        messages = (await client.get(f"/sessions/{session}/messages")).json()["messages"]
    assert (reply["provider"], reply["degraded"]) == ("rules", False)
    assert reply["reply"].startswith("I do not know prices.")
    assert "automatic assistant" in unknown["reply"]
    assert [message["role"] for message in messages] == ["user", "agent", "user", "agent"]
    assert (messages[0]["content"], messages[1]["content"]) == (question["message"], reply["reply"])


async def test_same_key_gets_the_same_reply_and_is_kept_once(
    agent_core: AgentCore, database: Database, user_id: UUID, model: Model
) -> None:
    model.answers = [said(f"answer {number}") for number in range(8)]
    async with agent_core() as client:
        session, other = await opened(client, user_id), await opened(client, user_id)
        question = {"session_id": session, "agent_kind": "sales", "message": "hello"}
        headers = {"Idempotency-Key": "k"}
        answers = await asyncio.gather(*(client.post("/respond", json=question, headers=headers) for _ in range(4)))
        again = await client.post("/respond", json=question, headers=headers)
        elsewhere = await client.post("/respond", json=question | {"session_id": other}, headers=headers)
    assert len({answer.json()["reply"] for answer in (*answers, again)}) == 1
    assert elsewhere.status_code == 409
    assert await database.fetchval("select count(*) from agent_messages") == 2


async def test_model_is_told_what_was_said_before(
    agent_core: AgentCore, database: Database, user_id: UUID, model: Model
) -> None:
    async with agent_core() as client:
        session = await opened(client, user_id)
        question = {"session_id": session, "agent_kind": "sales", "message": "first"}
        reply = (await client.post("/respond", json=question)).json()
        await client.post("/respond", json=question | {"message": "second"})
        history = [{"role": "user", "text": "other"}]
        await client.post("/respond", json=question | {"message": "third", "history": history})
    assert reply == {
        "reply": "from the model",
        "provider": "openai",
        "model": "tiny-1",
        "degraded": False,
        "suggestions": [],
    }
    told = [[message["content"] for message in body["messages"][1:]] for body in model.asked]
    assert told == [["first"], ["first", "from the model", "second"], ["other", "third"]]
    assert [message["role"] for message in model.asked[1]["messages"]] == ["system", "user", "assistant", "user"]
    row = await database.fetchrow("select tokens_in, tokens_out, model from agent_messages where role = 'agent'")
    assert row is not None
    assert tuple(row) == (11, 5, "tiny-1")


@pytest.mark.parametrize(
    ("answers", "tries", "provider"),
    [
        ([failed(500), failed(429, **{"retry-after": "0"})], 3, "openai"),
        ([failed(500)] * 3, 3, "rules"),
        ([failed(401)], 1, "rules"),
        ([Response(b"no json", media_type="text/plain")], 1, "rules"),
        ([said("  ")], 1, "rules"),
        ([5.0], 1, "rules"),
    ],
)
async def test_failing_model_is_tried_again_when_that_may_help_and_then_replaced(
    agent_core: AgentCore, user_id: UUID, model: Model, answers: list[Any], tries: int, provider: str
) -> None:
    model.answers = list(answers)
    async with agent_core(**_impatient(answers)) as client:
        question = {"session_id": await opened(client, user_id), "agent_kind": "sales", "message": "hello"}
        reply = (await client.post("/respond", json=question)).json()
    assert (reply["provider"], reply["degraded"], len(model.asked)) == (provider, provider == "rules", tries)


@pytest.mark.parametrize(("answers", "status"), [([failed(401)], 502), ([5.0], 504)])
async def test_without_fallback_a_failing_model_is_an_error(
    agent_core: AgentCore, user_id: UUID, model: Model, answers: list[Any], status: int
) -> None:
    model.answers = list(answers)
    async with agent_core(AGENT_FALLBACK="false", **_impatient(answers)) as client:
        question = {"session_id": await opened(client, user_id), "agent_kind": "sales", "message": "hello"}
        response = await client.post("/respond", json=question)
    assert (response.status_code, response.json()["error"]) == (status, "provider_failed")


async def test_model_that_keeps_failing_is_left_alone(agent_core: AgentCore, user_id: UUID, model: Model) -> None:
    model.answers = [failed(503)] * 100
    async with agent_core() as client:
        question = {"session_id": await opened(client, user_id), "agent_kind": "sales", "message": "hello"}
        replies = [(await client.post("/respond", json=question)).json() for _ in range(10)]
        page = (await client.get("/metrics")).text
    assert all(reply["degraded"] for reply in replies)
    assert len(model.asked) == 5 * 3, "five calls of three tries opened the breaker"
    assert 'circuit_breaker_state{peer="language-model",service="agent-core"} 2.0' in page
    assert 'agent_responses_total{outcome="degraded",provider="rules",service="agent-core"} 10.0' in page


async def test_only_live_sessions_are_answered(agent_core: AgentCore, user_id: UUID) -> None:
    async with agent_core() as client:
        session = await opened(client, user_id)
        await client.post(f"/sessions/{session}/status", json={"status": "cancelled"})
        question = {"session_id": session, "agent_kind": "sales", "message": "hello"}
        assert (await client.post("/respond", json=question)).json()["error"] == "session_ended"
        unknown = await client.post("/respond", json=question | {"session_id": str(uuid4())})
        empty = await client.post("/respond", json=question | {"message": ""})
    assert (unknown.status_code, empty.status_code) == (404, 400)
