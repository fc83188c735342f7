"""Which store a URL asks for."""

from easymo.cache.connection import Connection
from easymo.cache.counters import Events
from easymo.cache.memory import MemoryStore
from easymo.cache.null import NullStore
from easymo.cache.store import Listener, Store


def store_for(url: str, listener: Listener, events: Events, timeout_s: float) -> Store:
    """The store that a URL asks for. Raises ValueError for an unknown scheme."""
    scheme, mark, _ = url.partition("://")
    if scheme in ("redis", "unix"):
        return Connection(url, listener, events, timeout_s)
    if scheme == "null":
        return NullStore(listener)
    if scheme == "memory":
        return MemoryStore(listener)
    if scheme in ("rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"):
        from easymo.cache.redispy import RedisPyStore

        return RedisPyStore(url, listener, events, timeout_s)
    raise ValueError(
        f"The cache URL has {f'scheme {scheme!r}' if mark else 'no scheme'}; use redis:// or unix:// (one server), "
        "rediss://, redis+sentinel:// or redis+cluster:// (through redis-py), or memory:// (tests)."
    )
