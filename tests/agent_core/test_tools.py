"""Tools: the agent's token, its permissions, its tenant, and the switches."""

import time
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from easymo_platform.voice_bridge import app as voice_bridge_app
from tests.agent_core.conftest import AgentCore
from tests.conftest import Database
from tests.whatsapp_webhook.outside import served

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
ON = {
    "JWT_PUBLIC_KEY": PUBLIC,
    "FEATURE_AGENT_TOOLS": "true",
    "FEATURE_AGENT_PAYMENTS": "true",
    "FEATURE_AGENT_TRANSFERS": "true",
}
LEAD = {"tenantId": "kigali", "phoneNumber": "+250700000001"}

TOOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "log-lead": ("lead.write", {"displayName": "Aline", "tags": ["moto", "moto"]}),
    "fetch-lead": ("lead.read", {}),
    "set-disposition": ("disposition.write", {"disposition": "interested"}),
    "create-call": ("call.write", {"topic": "delivery"}),
    "collect-payment": ("payment.collect", {"amount": 1200, "reference": "INV-7"}),
    "warm-transfer": ("call.transfer", {"callId": str(uuid4())}),
    "register-opt-out": ("lead.optOut", {}),
}


def token(*permissions: str, key: rsa.RSAPrivateKey = KEY, **claims: Any) -> dict[str, str]:
    given = {"sub": "agent-7", "tenantId": "kigali", "permissions": list(permissions), "exp": time.time() + 60}
    return {"x-agent-jwt": jwt.encode(given | claims, key, algorithm="RS256")}


async def test_every_tool_works_with_its_permission_and_leaves_a_trail(
    agent_core: AgentCore, environ: dict[str, str], database: Database
) -> None:
    async with served(voice_bridge_app.create(environ)) as url, agent_core(**ON, VOICE_BRIDGE_URL=url) as client:
        answers = {}
        for tool, (permission, body) in TOOLS.items():
            response = await client.post(f"/tools/{tool}", json=LEAD | body, headers=token(permission))
            assert response.status_code == 200, (tool, response.text)
            answers[tool] = response.json()
        listed = (await client.get("/tools/leads", headers=token("lead.read"))).json()["leads"]
    assert answers["fetch-lead"]["tags"] == ["moto"]
    assert answers["set-disposition"]["disposition"] == "interested"
    assert answers["register-opt-out"]["opted_out_at"]
    assert [lead["phone_number"] for lead in listed] == ["+250700000001"]
    call = await database.fetchrow(
        "select to_number, topic from voice_calls where id = $1", answers["create-call"]["callId"]
    )
    assert call is not None
    assert tuple(call) == ("+250700000001", "delivery")
    payment = await database.fetchrow("select amount, status, type from transactions")
    assert payment is not None
    assert (int(payment["amount"]), payment["status"], payment["type"]) == (1200, "pending", "payment")
    trail = await database.fetch(
        "select tool from agent_tool_events where tenant_id = 'kigali' and subject = 'agent-7'"
    )
    assert {row["tool"] for row in trail} == set(TOOLS)


@pytest.mark.parametrize("tool", TOOLS)
async def test_tool_is_refused_without_token_permission_tenant_or_switch(agent_core: AgentCore, tool: str) -> None:
    permission, body = TOOLS[tool]
    others = [name for name, _ in TOOLS.values() if name != permission]
    path = f"/tools/{tool}"
    async with agent_core(**ON) as client:

        async def asked(headers: dict[str, str], **lead: str) -> int:
            return (await client.post(path, json=LEAD | body | lead, headers=headers)).status_code

        assert await asked({"x-agent-jwt": "x"}) == 401
        assert await asked(token(permission, key=OTHER_KEY)) == 401
        assert await asked(token(permission, exp=1)) == 401
        assert await asked(token(permission, tenantId=7)) == 401
        assert await asked(token(*others)) == 403
        assert await asked(token(permission), tenantId="elsewhere") == 403
        assert await asked({}) == 400
        hmac = jwt.encode({"sub": "x", "exp": 9e9}, "k" * 32, algorithm="HS256")
        assert await asked({"x-agent-jwt": hmac}) == 401
    async with agent_core(**(ON | {"FEATURE_AGENT_TOOLS": "false"})) as client:
        assert await asked(token(permission)) == 403
    async with agent_core(**(ON | {"JWT_PUBLIC_KEY": ""})) as client:
        assert await asked(token(permission)) == 401


@pytest.mark.parametrize("tool", [name for name in TOOLS if name != "log-lead"])
async def test_tools_know_only_the_tenants_own_leads(agent_core: AgentCore, database: Database, tool: str) -> None:
    await database.execute("insert into agent_leads (tenant_id, phone_number) values ('elsewhere', '+250700000001')")
    permission, body = TOOLS[tool]
    async with agent_core(**ON) as client:
        response = await client.post(f"/tools/{tool}", json=LEAD | body, headers=token(permission))
        listed = (await client.get("/tools/leads", headers=token("lead.read"))).json()["leads"]
    assert (response.status_code, response.json()["error"], listed) == (404, "lead_not_found", [])
    assert await database.fetchval("select count(*) from agent_tool_events") == 0


async def test_payment_is_asked_for_once_per_reference(agent_core: AgentCore, database: Database) -> None:
    async with agent_core(**ON) as client:
        await client.post("/tools/log-lead", json=LEAD, headers=token("lead.write"))

        async def collect(amount: int) -> tuple[int, dict[str, Any]]:
            body = LEAD | {"amount": amount, "reference": "INV-7"}
            response = await client.post("/tools/collect-payment", json=body, headers=token("payment.collect"))
            return response.status_code, response.json()

        first, again, other = await collect(1200), await collect(1200), await collect(1300)
    assert first == again
    assert (first[0], other[0]) == (200, 409)
    assert await database.fetchval("select count(*) from transactions") == 1


async def test_who_opted_out_is_not_called_and_a_call_that_fails_says_so(agent_core: AgentCore) -> None:
    async with agent_core(**ON) as client:
        await client.post("/tools/log-lead", json=LEAD, headers=token("lead.write"))
        failed = await client.post("/tools/create-call", json=LEAD, headers=token("call.write"))
        await client.post("/tools/register-opt-out", json=LEAD, headers=token("lead.optOut"))
        refused = await client.post("/tools/create-call", json=LEAD, headers=token("call.write"))
    assert (failed.status_code, failed.json()["error"]) == (502, "call_not_placed")
    assert (refused.status_code, refused.json()["error"]) == (409, "opted_out")
