"""Looks into Redis from outside, for people on call: what is stored under a key, how many keys a pattern matches.

It reads only; whoever wants to change something uses `CacheService`. One server (redis://, rediss://, unix://).
"""

from contextlib import closing
from typing import Any, Final, Literal

import msgspec
import redis

from easymo.cache.coherence import Names
from easymo.cache.errors import CacheError
from easymo.cache.key import escape_glob
from easymo.cache.stored_form import Lease, Stored, unpack

SCAN_BATCH: Final = 1000


class InspectionError(CacheError):
    """Redis could not be asked."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"Redis cannot be asked: {reason}. Check REDIS_URL and that the server is up.")


class Inspected(msgspec.Struct, frozen=True):
    """What is stored under a key. Seconds count from now; `outdated` names the tags that were invalidated since.

    `state`: `value`, `lease` (somebody is loading it right now) or `foreign` (not written by easymo.cache; a read of it
    is a counted miss).
    """

    key: str
    state: Literal["value", "lease", "foreign"]
    size_bytes: int
    value: Any = None
    fresh_for_s: float | None = None
    kept_for_s: float | None = None
    tags: list[str] = []
    outdated: list[str] = []


def inspect(url: str, namespace: str, key: str) -> Inspected | None:
    """What Redis at `url` holds under `key` of `namespace`; None when there is nothing. Raises InspectionError."""
    names = Names(namespace)
    try:
        with closing(redis.Redis.from_url(url)) as client:
            raw = client.get(names.of_key(key))
            if not isinstance(raw, bytes):
                return None
            found = unpack(raw)
            if not isinstance(found, Stored):
                return Inspected(key, "lease" if isinstance(found, Lease) else "foreign", len(raw))
            seconds, microseconds = client.time()
            versions: Any = client.mget(names.of_tags(found.tags)) if found.tags else []
    except redis.RedisError as error:
        raise InspectionError(error) from error
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    pairs = zip(found.tags.items(), versions, strict=True)
    return Inspected(
        key=key,
        state="value",
        size_bytes=len(raw),
        value=_value(found.payload),
        fresh_for_s=(found.fresh_until_ms - now_ms) / 1000,
        kept_for_s=(found.stale_until_ms - now_ms) / 1000,
        tags=list(found.tags),
        outdated=[tag for (tag, stored), current in pairs if current is None or current.decode() != stored],
    )


def count_matching(url: str, namespace: str, pattern: str) -> int:
    """How many keys of `namespace` match the glob `pattern`: what `invalidate_pattern` would delete."""
    full = escape_glob(Names(namespace).data) + pattern
    try:
        with closing(redis.Redis.from_url(url)) as client:
            return len(set(client.scan_iter(match=full, count=SCAN_BATCH)))
    except redis.RedisError as error:
        raise InspectionError(error) from error


def server_figures(url: str) -> dict[str, int | str]:
    """The server's own figures, which count every client and not only this cache."""
    wanted = ("used_memory", "maxmemory", "maxmemory_policy", "evicted_keys", "keyspace_hits", "keyspace_misses")
    try:
        with closing(redis.Redis.from_url(url)) as client:
            info: Any = client.info()
    except redis.RedisError as error:
        raise InspectionError(error) from error
    return {name: info[name] for name in wanted if name in info}


def _value(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except msgspec.DecodeError:
        return payload.decode(errors="replace")
