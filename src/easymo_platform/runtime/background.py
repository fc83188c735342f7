"""Work beside the requests: a task for the length of a block, and what is looked at again and again."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import structlog

from easymo_platform.runtime.errors import DatabaseError

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def in_background(run: Callable[[], Coroutine[Any, Any, None]], name: str) -> AsyncIterator[None]:
    """``run()`` as a task for the length of the block; it is cancelled at the end."""
    task = asyncio.create_task(run(), name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def repeatedly(
    look: Callable[[], Awaitable[object]], interval_s: float, failed: str, *, at_once: bool = True
) -> AbstractAsyncContextManager[None]:
    """``look()`` every ``interval_s`` seconds for the length of the block, give or take a fifth so that replicas do not
    meet; the first time at the block's beginning if ``at_once``. When Postgres fails it is logged as ``failed``.
    """

    async def repeat() -> None:
        wait_s = 0.0 if at_once else _about(interval_s)
        while True:
            await asyncio.sleep(wait_s)
            try:
                await look()
            except DatabaseError as error:
                _log.warning(failed, problem=str(error))
            wait_s = _about(interval_s)

    return in_background(repeat, look.__qualname__)


def _about(interval_s: float) -> float:
    return interval_s * random.uniform(0.8, 1.2)
