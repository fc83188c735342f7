"""Who may use a connection, first come first served, while the number of connections follows the need."""

import asyncio
from collections import deque

GROW_AFTER_S = 0.005
"""Somebody who has waited so long gets a further connection, as long as there may be one."""

SHRINK_EVERY_S = 30.0
"""How often what was not in use at any moment since the last look is given up."""

AT_FIRST = 2


class Gate:
    """At most `most` holders; `size` of them may come in now.

    A pool that opens all its connections serves no more: two serve hundreds of requests a second, and what a database
    gives to one client it lacks for others. So the gate begins narrow, widens by one when somebody has waited for
    `GROW_AFTER_S`, and narrows when fewer were in use at the same time over `SHRINK_EVERY_S`.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = min(AT_FIRST, most)
        self.in_use = 0
        self._peak = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait to come in."""
        return len(self._waiters)

    async def enter(self, within_s: float) -> None:
        """Come in. Raises `TimeoutError` after `within_s`."""
        if self.in_use < self.size and not self._waiters:
            self._admit()
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiters.append(turn)
        widen = loop.call_later(GROW_AFTER_S, self._widen)
        try:
            async with asyncio.timeout(within_s):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.leave()  # admitted at the very moment at which it gave up
            elif turn in self._waiters:
                self._waiters.remove(turn)
            raise
        finally:
            widen.cancel()

    def leave(self) -> None:
        """Let the next one in."""
        self.in_use -= 1
        self._next()

    def narrow(self) -> None:
        """Give up what nobody needed since the last call."""
        self.size = max(min(AT_FIRST, self.most), self._peak, self.in_use)
        self._peak = self.in_use

    def _widen(self) -> None:
        if self._waiters and self.size < self.most:
            self.size += 1
            self._next()

    def _next(self) -> None:
        while self._waiters and self.in_use < self.size:
            turn = self._waiters.popleft()
            if not turn.done():
                self._admit()
                turn.set_result(None)

    def _admit(self) -> None:
        self.in_use += 1
        self._peak = max(self._peak, self.in_use)
