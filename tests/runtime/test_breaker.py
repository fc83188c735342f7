"""The circuit breaker, on a clock of the test's own."""

import pytest

from easymo_platform.runtime.breaker import CLOSED, HALF_OPEN, OPEN, BreakerOpen, CircuitBreaker
from easymo_platform.runtime.metrics import Metrics


class Down(Exception):
    pass


class Peer:
    """A breaker with its clock, and the peer's next answer."""

    def __init__(self) -> None:
        self.now = 0.0
        self.metrics = Metrics("test")
        self.breaker = CircuitBreaker("peer", self.metrics, failures=(Down,), clock=lambda: self.now)

    async def call(self, error: Exception | None = None) -> None:
        async with self.breaker.attempt():
            if error is not None:
                raise error

    async def fail(self, times: int) -> None:
        for _ in range(times):
            with pytest.raises(Down):
                await self.call(Down())


@pytest.fixture
def peer() -> Peer:
    return Peer()


async def test_opens_at_half_of_at_least_five_calls(peer: Peer) -> None:
    await peer.fail(2)
    for _ in range(3):
        await peer.call()
    assert peer.breaker.state == CLOSED, "2 of 5"
    await peer.fail(1)
    assert peer.breaker.state == OPEN, "3 of 6"
    with pytest.raises(BreakerOpen) as refused:
        await peer.call()
    assert refused.value.retry_after_s == 30
    labels = {"service": "test", "peer": "peer"}
    assert peer.metrics.registry.get_sample_value("circuit_breaker_state", labels) == OPEN


async def test_calls_older_than_a_minute_do_not_count(peer: Peer) -> None:
    await peer.fail(4)
    peer.now = 61
    await peer.fail(4)
    assert peer.breaker.state == CLOSED
    await peer.fail(1)
    assert peer.breaker.state == OPEN


async def test_one_probe_closes_it_and_meanwhile_nobody_else_calls(peer: Peer) -> None:
    await peer.fail(5)
    peer.now = 30
    assert peer.breaker.state == HALF_OPEN
    async with peer.breaker.attempt():
        with pytest.raises(BreakerOpen):
            await peer.call()
    assert peer.breaker.state == CLOSED
    await peer.fail(1)
    assert peer.breaker.state == CLOSED, "what was before the probe is forgotten"


async def test_failed_probe_opens_it_again_and_an_abandoned_one_does_not_block(peer: Peer) -> None:
    await peer.fail(5)
    peer.now = 30
    await peer.fail(1)
    assert peer.breaker.state == OPEN
    peer.now = 60
    with pytest.raises(KeyboardInterrupt):
        async with peer.breaker.attempt():
            raise KeyboardInterrupt
    await peer.call()
    assert peer.breaker.state == CLOSED


async def test_what_is_not_the_peers_fault_does_not_count(peer: Peer) -> None:
    for _ in range(10):
        with pytest.raises(ValueError, match="ours"):
            await peer.call(ValueError("ours"))
    assert peer.breaker.state == CLOSED
