"""Which store a URL asks for."""

from ssl import SSLContext

from easymo.cache.address import SCHEMES, Address
from easymo.cache.connection import Connection, Credentials
from easymo.cache.counters import Events
from easymo.cache.memory import MemoryStore
from easymo.cache.null import NullStore
from easymo.cache.store import Listener, Store


def store_for(
    url: str,
    listener: Listener,
    events: Events,
    timeout_s: float,
    credentials: Credentials | None = None,
    tls: SSLContext | None = None,
) -> Store:
    """The store that a URL asks for. Raises ValueError for an unknown scheme."""
    scheme, mark, _ = url.partition("://")
    if scheme in SCHEMES and mark:
        return Connection(Address.of(url, tls), listener, events, timeout_s, credentials)
    if scheme == "null":
        return NullStore(listener)
    if scheme == "memory":
        return MemoryStore(listener)
    if scheme in ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"):
        from easymo.cache.redispy import RedisPyStore

        return RedisPyStore(url, listener, events, timeout_s)
    raise ValueError(
        f"The cache URL has {f'scheme {scheme!r}' if mark else 'no scheme'}; use redis://, rediss:// or unix:// (one "
        "server; valkey:// and valkeys:// mean the same), redis+sentinel:// or redis+cluster:// (through redis-py), or "
        "memory:// (tests)."
    )
