"""Work from a queue: claimed as there is room, handled side by side, finished before the end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import structlog

from easymo_platform.runtime.errors import DatabaseError

IDLE_S = 1.0
"""How often a queue is looked at when nobody says that something has come."""

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class Pump(Generic[T]):
    """Claims up to ``at_once`` items and handles them; :meth:`wake` says that there may be more."""

    def __init__(
        self,
        name: str,
        claim: Callable[[int], Awaitable[list[T]]],
        handle: Callable[[T], Awaitable[None]],
        at_once: int,
    ) -> None:
        self._name = name
        self._claim = claim
        self._handle = handle
        self._at_once = at_once
        self._wake = asyncio.Event()
        self._stopping = False
        self._under_way: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Works for the length of the block; at its end nothing more is claimed and what was begun is finished."""
        task = asyncio.create_task(self._work(), name=self._name)
        try:
            yield
        finally:
            self._stopping = True
            self._wake.set()
            await task
            await asyncio.gather(*self._under_way)

    async def _work(self) -> None:
        while not self._stopping:
            self._wake.clear()
            free = self._at_once - len(self._under_way)
            try:
                items = await self._claim(free) if free else []
            except DatabaseError as error:
                _log.warning("claim_failed", queue=self._name, problem=str(error))
                items = []
            for item in items:
                task = asyncio.create_task(self._handle_one(item))
                self._under_way.add(task)
                task.add_done_callback(self._done)
            if not items:
                await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(IDLE_S):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _handle_one(self, item: T) -> None:
        try:
            await self._handle(item)
        except DatabaseError as error:
            # The claim stays and runs out: then it is tried again.
            _log.warning("work_left", queue=self._name, problem=str(error))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._wake.set()
