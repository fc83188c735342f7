"""The store of a cache that is switched off at the start: it connects nowhere and holds nothing."""

from collections.abc import AsyncIterator, Iterable

from easymo.cache.errors import Unavailable
from easymo.cache.store import Found, Held, KeptDeletions

_OFF = "REDIS_ENABLED=false"


class NullStore:
    """A `Store` without a server. Deletions succeed: there is nothing that could be served."""

    tracks = False
    why_not_tracking = _OFF
    connected = False
    last_error = ""

    def __init__(self) -> None:
        self.kept = KeptDeletions()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def to_local_s(self, epoch_ms: int) -> float:
        return epoch_ms / 1000

    def to_epoch_ms(self, local_s: float) -> int:
        return int(local_s * 1000)

    async def get(self, name: str) -> Found:
        raise Unavailable(_OFF)

    async def put(self, name: str, raw: bytes, expires_at_ms: int) -> None:
        raise Unavailable(_OFF)

    async def claim(self, name: str, expected: bytes, lease: bytes, lease_ms: int) -> Found:
        raise Unavailable(_OFF)

    async def ensure(self, name: str, value: bytes, ttl_ms: int) -> Found:
        raise Unavailable(_OFF)

    async def replace(self, name: str, expected: bytes, raw: bytes, expires_at_ms: int) -> bool:
        raise Unavailable(_OFF)

    async def take_lease(self, name: str, lease: bytes, lease_ms: int) -> bool:
        raise Unavailable(_OFF)

    async def renew(self, name: str, lease: bytes, lease_ms: int) -> Found:
        raise Unavailable(_OFF)

    async def release(self, name: str, lease: bytes) -> None:
        raise Unavailable(_OFF)

    async def wait_changed(self, held: Held, timeout_s: float) -> None:
        raise Unavailable(_OFF)

    async def delete(self, names: Iterable[str]) -> int:
        return 0

    async def scan(self, pattern: str) -> AsyncIterator[list[str]]:
        nothing: tuple[list[str], ...] = ()
        for names in nothing:
            yield names

    async def figures(self) -> dict[str, int | str]:
        raise Unavailable(_OFF)
