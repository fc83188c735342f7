"""The store of a cache that is switched off at the start: it connects nowhere and holds nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from easymo.cache.commands import UntrackedCommands
from easymo.cache.errors import Unavailable
from easymo.cache.store import Done
from easymo.cache.wire import Argument


class NullStore(UntrackedCommands):
    """A `Store` without a server. Deletions succeed: there is nothing that could be served."""

    connected = False
    why_not_tracking = last_error = "the cache was started without a server (REDIS_ENABLED=false)"

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def _send(self, *command: Argument, parse: Callable[[Any], Any] | None = None) -> Awaitable[Any]:
        raise Unavailable(self.last_error)

    async def delete(self, names: Iterable[str]) -> Done:
        return Done(0)

    async def scan(self, pattern: str) -> AsyncIterator[list[str]]:
        nothing: tuple[list[str], ...] = ()
        for names in nothing:
            yield names
