"""Background work: sessions whose time is over come to an end."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from easymo_platform.agent_core.store import SessionStore
from easymo_platform.runtime.errors import DatabaseError

_log = structlog.get_logger(__name__)


class Sweeper:
    """Looks for overdue sessions every ``interval_s`` seconds; replicas skip the rows that another one holds."""

    def __init__(self, store: SessionStore, interval_s: float) -> None:
        self._store = store
        self._interval_s = interval_s

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sweeps in the background for the length of the block."""
        task = asyncio.create_task(self._sweep_for_ever(), name="sweeper")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def sweep(self) -> int:
        """End every overdue session. Returns how many."""
        ended = 0
        while batch := await self._store.end_overdue():
            ended += batch
        return ended

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s * random.uniform(0.8, 1.2))
            try:
                if ended := await self.sweep():
                    _log.info("sessions_timed_out", sessions=ended)
                if soon := await self._store.about_to_end():
                    _log.info("sessions_about_to_end", sessions=soon)
            except DatabaseError as error:
                _log.warning("sweep_failed", problem=str(error))
