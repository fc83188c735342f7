"""Work beside the requests."""

import asyncio

import pytest
from structlog.testing import capture_logs

from easymo_platform.runtime.background import repeatedly
from easymo_platform.runtime.errors import DatabaseError


async def test_look_is_repeated_also_after_postgres_failed_and_ends_with_the_block() -> None:
    tasks = asyncio.all_tasks()
    looks = 0
    enough = asyncio.Event()

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise DatabaseError("away")
        if looks == 3:
            enough.set()

    with capture_logs() as logs:
        async with asyncio.timeout(30), repeatedly(look, 0.001, "not_seen"):
            await enough.wait()
    assert [(line["event"], line["problem"]) for line in logs] == [("not_seen", "away")]
    assert asyncio.all_tasks() == tasks


@pytest.mark.parametrize("at_once", [True, False])
async def test_first_look_is_at_once_or_after_the_interval(at_once: bool) -> None:
    looked = asyncio.Event()

    async def look() -> None:
        looked.set()

    async with repeatedly(look, 3600, "not_seen", at_once=at_once):
        for _ in range(5):
            await asyncio.sleep(0)
        assert looked.is_set() == at_once
