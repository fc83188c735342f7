"""Status callbacks of the simulated provider, signed and posted to our own webhook as Meta would."""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import msgspec
import structlog

from easymo_platform.runtime.background import in_background
from easymo_platform.whatsapp_webhook import signature
from easymo_platform.whatsapp_webhook.settings import WhatsAppSettings
from easymo_platform.whatsapp_webhook.store import MessageStore

_FOLLOWS = {"accepted": "sent", "sent": "delivered", "delivered": "read"}
_RETRY_S = 0.5
_BATCH = 200

_log = structlog.get_logger(__name__)


class _Due(NamedTuple):
    at: float
    message_id: UUID
    status: str
    wamid: str
    phone_number_id: str
    to_number: str


class SimulatedCallbacks:
    """Reports every simulated message as sent, delivered and read, ``delay_s`` apart; due ones share a request.

    Nothing is stored here: after a restart the messages themselves tell what is still to be reported.
    """

    def __init__(self, settings: WhatsAppSettings, store: MessageStore) -> None:
        self._secret = settings.whatsapp_app_secret
        self._delay_s = settings.whatsapp_simulated_delay_s
        self._http = httpx.AsyncClient(base_url=settings.whatsapp_webhook_url, timeout=5.0)
        self._store = store
        self._due: list[_Due] = []
        self._more = asyncio.Event()

    def follow(self, message_id: UUID, wamid: str, phone_number_id: str, to: str, status: str = "accepted") -> None:
        """Report what comes after ``status``, one after the other."""
        if status in _FOLLOWS:
            at = time.monotonic() + self._delay_s
            heapq.heappush(self._due, _Due(at, message_id, _FOLLOWS[status], wamid, phone_number_id, to))
            self._more.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Posts in the background for the length of the block."""
        for row in await self._store.simulated_under_way():
            self.follow(row["id"], row["wamid"], row["phone_number_id"] or "", row["to_number"], row["status"])
        async with self._http, in_background(self._post_for_ever, "simulated-callbacks"):
            yield

    async def _post_for_ever(self) -> None:
        while True:
            if not self._due:
                self._more.clear()
                await self._more.wait()
            await asyncio.sleep(max(0.0, self._due[0].at - time.monotonic()))
            now = time.monotonic()
            batch: list[_Due] = []
            while self._due and self._due[0].at <= now and len(batch) < _BATCH:
                batch.append(heapq.heappop(self._due))
            if batch and await self._post(batch):
                for due in batch:
                    self.follow(due.message_id, due.wamid, due.phone_number_id, due.to_number, due.status)

    async def _post(self, batch: list[_Due]) -> bool:
        body = msgspec.json.encode(callback_payload(batch))
        headers = {"content-type": "application/json", signature.HEADER: signature.sign(self._secret, body)}
        problem = ""
        try:
            response = await self._http.post("/webhook", content=body, headers=headers)
        except httpx.TransportError as error:
            problem = repr(error)
        else:
            if response.is_success:
                return True
            problem = f"it answered {response.status_code}"
        _log.warning("simulated_callback_failed", problem=problem)
        for due in batch:  # as Meta does: until it is accepted
            heapq.heappush(self._due, due._replace(at=time.monotonic() + _RETRY_S))
        return False


def callback_payload(batch: Iterable[_Due]) -> dict[str, Any]:
    """Meta's envelope around the statuses."""
    now = str(int(time.time()))
    changes = [
        {
            "field": "messages",
            "value": {
                "messaging_product": "whatsapp",
                "metadata": {"phone_number_id": due.phone_number_id},
                "statuses": [
                    {
                        "id": due.wamid,
                        "status": due.status,
                        "timestamp": now,
                        "recipient_id": due.to_number.removeprefix("+"),
                        "biz_opaque_callback_data": str(due.message_id),
                    }
                ],
            },
        }
        for due in batch
    ]
    return {"object": "whatsapp_business_account", "entry": [{"id": "simulated", "changes": changes}]}
