"""Background work: calls that got stuck are failed, the gauge of live calls is kept up to date."""

from contextlib import AbstractAsyncContextManager

import structlog
from prometheus_client import Gauge

from easymo_platform.runtime.background import repeatedly
from easymo_platform.voice_bridge.store import CallStore

_log = structlog.get_logger(__name__)


class Sweeper:
    """Looks for stuck calls every ``interval_s`` seconds, give or take a fifth so that replicas do not meet."""

    def __init__(self, store: CallStore, interval_s: float, live: Gauge) -> None:
        self._store = store
        self._interval_s = interval_s
        self._live = live
        self._due = False  # at the start only the gauge is set: replicas that start together would all sweep

    def running(self) -> AbstractAsyncContextManager[None]:
        """Sweeps in the background for the length of the block."""
        return repeatedly(self._look, self._interval_s, "sweep_failed")

    async def sweep(self) -> int:
        """Fail every stuck call. Returns how many; 0 as well when another replica is sweeping."""
        swept = 0
        while batch := await self._store.fail_stuck_calls():
            swept += batch
        return swept

    async def _look(self) -> None:
        if self._due and (swept := await self.sweep()):
            _log.info("stuck_calls_failed", calls=swept)
        self._due = True
        self._live.set(await self._store.count_live())
