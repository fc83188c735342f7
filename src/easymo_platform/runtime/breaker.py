"""Circuit breaker: a peer that keeps failing is left alone for a while.

The kept libraries for asyncio count consecutive failures; what is wanted is a ratio over a rolling window.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

from easymo_platform.runtime.metrics import Metrics

CLOSED, HALF_OPEN, OPEN = 0, 1, 2


class BreakerOpen(Exception):
    """The peer was not called; ``retry_after_s`` is when it may be tried again."""

    def __init__(self, name: str, retry_after_s: float) -> None:
        super().__init__(f"{name} failed too often and is left alone for {retry_after_s:.1f} s.")
        self.retry_after_s = retry_after_s


class CircuitBreaker:
    """Opens at ``ratio`` failures among at least ``minimum`` calls of the last ``window_s`` seconds.

    After ``open_s`` seconds one probe is let through: if it succeeds the breaker closes, else it stays open as long
    again. Only the exceptions in ``failures`` speak against the peer (``TimeoutError`` is an ``OSError``).
    """

    def __init__(
        self,
        name: str,
        metrics: Metrics,
        *,
        failures: tuple[type[Exception], ...],
        minimum: int = 5,
        ratio: float = 0.5,
        window_s: float = 60.0,
        open_s: float = 30.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.name = name
        self._failures = failures
        self._minimum, self._ratio, self._window_s, self._open_s = minimum, ratio, window_s, open_s
        self._clock = clock
        self._calls: deque[tuple[float, bool]] = deque()
        self._open_until = 0.0
        self._probing = False
        metrics.breaker_state.labels(metrics.service, name).set_function(lambda: self.state)

    @property
    def state(self) -> int:
        """0 closed, 1 half-open (the next call is a probe), 2 open."""
        if not self._open_until:
            return CLOSED
        return HALF_OPEN if self._clock() >= self._open_until else OPEN

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """One call of the peer. Raises :class:`BreakerOpen` instead of entering the block."""
        state = self.state
        if state == OPEN or (state == HALF_OPEN and self._probing):
            raise BreakerOpen(self.name, max(0.0, self._open_until - self._clock()) or self._open_s)
        self._probing = state == HALF_OPEN
        try:
            yield
        except self._failures:
            self._record(failed=True, probe=state == HALF_OPEN)
            raise
        except BaseException:
            if state == HALF_OPEN:
                self._probing = False
            raise
        self._record(failed=False, probe=state == HALF_OPEN)

    def _record(self, *, failed: bool, probe: bool) -> None:
        now = self._clock()
        if probe:
            self._probing = False
            self._calls.clear()
            self._open_until = now + self._open_s if failed else 0.0
            return
        self._calls.append((now, failed))
        while self._calls[0][0] <= now - self._window_s:
            self._calls.popleft()
        failures = sum(failed for _, failed in self._calls)
        if failed and len(self._calls) >= self._minimum and failures >= self._ratio * len(self._calls):
            self._open_until = now + self._open_s
