"""The near cache: values in this process, bounded by bytes, dropped the moment Redis says that they changed."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final

import msgspec

from easymo.cache.counters import Counters
from easymo.cache.key import glob_matches

ENTRY_OVERHEAD_BYTES: Final = 600
DECODED_FACTOR: Final = 4
"""A decoded value is charged four times its JSON: measured on structs of short strings and numbers."""

UNDECODED: Final[Any] = object()
ENDED: Final = -1.0
"""The `refresh_at` of an entry that must not be served any more, though it has not been removed yet."""
SLICE: Final = 1000
"""So many entries are removed at once; the rest follows while the event loop does other things."""


class Entry(msgspec.Struct, eq=False, gc=False):
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
    while Redis would tell us of its change; when it goes, every entry that rests on it ends at once.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.accepting = True
        self.bytes = 0
        self.entries: OrderedDict[str, Entry] = OrderedDict()
        self.tags: OrderedDict[str, str] = OrderedDict()
        self._resting_on: dict[str, dict[str, Entry]] = {}

    def usable(self, key: str) -> Entry | None:
        """The entry of a key, which may be stale."""
        entry = self.entries.get(key)
        return entry if entry is not None and entry.refresh_at >= 0 else None

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
            self._resting_on.setdefault(tag, {})[key] = entry
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
                keys.pop(key, None)
                if not keys:
                    del self._resting_on[tag]

    def drop_matching(self, pattern: str) -> None:
        """Drop the entries whose keys match a Redis glob."""
        for key in [key for key in self.entries if glob_matches(pattern, key)]:
            self.drop(key)

    def know_tag(self, tag: str, version: str) -> None:
        """Note the version of a tag that Redis tracks for us from now on."""
        if self.limit_bytes <= 0:
            return
        if self.tags.get(tag) != version:
            self.drop_tag(tag)
            self.bytes += ENTRY_OVERHEAD_BYTES
        self.tags[tag] = version
        self._evict()

    def drop_tag(self, tag: str) -> None:
        if self.tags.pop(tag, None) is not None:
            self.bytes -= ENTRY_OVERHEAD_BYTES
        resting = self._resting_on.pop(tag, None)
        if resting:
            for entry in resting.values():
                entry.refresh_at = ENDED
            self._remove(iter(resting.items()))

    def _remove(self, ended: Iterator[tuple[str, Entry]]) -> None:
        batch = list(islice(ended, SLICE))
        for key, entry in batch:
            if self.entries.get(key) is entry:
                self.drop(key)
        if len(batch) == SLICE:
            asyncio.get_running_loop().call_soon(self._remove, ended)

    def clear(self) -> None:
        old = self.entries, self.tags, self._resting_on
        self.entries, self.tags, self._resting_on = OrderedDict(), OrderedDict(), {}
        self.bytes = 0
        if len(old[0]) > SLICE:
            with suppress(RuntimeError):  # no loop runs: then nobody waits either
                asyncio.get_running_loop().call_soon(_free, *old)

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


def _free(*dictionaries: Any) -> None:
    """Give memory back in slices; all of it at once would stall the event loop."""
    for dictionary in dictionaries:
        for _ in range(min(SLICE, len(dictionary))):
            dictionary.popitem()
    if any(dictionaries):
        asyncio.get_running_loop().call_soon(_free, *dictionaries)
