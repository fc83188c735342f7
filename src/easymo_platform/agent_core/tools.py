"""Tools that agents use for a tenant: leads, calls, payments. Each use is recorded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from msgspec import Struct, to_builtins

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
from easymo_platform.runtime.breaker import BreakerOpen
from easymo_platform.runtime.client import Peer, PeerError
from easymo_platform.runtime.database import Database, Session
from easymo_platform.runtime.errors import ServiceError
from easymo_platform.runtime.identity import uuid7


class Agent(Struct, frozen=True):
    """Who holds the agent token: for which tenant, and what it may do."""

    subject: str
    tenant_id: str
    permissions: frozenset[str]

    def may(self, permission: str, tenant_id: str | None = None) -> None:
        """Raises the 403 unless this agent may do that, for that tenant."""
        if permission not in self.permissions:
            raise ServiceError(403, "forbidden", f"This tool asks for the permission {permission}.")
        if tenant_id is not None and tenant_id != self.tenant_id:
            raise ServiceError(403, "tenant_mismatch", "The agent's token is for another tenant.")


def agent_of(token: str, public_key: str) -> Agent:
    """The holder of an ``x-agent-jwt``. Raises the 401 for anything but a valid one (RS256)."""
    try:
        claims = jwt.decode(
            token, public_key, algorithms=["RS256"], options={"require": ["exp", "sub"], "verify_aud": False}
        )
    except (jwt.PyJWTError, ValueError) as error:  # ValueError: there is no key, or it is none
        raise ServiceError(401, "unauthorized", "The header x-agent-jwt holds no valid agent token.") from error
    tenant, permissions = claims.get("tenantId"), claims.get("permissions")
    if not isinstance(tenant, str) or not isinstance(permissions, list):
        raise ServiceError(401, "unauthorized", "The agent token names no tenant or no permissions.")
    return Agent(claims["sub"], tenant, frozenset(p for p in permissions if isinstance(p, str)))


class Tools:
    """Raises the 404 for a lead that this tenant does not have."""

    def __init__(self, database: Database, voice_bridge: Peer) -> None:
        self._database = database
        self._voice_bridge = voice_bridge

    async def leads(self, agent: Agent) -> Leads:
        """The tenant's newest leads."""
        rows = await self._database.fetch("leads", tenant_id=agent.tenant_id)
        return Leads([Lead(**row) for row in rows])

    async def lead(self, agent: Agent, wanted: LeadRef) -> Lead:
        """One lead."""
        async with self._used(agent, "fetch-lead", wanted) as session:
            return _found(await session.fetch_row("lead", **_place(wanted)))

    async def log(self, agent: Agent, lead: LeadLog) -> Lead:
        """Add a lead, or what is new about it."""
        async with self._used(agent, "log-lead", lead) as session:
            columns = {"lead_id": uuid7(), "display_name": lead.display_name, "tags": lead.tags}
            return _found(await session.fetch_row("upsert_lead", **columns, **_place(lead)))

    async def dispose(self, agent: Agent, end: Disposition) -> Lead:
        """Note how a conversation ended."""
        async with self._used(agent, "set-disposition", end) as session:
            change = {"disposition": end.disposition, "opted_out": False}
            return _found(await session.fetch_row("update_lead", **change, **_place(end)))

    async def opt_out(self, agent: Agent, lead: LeadRef) -> Lead:
        """The person wants no more calls and messages."""
        async with self._used(agent, "register-opt-out", lead) as session:
            change = {"disposition": None, "opted_out": True}
            found = _found(await session.fetch_row("update_lead", **change, **_place(lead)))
            await session.fetch("opt_out", phone_number=lead.phone_number)
            return found

    async def call(self, agent: Agent, wanted: LeadCall, idempotency_key: str) -> CallPlaced:
        """Let voice-bridge call a lead. Raises the 409 for one who opted out, the 502 when it cannot be placed."""
        async with self._used(agent, "create-call", wanted) as session:
            await self._reachable(session, _found(await session.fetch_row("lead", **_place(wanted))))
        body = {"to": wanted.phone_number, "topic": wanted.topic, "metadata": {"tenant": agent.tenant_id}}
        try:
            return await self._voice_bridge.post(
                "/calls/outbound", body, CallPlaced, scope="voice:outbound.write", idempotency_key=idempotency_key
            )
        except (PeerError, BreakerOpen) as error:
            raise ServiceError(502, "call_not_placed", "voice-bridge did not place the call.") from error

    async def collect(self, agent: Agent, payment: Payment) -> PaymentRequested:
        """Ask for money, once per reference.

        Raises the 409 for one who opted out, and for a reference that was used for another payer, amount or currency.
        """
        async with self._used(agent, "collect-payment", payment) as session:
            await self._reachable(session, _found(await session.fetch_row("lead", **_place(payment))))
            transaction_id = uuid7()
            row = await session.fetch_row(
                "insert_payment",
                transaction_id=transaction_id,
                transaction_ref=f"TXN-{transaction_id.hex}",
                idempotency_key=f"agent:{_part(agent.tenant_id)}:{_part(payment.reference)}",
                amount=payment.amount,
                currency=payment.currency,
                phone_number=payment.phone_number,
                metadata={
                    "tenant": agent.tenant_id,
                    "reference": payment.reference,
                    "phone_number": payment.phone_number,
                },
            )
        assert row is not None, "either the insert or the look-up returns it"
        asked = (row["phone_number"], row["amount"], row["currency"])
        if asked != (payment.phone_number, payment.amount, payment.currency):
            raise ServiceError(
                409, "reference_reused", "This reference was used for another payer, amount or currency."
            )
        return PaymentRequested(row["transaction_ref"], row["status"])

    async def transfer(self, agent: Agent, transfer: Transfer) -> Noted:
        """Ask for a person to take a call over."""
        async with self._used(agent, "warm-transfer", transfer) as session:
            _found(await session.fetch_row("lead", **_place(transfer)))
        return Noted()

    async def _reachable(self, session: Session, lead: Lead) -> None:
        row = await session.fetch_row("wants_nothing", phone_number=lead.phone_number)
        if lead.opted_out_at is not None or (row is not None and row["opted_out"]):
            raise ServiceError(409, "opted_out", "This person wants no calls and messages.")

    @asynccontextmanager
    async def _used(self, agent: Agent, tool: str, wanted: LeadRef) -> AsyncIterator[Session]:
        """A transaction that leaves a trail of the tool that was used, unless it fails."""
        event = {"tenant_id": agent.tenant_id, "subject": agent.subject, "tool": tool, "payload": to_builtins(wanted)}
        async with self._database.session() as session, session.connection.transaction():
            yield session
            await session.fetch("insert_tool_event", **event)


def _part(text: str) -> str:
    """A part of a joined key that cannot reach into the next one."""
    return text.replace("%", "%25").replace(":", "%3A")


def _place(wanted: LeadRef) -> dict[str, str]:
    return {"tenant_id": wanted.tenant_id, "phone_number": wanted.phone_number}


def _found(row: Any) -> Lead:
    if row is None:
        raise ServiceError(404, "lead_not_found", "This tenant has no lead with that number.")
    return Lead(**row)
