"""A pytest fixture for tests of programs that use the cache, with a clock that a test moves.

pytest_plugins = ["easymo.cache.pytest"]  # in conftest.py

async def test_it_is_loaded_again_after_its_ttl(easymo_cache):
    await report(easymo_cache)
    easymo_cache.pass_time(seconds=301)
    ...
"""

import pytest

from easymo.cache.memory import MemoryStore
from easymo.cache.service import CacheService


class TestCache(CacheService):
    """A cache in this process, empty whenever it is opened, whose time passes when the test says so."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__("memory://")

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass for everything that the cache holds; it must be open."""
        assert isinstance(self._store, MemoryStore)
        self._store.shift_s += seconds


@pytest.fixture
def easymo_cache() -> TestCache:
    """A cache for one test. It is not open: the application opens it in its lifespan, or a test by `async with`."""
    return TestCache()
