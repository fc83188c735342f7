"""The near cache: values in this process, bounded by bytes, dropped the moment Redis says that they changed."""

from collections import OrderedDict
from typing import Any, Final

import msgspec

from easymo.cache.counters import Counters

ENTRY_OVERHEAD_BYTES: Final = 600
DECODED_FACTOR: Final = 4
"""A decoded value is charged four times its JSON: measured on structs of short strings and numbers."""

UNDECODED: Final[Any] = object()


class Entry(msgspec.Struct, eq=False):
    """One value as this process knows it. Times are of `time.monotonic`, in seconds."""

    prefix: bytes
    payload: bytes
    refresh_at: float
    fresh_until: float
    stale_until: float
    tags: dict[str, str]
    counters: Counters
    proven: bool = True
    visited: bool = False
    type: Any = UNDECODED
    value: Any = None
    size: int = 0


class Near:
    """Entries by key, evicted by second chance (a hit only sets a flag), plus the tag versions they rest on.

    `limit_bytes` bounds payloads, decoded values and a fixed overhead per entry. A tag version is known here only
    while Redis would tell us of its change; when it goes, every entry that rests on it goes too.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.accepting = True
        self.bytes = 0
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self.tags: OrderedDict[str, str] = OrderedDict()
        self._resting_on: dict[str, set[str]] = {}

    def put(self, key: str, entry: Entry) -> None:
        """Keep `entry`, unless it alone is larger than the whole cache."""
        if key in self.entries:
            self.drop(key)
        entry.size = ENTRY_OVERHEAD_BYTES + len(key) + len(entry.payload)
        if entry.size > self.limit_bytes or not self.accepting:
            return
        self.entries[key] = entry
        self.bytes += entry.size
        for tag in entry.tags:
            self._resting_on.setdefault(tag, set()).add(key)
        self._evict()

    def keep_decoded(self, key: str, entry: Entry, type_: Any, value: Any) -> None:
        """Remember the decoded form of an entry. The caller vouches that `value` cannot be changed."""
        entry.type, entry.value = type_, value
        if self.entries.get(key) is entry:
            grown = ENTRY_OVERHEAD_BYTES + len(key) + (1 + DECODED_FACTOR) * len(entry.payload)
            self.bytes += grown - entry.size
            entry.size = grown
            self._evict()

    def drop(self, key: str) -> None:
        entry = self.entries.pop(key, None)
        if entry is None:
            return
        self.bytes -= entry.size
        for tag in entry.tags:
            keys = self._resting_on.get(tag)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._resting_on[tag]

    def know_tag(self, tag: str, version: str) -> None:
        """Note the version of a tag that Redis tracks for us from now on."""
        if self.tags.get(tag) != version:
            self.drop_tag(tag)
            self.bytes += ENTRY_OVERHEAD_BYTES
        self.tags[tag] = version
        self._evict()

    def drop_tag(self, tag: str) -> None:
        if self.tags.pop(tag, None) is not None:
            self.bytes -= ENTRY_OVERHEAD_BYTES
        for key in self._resting_on.pop(tag, ()):
            self.drop(key)

    def clear(self) -> None:
        self.entries.clear()
        self.tags.clear()
        self._resting_on.clear()
        self.bytes = 0

    def _evict(self) -> None:
        while self.bytes > self.limit_bytes:
            if len(self.tags) > len(self.entries):
                self.drop_tag(next(iter(self.tags)))
                continue
            key, entry = next(iter(self.entries.items()))
            if entry.visited:
                entry.visited = False
                self.entries.move_to_end(key)
            else:
                self.drop(key)
