"""What a cache needs of the place that all processes share, and who is told of what arrives from there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, NamedTuple, Protocol

from easymo.cache.near import Entry
from easymo.cache.stored_form import Foreign

BATCH: Final = 500
"""Names per command when many are read or deleted."""


class Held(NamedTuple):
    """A lease in the key: somebody loads. `changed` is done when the key changes; None where nobody tells us."""

    prefix: bytes
    changed: asyncio.Future[None] | None


class Outdated(NamedTuple):
    """A value that was invalidated by one of its tags, or whose deletion Redis has not heard of yet."""

    prefix: bytes


Found = Entry | Held | Outdated | Foreign | str | None
"""What a read of a name gives: a value, a lease, something unusable, the version of a tag, or nothing."""


class Listener(Protocol):
    """Told of everything in the order in which Redis sent it."""

    everything: str
    """The pattern of all names that hold values."""

    def arrived(self, name: str, raw: bytes | None) -> Found:
        """A read of `name` was answered."""

    def changed(self, names: Iterable[str] | None) -> None:
        """These names were changed by anybody; None: all of them may have been."""

    def lost(self) -> None:
        """From now on changes may go unheard."""


class Store(Protocol):
    """Redis, as the cache uses it. Names are full Redis keys.

    Every method raises Unavailable, and quickly, when there is no answer. `tracks` says whether the listener hears
    of changes made by others; only then may anything be kept in the process.
    """

    @property
    def tracks(self) -> bool: ...
    @property
    def why_not_tracking(self) -> str: ...
    @property
    def connected(self) -> bool: ...
    @property
    def last_error(self) -> str: ...
    @property
    def kept(self) -> "KeptDeletions": ...
    @property
    def epoch_minus_local_s(self) -> float:
        """The clock of the store minus `time.monotonic`; rather too great than too small, so that copies end early."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    def get(self, name: str) -> Awaitable[Found]:
        """Read a name, as the listener made it out."""

    async def put(self, name: str, raw: bytes, expires_at_ms: int) -> None: ...

    async def claim(self, name: str, expected: bytes, lease: bytes, lease_ms: int) -> Found:
        """Put `lease` where nothing is (or what begins with `expected`, if that is not empty); then read the name."""

    async def replace(self, name: str, expected: bytes, raw: bytes, expires_at_ms: int) -> bool:
        """Store `raw` only if what is there begins with `expected`."""

    async def take_lease(self, name: str, lease: bytes, lease_ms: int) -> bool:
        """Put `lease` where nothing is, without reading."""

    async def renew(self, name: str, lease: bytes, lease_ms: int) -> Found:
        """Lengthen a lease that is still there; then read the name."""

    async def release(self, name: str, lease: bytes) -> None:
        """Take away a lease that is still there."""

    async def wait_changed(self, held: Held, timeout_s: float) -> None:
        """Wait until a name that somebody else holds may have changed."""

    def keep(self, names: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        """Keep deletions that could not be made, and make them first when that is possible again."""

    async def delete(self, names: Iterable[str]) -> int:
        """Delete names; those that cannot be deleted now are kept and deleted first when that is possible again."""

    async def ensure(self, name: str, value: bytes, ttl_ms: int) -> Found:
        """Put `value` where nothing is; then read the name."""

    def scan(self, pattern: str) -> AsyncIterator[list[str]]:
        """The names that match a pattern, in batches, each at least once."""

    async def figures(self) -> dict[str, int | str]:
        """The server's own figures."""


MAX_KEPT: Final = 100_000


class KeptDeletions:
    """Deletions that Redis has not confirmed. While one is kept, its value is not served from anywhere.

    Beyond `MAX_KEPT` names `everything`, the pattern of all values, counts as deleted: too much, never too little.
    """

    def __init__(self, everything: str) -> None:
        self.names: set[str] = set()
        self.patterns: set[str] = set()
        self.times_kept = 0
        self.sent_late = 0
        self._everything = everything

    def __len__(self) -> int:
        return len(self.names) + len(self.patterns)

    def keep(self, names: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        """Keep the deletions of one call."""
        self.times_kept += 1
        self.patterns.update(patterns)
        self.names.update(names)
        if len(self.names) > MAX_KEPT:
            self.names.clear()
            self.patterns.add(self._everything)

    def covers(self, names: Iterable[str]) -> bool:
        """Whether a value under one of these names may be one that was deleted."""
        return bool(self.patterns) or not self.names.isdisjoint(names)

    async def send(
        self, unlink: Callable[..., Awaitable[object]], scan: Callable[[str], AsyncIterator[list[str]]]
    ) -> None:
        """Delete everything that is kept. What fails, or is deleted again meanwhile, stays kept."""
        names = tuple(self.names)
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            self.names.difference_update(batch)  # before it is sent, since it may be deleted again meanwhile
            try:
                await unlink(*batch)
            except BaseException:
                self.names.update(batch)
                raise
            self.sent_late += len(batch)
        for pattern in tuple(self.patterns):
            async for found in scan(pattern):
                await unlink(*found)
            self.patterns.discard(pattern)
            self.sent_late += 1
