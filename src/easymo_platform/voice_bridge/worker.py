"""Background work: calls that got stuck are failed, the gauge of live calls is kept up to date."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from prometheus_client import Gauge

from easymo_platform.runtime.errors import DatabaseError
from easymo_platform.voice_bridge.store import CallStore

_log = structlog.get_logger(__name__)


class Sweeper:
    """Looks for stuck calls every ``interval_s`` seconds, give or take a fifth so that replicas do not meet."""

    def __init__(self, store: CallStore, interval_s: float, live: Gauge) -> None:
        self._store = store
        self._interval_s = interval_s
        self._live = live

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
        """Fail every stuck call. Returns how many; 0 as well when another replica is sweeping."""
        swept = 0
        while batch := await self._store.fail_stuck_calls():
            swept += batch
        return swept

    async def _sweep_for_ever(self) -> None:
        due = False  # at the start only the gauge is set: replicas that start together would all sweep
        while True:
            try:
                if due and (swept := await self.sweep()):
                    _log.info("stuck_calls_failed", calls=swept)
                self._live.set(await self._store.count_live())
            except DatabaseError as error:
                _log.warning("sweep_failed", problem=str(error))
            due = True
            await asyncio.sleep(self._interval_s * random.uniform(0.8, 1.2))
