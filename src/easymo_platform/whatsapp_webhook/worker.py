"""Background work on messages: answering what came in, sending what goes out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import asyncpg
import structlog

from easymo_platform.runtime.app import Runtime
from easymo_platform.runtime.background import in_background
from easymo_platform.runtime.client import Peer
from easymo_platform.runtime.pump import Pump
from easymo_platform.whatsapp_webhook.answer import Answerer
from easymo_platform.whatsapp_webhook.provider import provider_for
from easymo_platform.whatsapp_webhook.send import Sender, Throttle
from easymo_platform.whatsapp_webhook.settings import WhatsAppSettings
from easymo_platform.whatsapp_webhook.simulated import SimulatedCallbacks
from easymo_platform.whatsapp_webhook.store import MessageStore

CHANNEL = "whatsapp_work"
LISTEN_CHECK_S = 5.0

_log = structlog.get_logger(__name__)


class Worker:
    """One process's worth of work. Any number of them share the queue."""

    def __init__(self, runtime: Runtime, settings: WhatsAppSettings, store: MessageStore) -> None:
        self._settings = settings
        self._store = store
        self._agent = Peer("agent-core", settings.agent_core_url, runtime.tokens, runtime.metrics)
        self._provider = provider_for(settings)
        simulated = settings.whatsapp_provider == "simulated"
        self._callbacks = SimulatedCallbacks(settings, store) if simulated else None
        answerer = Answerer(store, self._agent, self._provider, runtime.limits, settings.whatsapp_answers_per_minute)
        sender = Sender(store, self._provider, Throttle(settings.whatsapp_sends_per_s), self._callbacks)
        at_once = settings.whatsapp_at_once
        self._answering = Pump("inbound", self._claim_inbound, answerer.handle, at_once)
        self._sending = Pump("outbound", self._claim_outbound, sender.handle, at_once)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Works for the length of the block; what was begun is finished."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._provider.opened())
            await stack.enter_async_context(self._agent)
            if self._callbacks is not None:
                _log.warning("provider_is_simulated", note="no message leaves this machine")
                await stack.enter_async_context(self._callbacks.running())
            await stack.enter_async_context(self._sending.running())
            await stack.enter_async_context(self._answering.running())
            await stack.enter_async_context(in_background(self._listen_for_ever, "listen"))
            yield

    async def _claim_inbound(self, room: int) -> list[Any]:
        return list(await self._store.claim_inbound(room, self._settings.whatsapp_lease_s))

    async def _claim_outbound(self, room: int) -> list[Any]:
        return list(await self._store.claim_outbound(room, self._settings.whatsapp_unknown_s))

    def _wake(self, *_: object) -> None:
        self._answering.wake()
        self._sending.wake()

    async def _listen_for_ever(self) -> None:
        """On a connection of its own: LISTEN belongs to a session. While it is away the pumps look by the clock."""
        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection = await asyncpg.connect(self._settings.database_url)
                try:
                    await connection.add_listener(CHANNEL, self._wake)
                    while not connection.is_closed():
                        await connection.execute("select 1")
                        await asyncio.sleep(LISTEN_CHECK_S)
                finally:
                    await connection.close()
            await asyncio.sleep(1)
