"""Tags: a value is good only while every tag has the version it had before the value was loaded.

A tag is one key in Redis that holds a random version. Invalidating the tag deletes that key, so an evicted or expired
tag invalidates too much and never too little, and any client's DEL of it is an invalidation.
"""

import asyncio
import os
from collections.abc import Iterable
from typing import Final

from easymo.cache.coherence import Names
from easymo.cache.near import Entry, Near
from easymo.cache.store import Store

TAG_TTL_MS: Final = 7 * 24 * 3600 * 1000
"""A tag that lives longer than most values; when it ends, its values are loaded once more."""


class Tags:
    """Reads and proves tag versions."""

    def __init__(self, names: Names, near: Near, store: Store) -> None:
        self._names = names
        self._near = near
        self._store = store

    async def before_load(self, tags: Iterable[str]) -> dict[str, str]:
        """The versions to store with a value whose load has not begun; tags without one get one."""
        versions: dict[str, str] = {}
        for tag in tags:
            known = self._near.tags.get(tag)
            if known is None:
                found = await self._store.ensure(self._names.tag + tag, os.urandom(8).hex().encode(), TAG_TTL_MS)
                known = found if isinstance(found, str) else ""
            versions[tag] = known
        return versions

    async def prove(self, entry: Entry) -> bool:
        """Whether the tags of a value still have its versions, by asking Redis for those that are not known here."""
        unknown = [tag for tag in entry.tags if self._near.tags.get(tag) is None]
        found = await asyncio.gather(*[self._store.get(self._names.tag + tag) for tag in unknown])
        versions = dict(zip(unknown, found, strict=True))
        return all(versions.get(tag, self._near.tags.get(tag)) == version for tag, version in entry.tags.items())
