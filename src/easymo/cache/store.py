"""What a cache needs of the place that all processes share, and who hears of what arrives from there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from easymo.cache.errors import Unavailable
from easymo.cache.near import Entry
from easymo.cache.stored_form import Foreign

T = TypeVar("T")
BATCH: Final = 500
"""Names per command when many are read or deleted."""


class Held(NamedTuple):
    """A lease in the key: somebody loads. `changed` is done when the key changes; None where nobody would tell us."""

    prefix: bytes
    changed: asyncio.Future[None] | None


class Outdated(NamedTuple):
    """A value that was invalidated by one of its tags, or whose deletion Redis has not heard of yet."""

    prefix: bytes


Found = Entry | Held | Outdated | Foreign | str | None
"""What a read of a name gives: a value, a lease, something unusable, the version of a tag, or nothing."""


class Done(int):
    """How many were stored, or how many of those to delete Redis had.

    `undone`: for how many Redis gave no good answer, and `error` says why. Deletions are kept and sent later.
    """

    undone: int
    error: Unavailable | None

    def __new__(cls, count: int, undone: int = 0, error: Unavailable | None = None) -> "Done":
        self = super().__new__(cls, count)
        self.undone, self.error = undone, error
        return self


class Listener(Protocol):
    """Hears of everything in the order in which Redis sent it."""

    everything: str
    """The pattern of all names that hold values."""

    @property
    def keeps(self) -> bool:
        """Whether anything that arrives is kept in the process."""

    def arrived(self, name: str, raw: bytes | None) -> Found:
        """A read of `name` was answered."""

    def ends(self, name: str, ends_at: float) -> None:
        """The name that was just read ends in Redis at `ends_at` (of `time.monotonic`)."""

    def changed(self, names: Iterable[str]) -> None:
        """These names were changed by anybody."""

    def changed_matching(self, pattern: str) -> None:
        """All names that match a glob may have been changed."""

    def stalled(self) -> None:
        """For now the server says nothing: those who wait for a change must look again."""

    def lost(self) -> None:
        """From now on changes may go unheard."""


class Store(Protocol):
    """Redis, as the cache uses it. Names are full Redis keys.

    Every method raises Unavailable, and quickly, when there is no answer. `tracks` says whether the listener hears
    of changes made by others; only then may anything be kept in the process. `without` names what the server refuses
    and the cache therefore does without.
    """

    tracks: bool
    why_not_tracking: str
    last_error: str
    kept: "KeptDeletions"
    without: dict[str, str]
    timeout_s: float
    rtt_s: float

    @property
    def connected(self) -> bool: ...
    @property
    def epoch_minus_local_s(self) -> float:
        """The clock of the store minus `time.monotonic`; rather too great than too small, so copies end early."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    def get(self, name: str) -> Awaitable[Found]:
        """Read a name, as the listener made it out."""

    def get_all(self, names: Sequence[str]) -> Awaitable[list[Found]]:
        """Read several names."""

    def put(self, name: str, raw: bytes, ttl_ms: int, *, bulk: bool = False) -> Awaitable[Any]:
        """Store a value; as one of many (`bulk`) with more patience."""

    async def claim(self, name: str, expected: bytes, lease: bytes, lease_ms: int) -> Found:
        """Put `lease` where nothing is (or what begins with `expected`, if that is not empty); then read the name."""

    async def replace(self, name: str, expected: bytes, raw: bytes, ttl_ms: int) -> bool:
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
        """Keep deletions that could not be made, and make them when that is possible again."""

    async def delete(self, names: Iterable[str]) -> Done:
        """Delete names; those that cannot be deleted now are kept. Never raises Unavailable."""

    async def ensure(self, name: str, value: bytes, ttl_ms: int) -> Found:
        """Put `value` where nothing is; then read the name."""

    def scan(self, pattern: str) -> AsyncIterator[list[str]]:
        """The names that match a pattern, in batches, each at least once."""

    async def figures(self) -> dict[str, int | str]:
        """The server's own figures."""

    async def eval(self, script: str, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        """Run a Lua script."""


MAX_KEPT: Final = 100_000


class KeptDeletions:
    """Deletions that Redis has not confirmed. While one is kept, its value is not served from anywhere.

    Beyond `MAX_KEPT` names `everything`, the pattern of all values, counts as deleted: too much, never too little.
    """

    def __init__(self, everything: str, matches: Callable[[str, str], bool]) -> None:
        self.names: set[str] = set()
        self.patterns: set[str] = set()
        self.times_kept = 0
        self.sent_late = 0
        self._everything = everything
        self._matches = matches

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

    def covers(self, names: Sequence[str]) -> bool:
        """Whether a value under one of these names may be one that was deleted."""
        return not self.names.isdisjoint(names) or any(
            self._matches(pattern, name) for pattern in self.patterns for name in names
        )

    async def send(
        self, unlink: Callable[..., Awaitable[object]], scan: Callable[[str], AsyncIterator[list[str]]]
    ) -> None:
        """Delete everything that is kept, names first. What fails, or is deleted again meanwhile, stays kept."""
        for batch in batched(tuple(self.names)):
            self.names.difference_update(batch)  # before it is sent, since it may be deleted again meanwhile
            try:
                await unlink(*batch)
            except BaseException:
                self.names.update(batch)
                raise
            self.sent_late += len(batch)
        for pattern in tuple(self.patterns):
            async for names in scan(pattern):
                await unlink(*names)
            self.patterns.discard(pattern)
            self.sent_late += 1


def batched(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items in batches of `BATCH`."""
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
