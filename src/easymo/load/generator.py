"""The open-model generator: sends every request at its intended time, whatever has become of the others."""

import asyncio
import heapq
import resource
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from itertools import count, islice
from urllib.parse import urljoin, urlsplit

from easymo.load.connection import NO_CONNECTION, TIMEOUT, Connection
from easymo.load.errors import ScenarioError, TargetError
from easymo.load.live import Sight
from easymo.load.pool import ConnectionPool
from easymo.load.realtime import Alarm
from easymo.load.recorder import REDIRECT, WRONG_ANSWER, Recorder, error_of
from easymo.load.reply import Reply
from easymo.load.request import Call, Request, Visitor
from easymo.load.result import LoadResult
from easymo.load.schedule import NO_READ, Arrival, Schedule, Step, render
from easymo.load.visit import Visit, cookie_header

MAX_CONNECTIONS = 2_000
TIMEOUT_S = 2.0

_TICK_NS = 1_000_000
_WARM_FOR_LATENCY_S = 0.05  # connections opened beforehand carry the mean rate at this latency (Little's law)
_WARM_AT_LEAST, _WARM_AT_MOST = 8, 256
_CONNECT_WITHIN_S = 5.0
_LEAD_NS = 20_000_000
_OTHER_FILES = 64
_BUILT_AHEAD = 10_000  # a round of a comparison is built before it begins; of longer runs only this much is in memory
_MOST_HOPS = 10
_FOLLOWED = frozenset({301, 302, 303, 307, 308})


class Generator:
    """Runs one schedule once, on the running event loop.

    A request waits for no other one: each takes an idle connection or opens one, up to `max_connections` per target
    (or as many as this process may open files). One that finds none free then is an error: the system lets that many
    requests hang. A request that is not answered `timeout_s` after its *intended* time is an error, and its connection
    is closed. No step of a visitor begins after the end of the schedule.

    `on_second(sight)` is called when a second of the run is over, with what is known of it. Raises `ScenarioError` for
    a time-out that is not between 0 s and an hour.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        timeout_s: float = TIMEOUT_S,
        max_connections: int = MAX_CONNECTIONS,
        on_second: Callable[[Sight], None] | None = None,
    ) -> None:
        if not 0 < timeout_s <= 3600:
            raise ScenarioError(f"A time-out of {timeout_s:g} s cannot be used: it must be above 0 s, at most an hour.")
        self._schedule = schedule
        self._timeout_s = timeout_s
        self._on_second = on_second
        limit = min(max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES)
        pools = {target: ConnectionPool(target, limit, self._finished) for target in dict.fromkeys(schedule.targets)}
        self._pools = tuple(pools.values())
        self._pool_of_kind = [pools[target] for target in schedule.targets]
        self._requests = (*schedule.requests, *schedule.scenario.setup)
        self._first_of_set_up = len(schedule.requests)
        of_visitors = {
            id(step) for entry in schedule.scenario.entries if isinstance(entry, Visitor) for step in entry.steps
        }
        self._keep = [bool(r.check or r.follow or id(r) in of_visitors) for r in self._requests]
        self._recorder = Recorder(schedule)
        self._ahead: deque[Arrival] = deque()
        self._later: list[tuple[int, int, Arrival]] = []  # a heap: the next steps of visitors
        self._tie = count()
        self._under_way = OrderedDict[Arrival, None]()  # by intended time
        self._base = Visit(schedule, -1, {}, {})
        self._end_ms = round((schedule.warm_up_s + schedule.duration_s) * 1000)
        self._second = self._first_second = -round(schedule.warm_up_s * 1000) // 1000
        self._stopped_at_s: float | None = None
        self._cpu_s = 0.0

    async def run(self) -> None:
        """Sends the whole schedule and waits for every outcome.

        Raises `TargetError` when a target does not answer, `ScenarioError` when a request cannot be built.
        """
        self._all_done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        alarm = Alarm(self._tick)
        try:
            if self._schedule.scenario.setup:
                await self._set_up()
            memory, jar = self._base.random_numbers.memory, self._base.jar
            self._source: Iterator[Arrival] = self._schedule.with_memory(
                memory, {target: cookie_header(jar, target) for target in jar}
            )
            self._ahead.extend(islice(self._source, _BUILT_AHEAD))
            warm = min(max(_WARM_AT_LEAST, round(self._schedule.mean_rps * _WARM_FOR_LATENCY_S)), _WARM_AT_MOST)
            for pool in self._pools:
                await pool.warm(warm, _CONNECT_WITHIN_S)
            cpu_s = time.process_time()
            self._start_ns = time.monotonic_ns() + _LEAD_NS
            self._alarm = alarm
            self._set_alarm()
            await self._all_done
            self._cpu_s = time.process_time() - cpu_s
        finally:
            alarm.close()
            for pool in self._pools:
                pool.close()

    def stop(self) -> None:
        """Ends the run now; what is under way is left out of its result."""
        if hasattr(self, "_alarm") and not self._all_done.done():
            self._stopped_at_s = (time.monotonic_ns() - self._start_ns) / 1e9
            self._all_done.set_result(None)

    def result(self, priority: str = "normal") -> LoadResult:
        """What the run amounts to, once it is over."""
        return self._recorder.result(cpu_s=self._cpu_s, priority=priority, stopped_at_s=self._stopped_at_s)

    async def _set_up(self) -> None:
        """Plays the set-up, one step after the other."""
        for kind, step in enumerate(self._schedule.scenario.setup, start=len(self._schedule.requests)):
            target = self._schedule.targets[kind]
            await self._pool_of_kind[kind].warm(1, _CONNECT_WITHIN_S)
            request = Arrival(0, kind, self._base.payload(step, target, 0), NO_READ, None)
            self._set_up_outcome = asyncio.get_running_loop().create_future()
            self._pool_of_kind[kind].send(request, True, time.monotonic_ns())
            try:
                async with asyncio.timeout(self._timeout_s):
                    outcome, reply = await self._set_up_outcome
            except TimeoutError:
                outcome, reply = TIMEOUT, None
            wrong = error_of(step, outcome)
            if wrong and outcome > 0:
                wrong = f"status {outcome}"
            if reply is not None and not wrong:
                wrong = self._base.answered(step, target, reply)
            if wrong:
                raise TargetError(
                    f"The step {step.name!r} of the set-up failed at {target.url} ({wrong}), so no load was sent: "
                    "check what it sends and what it expects."
                )

    def _tick(self) -> None:
        try:
            elapsed_ms = (time.monotonic_ns() - self._start_ns) // _TICK_NS
            fired = self._fire(elapsed_ms)
            self._time_out(elapsed_ms - self._timeout_s * 1000)
            second = (elapsed_ms - round(self._schedule.warm_up_s * 1000)) // 1000
            if second > self._second:
                self._second = second
                if self._on_second is not None:
                    self._on_second(self._recorder.sight(second - self._first_second, self._under_way))
            if len(self._ahead) < _BUILT_AHEAD:
                self._ahead.extend(islice(self._source, 2 * fired + 1))
            self._go_on()
        except ScenarioError as error:
            if not self._all_done.done():
                self._all_done.set_exception(error)

    def _go_on(self) -> None:
        """Waits for the next thing to do, or ends the run when there is none."""
        if self._ahead or self._later or self._under_way:
            self._set_alarm()
        elif not self._all_done.done():
            self._all_done.set_result(None)

    def _set_alarm(self) -> None:
        events = []
        if self._ahead:
            events.append(self._ahead[0].due_ms)
        if self._later:
            events.append(self._later[0][0])
        if self._under_way:
            events.append(next(iter(self._under_way)).due_ms + round(self._timeout_s * 1000))
        self._alarm.set(self._start_ns + min(events) * _TICK_NS)

    def _fire(self, elapsed_ms: int) -> int:
        """Sends everything that is due by now; returns how much that was."""
        ahead, later, start_ns = self._ahead, self._later, self._start_ns
        fired = 0
        while True:
            if later and later[0][0] <= elapsed_ms and not (ahead and ahead[0].due_ms < later[0][0]):
                request = heapq.heappop(later)[2]
            elif ahead and ahead[0].due_ms <= elapsed_ms:
                request = ahead.popleft()
            else:
                self._recorder.sent += fired
                return fired
            fired += 1
            kind = request.kind
            step = request.step
            if step is not None and step.visitor is not None:
                self._prepare(request, step)
            now_ns = time.monotonic_ns()
            request.fired_ns = now_ns - start_ns
            self._under_way[request] = None
            if not self._pool_of_kind[kind].send(request, self._keep[kind], now_ns):
                self._finished(request, NO_CONNECTION, now_ns, None)

    def _prepare(self, request: Arrival, step: Step) -> None:
        if step.visit is None:
            memory, jar = self._base.random_numbers.memory, self._base.jar
            step.visit = Visit(self._schedule, step.number, memory, jar)
            step.visit.counted = request.due_ms >= self._schedule.warm_up_s * 1000
        kind = self._requests[request.kind]
        request.payload = step.visit.payload(kind, self._schedule.targets[request.kind], request.due_ms)

    def _time_out(self, due_by_ms: float) -> None:
        while self._under_way:
            oldest = next(iter(self._under_way))
            if oldest.due_ms > due_by_ms:
                return
            self._pool_of_kind[oldest.kind].abandon(oldest)
            self._finished(oldest, TIMEOUT, time.monotonic_ns(), None)

    def _finished(self, request: Arrival, outcome: int, now_ns: int, connection: Connection | None) -> None:
        kind = request.kind
        if kind >= self._first_of_set_up:
            reply = Reply(outcome, connection.headers, bytes(connection.body)) if connection and outcome > 0 else None
            if not self._set_up_outcome.done():
                self._set_up_outcome.set_result((outcome, reply))
            return
        asked = self._requests[kind]
        error, wrong = error_of(asked, outcome), None
        if self._keep[kind] and connection is not None and outcome > 0:
            if asked.follow and outcome in _FOLLOWED and connection.location:
                if self._follow(request, connection.location, now_ns):
                    return
                error = REDIRECT
            if error is None:
                wrong = self._look_at(request, asked, Reply(outcome, connection.headers, bytes(connection.body)))
                error = wrong and WRONG_ANSWER
        del self._under_way[request]
        at_ns = now_ns - self._start_ns
        first_ns = connection.first_ns - self._start_ns if connection is not None and connection.first_ns else 0
        self._recorder.done(request, outcome, at_ns, connection, error, first_ns)
        if wrong:
            self._recorder.wrong(request, wrong)
        if request.step is not None and request.step.visitor is not None:
            self._next_step(request, request.step, error, at_ns)
        if not self._under_way and not self._all_done.done():
            self._go_on()

    def _look_at(self, request: Arrival, asked: Request, reply: Reply) -> str | None:
        if request.step is None or request.step.visit is None:
            return asked.fault_of(reply, {})
        wrong: str | None = request.step.visit.answered(asked, self._schedule.targets[request.kind], reply)
        return wrong

    def _next_step(self, request: Arrival, step: Step, error: str | None, at_ns: int) -> None:
        visitor, asked = step.visitor, self._requests[request.kind]
        assert visitor is not None
        first, last = asked is visitor.steps[0], asked is visitor.steps[-1]
        if step.visit.counted and (first or last or error):
            self._recorder.visit(visitor.name, first, last, asked.name if error else None)
        if error or last:
            return
        think = visitor.think_s
        think_s = think if isinstance(think, int | float) else step.visit.random_numbers.uniform(*think)
        due_ms = -(-at_ns // _TICK_NS) + round(think_s * 1000)
        if due_ms < self._end_ms:
            following = Arrival(due_ms, request.kind + 1, b"", NO_READ, Step(visitor, 0, None, step.visit))
            heapq.heappush(self._later, (due_ms, next(self._tie), following))
            self._set_alarm()

    def _follow(self, request: Arrival, location: bytes, now_ns: int) -> bool:
        """Sends a redirected request on; False when it leads elsewhere, or has done so too often."""
        target, step = self._schedule.targets[request.kind], request.step
        assert step is not None
        path = request.payload.split(b" ", 2)[1].decode("latin-1")
        base = f"{target.scheme}://{target.authority}"
        url = urlsplit(urljoin(base + path, location.decode("latin-1")))
        step.hops += 1
        if f"{url.scheme}://{url.netloc}" != base or step.hops > _MOST_HOPS:
            return False
        headers = step.call.headers if step.call else {}
        call = Call("GET", (url.path or "/") + (f"?{url.query}" if url.query else ""), headers)
        request.payload = render(call, target)
        return self._pool_of_kind[request.kind].send(request, True, now_ns)
