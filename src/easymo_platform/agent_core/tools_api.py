"""Routes of the tools. Beside the service's token they ask for the agent's: ``x-agent-jwt``."""

from typing import Annotated, Any

from litestar import get, post
from litestar.params import HeaderParameter, JSONBody

from easymo_platform.agent_core.api import core
from easymo_platform.agent_core.model import (
    CallPlaced,
    Disposition,
    Lead,
    LeadCall,
    LeadLog,
    LeadRef,
    Leads,
    Noted,
    Payment,
    PaymentRequested,
    Transfer,
)
from easymo_platform.agent_core.tools import Agent, agent_of
from easymo_platform.runtime.auth import SCOPE
from easymo_platform.runtime.identity import uuid7
from easymo_platform.runtime.openapi import EXAMPLE
from easymo_platform.runtime.routes import AnyRequest, IdempotencyKey

TOOLS = "agent:tools"
_LEAD = {"tenantId": "kigali", "phoneNumber": "+250700000001"}
AgentToken = Annotated[str, HeaderParameter(name="x-agent-jwt", description="RS256, signed for JWT_PUBLIC_KEY.")]


def _agent(request: AnyRequest, token: str) -> Agent:
    service = core(request)
    service.require("agent.tools", on=service.settings.feature_agent_tools)
    return agent_of(token, service.settings.jwt_public_key)


def _opt(**example: Any) -> dict[str, Any]:
    return {SCOPE: TOOLS, EXAMPLE: _LEAD | example}


@get("/tools/leads", summary="The tenant's newest leads", opt={SCOPE: TOOLS, EXAMPLE: {"leads": []}})
async def leads(request: AnyRequest, token: AgentToken) -> Leads:
    agent = _agent(request, token)
    agent.may("lead.read")
    return await core(request).tools.leads(agent)


@post("/tools/fetch-lead", status_code=200, summary="One lead", opt=_opt())
async def fetch_lead(request: AnyRequest, token: AgentToken, data: JSONBody[LeadRef]) -> Lead:
    agent = _agent(request, token)
    agent.may("lead.read", data.tenant_id)
    return await core(request).tools.lead(agent, data)


@post(
    "/tools/log-lead", status_code=200, summary="Add or complete a lead", opt=_opt(displayName="Aline", tags=["moto"])
)
async def log_lead(request: AnyRequest, token: AgentToken, data: JSONBody[LeadLog]) -> Lead:
    agent = _agent(request, token)
    agent.may("lead.write", data.tenant_id)
    return await core(request).tools.log(agent, data)


@post("/tools/set-disposition", status_code=200, summary="How a conversation ended", opt=_opt(disposition="interested"))
async def set_disposition(request: AnyRequest, token: AgentToken, data: JSONBody[Disposition]) -> Lead:
    agent = _agent(request, token)
    agent.may("disposition.write", data.tenant_id)
    return await core(request).tools.dispose(agent, data)


@post("/tools/register-opt-out", status_code=200, summary="No more calls and messages", opt=_opt())
async def register_opt_out(request: AnyRequest, token: AgentToken, data: JSONBody[LeadRef]) -> Lead:
    agent = _agent(request, token)
    agent.may("lead.optOut", data.tenant_id)
    return await core(request).tools.opt_out(agent, data)


@post("/tools/create-call", status_code=200, summary="Call a lead", opt=_opt(topic="delivery"))
async def create_call(
    request: AnyRequest, token: AgentToken, data: JSONBody[LeadCall], idempotency_key: IdempotencyKey = None
) -> CallPlaced:
    agent = _agent(request, token)
    agent.may("call.write", data.tenant_id)
    return await core(request).tools.call(agent, data, f"{agent.tenant_id}:{idempotency_key or uuid7()}")


@post("/tools/collect-payment", status_code=200, summary="Ask for money", opt=_opt(amount=1200, reference="INV-7"))
async def collect_payment(request: AnyRequest, token: AgentToken, data: JSONBody[Payment]) -> PaymentRequested:
    agent = _agent(request, token)
    service = core(request)
    service.require("agent.payments", on=service.settings.feature_agent_payments)
    agent.may("payment.collect", data.tenant_id)
    return await service.tools.collect(agent, data)


@post(
    "/tools/warm-transfer",
    status_code=200,
    summary="Ask for a person to take a call over",
    opt=_opt(callId="00000002-22df-82a5-8699-154123453375"),
)
async def warm_transfer(request: AnyRequest, token: AgentToken, data: JSONBody[Transfer]) -> Noted:
    agent = _agent(request, token)
    service = core(request)
    service.require("agent.transfers", on=service.settings.feature_agent_transfers)
    agent.may("call.transfer", data.tenant_id)
    return await service.tools.transfer(agent, data)


TOOL_ROUTES = (
    leads,
    fetch_lead,
    log_lead,
    set_disposition,
    register_opt_out,
    create_call,
    collect_payment,
    warm_transfer,
)
