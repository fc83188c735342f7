"""A cached value as the bytes that a response can send."""

from hashlib import blake2b
from time import monotonic

from easymo.cache.flight import Loaded, Outcome


class CachedBytes(bytes):
    """The JSON of a value, as it is, and where it came from: `outcome` is HIT (a stale value too), MISS or BYPASS.

    `max_age_s` is what is left of the ttl in whole seconds, 0 for a stale value or one that could not be stored;
    `stale_for_s` is how much longer it may be served while it is loaded again.
    """

    outcome: Outcome
    max_age_s: int
    stale_for_s: int

    @classmethod
    def of(cls, loaded: Loaded) -> "CachedBytes":
        self = cls(loaded.entry.payload)
        entry, now, kept = loaded.entry, monotonic(), loaded.outcome != "BYPASS"
        self.outcome = loaded.outcome
        self.max_age_s = max(0, int(entry.fresh_until - now)) if kept else 0
        self.stale_for_s = max(0, int(entry.stale_until - max(now, entry.fresh_until))) if kept else 0
        return self

    @property
    def version(self) -> str:
        """The same for the same content, whoever loaded it and when: an ETag."""
        return blake2b(self, digest_size=8).hexdigest()
