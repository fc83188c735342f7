"""Keeps this process honest: what may be kept, what must go, and who may still join a load.

Everything here runs in the order in which Redis sent it, on one connection, without a suspension point: a value is
kept when its answer is read, and dropped when the push behind it is read. So no stale answer can be stored after the
message that outdated it.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from easymo.cache.counters import Counters
from easymo.cache.flight import Flights
from easymo.cache.key import escape_glob
from easymo.cache.near import Entry, Near
from easymo.cache.store import Found, Held, Outdated, Store
from easymo.cache.stored_form import Foreign, Lease, unpack

CLOCK_S: Final = 0.005
"""A key that ends this much earlier than its value says has got a shorter life from another client."""


class Names:
    """How keys and tags are called in Redis: data under ``namespace:``, our own bookkeeping under ``namespace~``."""

    def __init__(self, namespace: str) -> None:
        if not namespace or ":" in namespace or "~" in namespace:
            raise ValueError(f"Namespace {namespace!r}: use a word without ':' and '~', so that no two can overlap.")
        self.data = f"{namespace}:"
        self.tag = f"{namespace}~tag:"
        self.lease = f"{namespace}~lease:"

    def of_key(self, key: str) -> str:
        return self.data + key

    def of_tags(self, tags: Iterable[str]) -> list[str]:
        return [self.tag + tag for tag in tags]


class Coherence:
    """The `Listener` of a store: it owns the near cache, the flights and those who wait for another process."""

    def __init__(self, names: Names, near: Near, flights: tuple[Flights, ...], default_counters: Counters) -> None:
        self.near = near
        self.flights = flights
        self.store: Store
        self.everything = escape_glob(names.data) + "*"
        self._names = names
        self._counters = default_counters
        self._waiting: dict[str, asyncio.Future[None]] = {}

    @property
    def keeps(self) -> bool:
        return self.near.accepting and self.near.limit_bytes > 0

    def arrived(self, name: str, raw: bytes | None) -> Found:
        names = self._names
        if name.startswith(names.tag):
            version = raw.decode(errors="replace") if raw is not None else None
            if version is not None and self.store.tracks:
                self.near.know_tag(name[len(names.tag) :], version)
            return version
        if raw is None:
            return None
        found = unpack(raw)
        if isinstance(found, Lease):
            return Held(found.prefix, self._watch(name) if self.store.tracks else None)
        if isinstance(found, Foreign):
            return found
        kept = self.store.kept
        if (kept.names or kept.patterns) and kept.covers((name, *names.of_tags(found.tags))):
            return Outdated(found.prefix)
        offset_s = self.store.epoch_minus_local_s
        entry = Entry(
            found.prefix,
            found.payload,
            found.refresh_at_ms / 1000 - offset_s,
            found.fresh_until_ms / 1000 - offset_s,
            found.stale_until_ms / 1000 - offset_s,
            found.tags,
            self._counters,
        )
        for tag, version in found.tags.items():
            known = self.near.tags.get(tag)
            if known is None:
                entry.proven = False
            elif known != version:
                return Outdated(found.prefix)
        if entry.proven and self.store.tracks:
            self.near.put(name[len(names.data) :], entry)
        return entry

    def ends(self, name: str, ends_at: float) -> None:
        entry = self.near.entries.get(name[len(self._names.data) :])
        if entry is not None and ends_at < entry.stale_until - CLOCK_S:
            entry.stale_until = ends_at
            entry.fresh_until = min(entry.fresh_until, ends_at)
            entry.refresh_at = min(entry.refresh_at, ends_at)

    def changed(self, names: Iterable[str]) -> None:
        for name in names:
            if name.startswith(self._names.data):
                self.near.drop(name[len(self._names.data) :])
            elif name.startswith(self._names.tag):
                self.near.drop_tag(name[len(self._names.tag) :])
            waiting = self._waiting.pop(name, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
            for flights in self.flights:
                flights.detach(name)

    def changed_matching(self, pattern: str) -> None:
        if pattern == self.everything:
            self.near.clear()
        else:
            self.near.drop_matching(pattern.removeprefix(escape_glob(self._names.data)))
        for flights in self.flights:
            flights.detach_all()

    def stalled(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    def lost(self) -> None:
        self.near.clear()
        for flights in self.flights:
            flights.detach_all()
        self.stalled()

    def _watch(self, name: str) -> asyncio.Future[None]:
        waiting = self._waiting.get(name)
        if waiting is None or waiting.done():
            waiting = self._waiting[name] = asyncio.get_running_loop().create_future()
        return waiting
