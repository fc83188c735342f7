"""Background work: sessions whose time is over come to an end."""

from contextlib import AbstractAsyncContextManager

import structlog

from easymo_platform.agent_core.store import SessionStore
from easymo_platform.runtime.background import repeatedly

_log = structlog.get_logger(__name__)


class Sweeper:
    """Looks for overdue sessions every ``interval_s`` seconds; replicas skip the rows that another one holds."""

    def __init__(self, store: SessionStore, interval_s: float) -> None:
        self._store = store
        self._interval_s = interval_s

    def running(self) -> AbstractAsyncContextManager[None]:
        """Sweeps in the background for the length of the block."""
        return repeatedly(self._look, self._interval_s, "sweep_failed", at_once=False)

    async def sweep(self) -> int:
        """End every overdue session. Returns how many."""
        ended = 0
        while batch := await self._store.end_overdue():
            ended += batch
        return ended

    async def _look(self) -> None:
        if ended := await self.sweep():
            _log.info("sessions_timed_out", sessions=ended)
        if soon := await self._store.about_to_end():
            _log.info("sessions_about_to_end", sessions=soon)
