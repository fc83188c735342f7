"""Connections: how many there may be, and how long an idle one is trusted."""

import asyncio
import time

import pytest

from easymo.load.connection import Connection
from easymo.load.pool import ConnectionPool
from easymo.load.schedule import NO_READ, Arrival
from tests.load.http_server import always_ok, serving


def arrival() -> Arrival:
    return Arrival(0, 0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", NO_READ, None)


class Outcomes:
    """Takes what a pool reports."""

    def __init__(self) -> None:
        self.came = asyncio.Queue[int]()

    def __call__(self, _: Arrival, outcome: int, __: int, ___: Connection | None) -> None:
        self.came.put_nowait(outcome)

    async def next(self) -> int:
        return await asyncio.wait_for(self.came.get(), 10)


async def test_connections_that_are_still_opening_count_against_the_limit() -> None:
    async with serving(always_ok) as (target, log):
        outcomes = Outcomes()
        pool = ConnectionPool(target, 3, outcomes)
        try:
            sent = [pool.send(arrival(), False, time.monotonic_ns()) for _ in range(5)]  # none is open yet
            assert sent == [True, True, True, False, False]
            assert [await outcomes.next() for _ in range(3)] == [200, 200, 200]
            assert log.connections == 3
        finally:
            pool.close()


@pytest.mark.parametrize(("idle_s", "connections"), [(1.4, 1), (1.6, 2), (15, 2)])
async def test_a_connection_is_used_again_within_a_second_and_a_half_and_replaced_later(
    idle_s: float, connections: int
) -> None:
    async with serving(always_ok) as (target, log):
        outcomes = Outcomes()
        pool = ConnectionPool(target, 3, outcomes)
        try:
            await pool.warm(1, 5.0)
            assert pool.send(arrival(), False, time.monotonic_ns() + round(idle_s * 1e9))
            assert await outcomes.next() == 200
            assert log.connections == connections
        finally:
            pool.close()
