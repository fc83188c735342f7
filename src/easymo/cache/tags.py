"""Tags: a value is good only while every tag has the version it had before the value was loaded.

A tag is one key in Redis that holds a random version. Invalidating the tag deletes that key, so an evicted or expired
tag invalidates too much and never too little, and any client's DEL of it is an invalidation.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from typing import Final

from easymo.cache.coherence import Names
from easymo.cache.near import Entry, Near
from easymo.cache.store import Found, Store

TAG_TTL_MS: Final = 7 * 24 * 3600 * 1000
"""A tag that lives longer than most values; when it ends, its values are loaded once more."""
_NONE: Final[Mapping[str, asyncio.Future[Found]]] = {}


class Tags:
    """Reads and proves tag versions."""

    def __init__(self, names: Names, near: Near, store: Store) -> None:
        self._names = names
        self._near = near
        self._store = store

    async def before_load(self, tags: Iterable[str]) -> dict[str, str]:
        """The versions to store with a value whose load has not begun; tags without one get one."""
        near = self._near.tags
        versions = {tag: near.get(tag, "") for tag in tags}
        unknown = [tag for tag, version in versions.items() if not version]
        if unknown:
            found = await asyncio.gather(*[self._ensure(tag) for tag in unknown])
            versions.update(zip(unknown, found, strict=True))
        return versions

    async def _ensure(self, tag: str) -> str:
        found = await self._store.ensure(self._names.tag + tag, os.urandom(8).hex().encode(), TAG_TTL_MS)
        return found if isinstance(found, str) else ""

    def ask(self, tags: Iterable[str]) -> dict[str, asyncio.Future[Found]]:
        """Send reads of the versions that are not known here, ahead of the read of a value that may rest on them."""
        near, prefix = self._near.tags, self._names.tag
        return {tag: asyncio.ensure_future(self._store.get(prefix + tag)) for tag in tags if tag not in near}

    async def prove(self, entry: Entry, asked: Mapping[str, asyncio.Future[Found]] = _NONE) -> bool:
        """Whether the tags of a value still have its versions; those that are neither known nor `asked` are read."""
        asked = {**asked, **self.ask([tag for tag in entry.tags if tag not in asked])}
        versions = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True)) if asked else {}
        near = self._near.tags
        return all(near.get(tag, versions.get(tag)) == version for tag, version in entry.tags.items())
