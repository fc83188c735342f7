"""Conversations that a person of the team takes over."""

from uuid import UUID

from easymo_platform.runtime.database import Database
from easymo_platform.runtime.errors import ServiceError
from easymo_platform.runtime.identity import uuid7
from easymo_platform.whatsapp_webhook.model import Handoff, Handoffs, Outgoing, Queued, Text
from easymo_platform.whatsapp_webhook.settings import WhatsAppSettings
from easymo_platform.whatsapp_webhook.store import MessageStore


class HandoffStore:
    """What an operator does with them. Raises the 404 for an unknown one."""

    def __init__(
        self,
        database: Database,
        messages: MessageStore,
        whatsapp_number: str = WhatsAppSettings.whatsapp_number,
        whatsapp_phone_number_id: str = WhatsAppSettings.whatsapp_phone_number_id,
    ) -> None:
        self._database, self._messages = database, messages
        self._from = whatsapp_number, whatsapp_phone_number_id

    async def waiting(self, status: str) -> Handoffs:
        """Those of one status, oldest first."""
        return Handoffs([Handoff(**row) for row in await self._database.fetch("handoffs", status=status)])

    async def claim(self, handoff_id: UUID, by: str) -> Handoff:
        """Take one over. Raises the 409 when another person has it, or it is closed."""
        row = await self._database.fetch_row("claim_handoff", handoff_id=handoff_id, claimed_by=by)
        if row is None:
            found = await self._by_id(handoff_id)
            whose = f"claimed by {found.claimed_by}" if found.status == "claimed" else found.status
            raise ServiceError(409, "not_open", f"This conversation is {whose}.")
        return Handoff(**row)

    async def answer(self, handoff_id: UUID, text: Text) -> Queued:
        """Write to the person. Raises the 409 when it is closed or the 24-hour window is."""
        found = await self._by_id(handoff_id)
        if found.status == "closed":
            raise ServiceError(409, "closed", "This conversation is closed.")
        outgoing = Outgoing(found.phone_number, "text", text)
        return await self._messages.queue(uuid7(), outgoing, *self._from, answers=True)

    async def close(self, handoff_id: UUID) -> Handoff:
        """Give the conversation back to the agent."""
        row = await self._database.fetch_row("close_handoff", handoff_id=handoff_id)
        if row is None:
            raise _unknown(handoff_id)
        return Handoff(**row)

    async def _by_id(self, handoff_id: UUID) -> Handoff:
        row = await self._database.fetch_row("handoff_by_id", handoff_id=handoff_id)
        if row is None:
            raise _unknown(handoff_id)
        return Handoff(**row)


def _unknown(handoff_id: UUID) -> ServiceError:
    return ServiceError(404, "handoff_not_found", f"There is no conversation {handoff_id} to take over.")
