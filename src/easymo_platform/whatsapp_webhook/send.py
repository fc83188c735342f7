"""Sends queued messages, each one at most once as far as anybody outside can tell."""

import asyncio
import random
import time

import structlog

from easymo_platform.runtime.logs import identify
from easymo_platform.whatsapp_webhook.model import Work
from easymo_platform.whatsapp_webhook.provider import OPTED_OUT, OUTSIDE_WINDOW, OutcomeUnknown, Provider, Refused
from easymo_platform.whatsapp_webhook.simulated import SimulatedCallbacks
from easymo_platform.whatsapp_webhook.store import MessageStore, within_window

_log = structlog.get_logger(__name__)


class Throttle:
    """Lets ``per_s`` callers a second through, evenly."""

    def __init__(self, per_s: float) -> None:
        self._gap_s = 1 / per_s
        self._next = 0.0

    async def wait(self) -> None:
        """Until it is the caller's turn."""
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + self._gap_s
        if at > now:
            await asyncio.sleep(at - now)


class Sender:
    """Handles one claimed message that goes out.

    The claim is committed before the request leaves. If its outcome stays unknown (a crash, a time-out), the claim is
    left to run out; until then a status callback tells that it was sent. See ``claim_outbound`` for what follows.
    """

    def __init__(
        self, store: MessageStore, provider: Provider, throttle: Throttle, callbacks: SimulatedCallbacks | None
    ) -> None:
        self._store = store
        self._provider = provider
        self._throttle = throttle
        self._callbacks = callbacks

    async def handle(self, work: Work) -> None:
        """Send ``work``, or see to it that it is sent later or never."""
        identify(f"message-{work.id}", f"message-{work.payload.get('in_reply_to', work.id)}")
        if work.opted_out and not {"in_reply_to", "answers"} & work.payload.keys():
            await self._store.refuse(work, OPTED_OUT, "the person wants no messages (STOP)")
            return
        if work.message_type != "template" and not within_window(work.last_inbound_at):
            await self._store.refuse(work, OUTSIDE_WINDOW, "outside the 24-hour window")
            return
        await self._throttle.wait()
        try:
            wamid = await self._provider.send(work)
        except Refused as refused:
            await self._refused(work, refused)
        except OutcomeUnknown as error:
            _log.warning("outcome_unknown", message_id=str(work.id), problem=str(error))
            await self._store.count_unknown_outcome(work)
        else:
            await self._store.set_accepted(work, wamid)
            if self._callbacks is not None:
                self._callbacks.follow(work.id, wamid, work.phone_number_id or "", work.to_number)

    async def _refused(self, work: Work, refused: Refused) -> None:
        """ "Later" is no attempt: the message waits for as long as the provider says, and is never given up for it."""
        if refused.retry_after_s is None:
            await self._store.refuse(work, refused.code, refused.title)
        else:
            await self._store.postpone(work, refused.retry_after_s + random.uniform(0, 1), failed=False)
