"""The open-model generator: sends every request at its intended time, whatever has become of the others."""

import asyncio
import resource
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from easymo.load.connection import NO_CONNECTION, TIMEOUT
from easymo.load.errors import ScenarioError
from easymo.load.pool import ConnectionPool
from easymo.load.realtime import Alarm
from easymo.load.schedule import Schedule

MAX_CONNECTIONS = 2_000
TIMEOUT_S = 2.0

_TICK_NS = 1_000_000
_WARM_FOR_LATENCY_S = 0.05  # connections opened beforehand carry the mean rate at this latency (Little's law)
_WARM_AT_LEAST, _WARM_AT_MOST = 8, 256
_CONNECT_WITHIN_S = 5.0
_LEAD_NS = 20_000_000
_OTHER_FILES = 64


@dataclass
class Observations:
    """What happened to each request of a schedule, by its place there; times in ns since the start of the run.

    `fired_ns` is when the generator acted on the request: wrote it to an open connection, or began to open one.
    `outcomes` holds HTTP statuses or the constants of `easymo.load.connection`; `body_bytes` is the size of each body,
    `locations` says where those that are redirects lead. `cpu_s` is what the process used.
    """

    fired_ns: "array[int]"
    done_ns: "array[int]"
    outcomes: "array[int]"
    body_bytes: "array[int]"
    locations: dict[int, bytes] = field(default_factory=dict)
    cpu_s: float = 0.0


class Generator:
    """Runs one schedule once, on the running event loop.

    A request waits for no other one: each takes an idle connection or opens one, up to `max_connections` per target
    (or as many as this process may open files). One that finds none free then is an error: the system lets that many
    requests hang. A request that is not answered `timeout_s` after its *intended* time is an error, and its connection
    is closed.

    `on_second(second, observations)` is called when the `second`-th second of the run is over; the observations are
    then complete up to there but for requests that still wait for their answer. Raises `ScenarioError` for a time-out
    that is not between 0 s and an hour.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        timeout_s: float = TIMEOUT_S,
        max_connections: int = MAX_CONNECTIONS,
        on_second: Callable[[int, Observations], None] | None = None,
    ) -> None:
        if not 0 < timeout_s <= 3600:
            raise ScenarioError(f"A time-out of {timeout_s:g} s cannot be used: it must be above 0 s, at most an hour.")
        count = len(schedule.due_ms)
        self._observed = Observations(
            fired_ns=array("q", bytes(8 * count)),
            done_ns=array("q", bytes(8 * count)),
            outcomes=array("h", bytes(2 * count)),
            body_bytes=array("q", bytes(8 * count)),
        )
        self._schedule = schedule
        self._timeout_ms = round(timeout_s * 1000)
        self._on_second = on_second
        limit = min(max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES)
        pools = {target: ConnectionPool(target, limit, self._finished) for target in dict.fromkeys(schedule.targets)}
        self._pools = tuple(pools.values())
        self._pool_of_kind = [pools[target] for target in schedule.targets]
        self._next = 0  # the first request that was not fired yet
        self._oldest = 0  # no request before this one is under way
        self._left = count
        self._second = 0

    async def run(self) -> Observations:
        """Sends the whole schedule and waits for every outcome. Raises `TargetError` when a target does not answer."""
        schedule = self._schedule
        mean_rps = len(schedule.due_ms) / (schedule.due_ms[-1] / 1000 + 1)
        warm = min(max(_WARM_AT_LEAST, round(mean_rps * _WARM_FOR_LATENCY_S)), _WARM_AT_MOST)
        self._all_done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        alarm = Alarm(self._tick)
        try:
            for pool in self._pools:
                await pool.warm(warm, _CONNECT_WITHIN_S)
            cpu_s = time.process_time()
            self._start_ns = time.monotonic_ns() + _LEAD_NS
            self._alarm = alarm
            alarm.set(self._start_ns + schedule.due_ms[0] * _TICK_NS)
            await self._all_done
            self._observed.cpu_s = time.process_time() - cpu_s
        finally:
            alarm.close()
            for pool in self._pools:
                pool.close()
        return self._observed

    def _tick(self) -> None:
        elapsed_ms = (time.monotonic_ns() - self._start_ns) // _TICK_NS
        self._fire(elapsed_ms)
        self._time_out(elapsed_ms - self._timeout_ms)
        if self._on_second is not None and elapsed_ms // 1000 > self._second:
            self._second = elapsed_ms // 1000
            self._on_second(self._second, self._observed)
        if self._left:
            self._alarm.set(self._start_ns + self._next_event_ms() * _TICK_NS)

    def _fire(self, elapsed_ms: int) -> None:
        """Sends everything that is due by now."""
        due_ms, kinds, payloads = self._schedule.due_ms, self._schedule.kinds, self._schedule.payloads
        fired_ns, start_ns = self._observed.fired_ns, self._start_ns
        request, count = self._next, len(due_ms)
        while request < count and due_ms[request] <= elapsed_ms:
            now_ns = time.monotonic_ns()
            fired_ns[request] = now_ns - start_ns
            if not self._pool_of_kind[kinds[request]].send(request, payloads[request], now_ns):
                self._finished(request, NO_CONNECTION, now_ns)
            request += 1
        self._next = request

    def _time_out(self, due_by_ms: int) -> None:
        due_ms, outcomes, oldest = self._schedule.due_ms, self._observed.outcomes, self._oldest
        while oldest < self._next and (outcomes[oldest] or due_ms[oldest] <= due_by_ms):
            if not outcomes[oldest]:
                self._pool_of_kind[self._schedule.kinds[oldest]].abandon(oldest)
                self._finished(oldest, TIMEOUT, time.monotonic_ns())
            oldest += 1
        self._oldest = oldest

    def _next_event_ms(self) -> int:
        due_ms = self._schedule.due_ms
        events = []
        if self._next < len(due_ms):
            events.append(due_ms[self._next])
        if self._oldest < self._next:
            events.append(due_ms[self._oldest] + self._timeout_ms)
        return min(events)

    def _finished(self, request: int, outcome: int, now_ns: int, body_bytes: int = 0, location: bytes = b"") -> None:
        observed = self._observed
        observed.outcomes[request] = outcome
        observed.done_ns[request] = now_ns - self._start_ns
        observed.body_bytes[request] = body_bytes
        if location:
            observed.locations[request] = location
        self._left -= 1
        if not self._left and not self._all_done.done():
            self._all_done.set_result(None)
