"""Schedules: every request of a run with its bytes and its intended time, fixed before the first one is sent."""

import math
import random
import re
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, islice
from typing import Any, Literal

import msgspec

from easymo.load.errors import ScenarioError
from easymo.load.scenario import Call, Request, Scenario, ScenarioRandom, Visitor
from easymo.load.target import Target, find_target

Arrivals = Literal["poisson", "constant"]

NO_READ, FIRST_READ, REPEATED_READ = 0, 1, 2
_NUMBER = r"(\d+(?:\.\d+)?)"
_STAGE = re.compile(rf"{_NUMBER}(?:-{_NUMBER})?x{_NUMBER}s?")
_ROUNDING = 1e-6  # ms; a whole millisecond that floating point puts just before itself is not the tick before
_PLACES = (1 << 26) - 1
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Stage(msgspec.Struct, frozen=True):
    """A stretch of `duration_s` seconds with an arrival rate: requests *started* per second.

    The rate is constant, or changes evenly from `rate_rps` at the beginning to `to_rps` at the end.
    """

    rate_rps: float
    duration_s: float
    to_rps: float | None = None

    @property
    def end_rps(self) -> float:
        """The rate at the end."""
        return self.rate_rps if self.to_rps is None else self.to_rps

    @property
    def arrivals(self) -> float:
        """How many requests are expected in the whole stage."""
        return (self.rate_rps + self.end_rps) / 2 * self.duration_s

    def time_of(self, arrivals: float) -> float:
        """Seconds from its beginning until so many requests are expected: the inverse of the rate's integral."""
        if not arrivals:
            return 0.0
        slope = (self.end_rps - self.rate_rps) / self.duration_s
        rate_then = math.sqrt(max(0.0, self.rate_rps**2 + 2 * slope * arrivals))
        return 2 * arrivals / (self.rate_rps + rate_then)


def parse_stages(text: str) -> list[Stage]:
    """Stages from `50x10s,50-200x20s`: 50 requests/s for 10 s, then 20 s from 50 up to 200. Raises `ScenarioError`."""
    stages = []
    for part in text.split(","):
        match = _STAGE.fullmatch(part.strip())
        if not match:
            raise ScenarioError(
                f"The stage {part.strip()!r} cannot be read: write RATExSECONDSs, or FROM-TOxSECONDSs for a ramp, "
                "like 50x10s,50-200x20s."
            )
        stages.append(Stage(float(match[1]), float(match[3]), float(match[2]) if match[2] else None))
    return stages


class Step:
    """What an arrival needs beyond its bytes, when it does: the visitor that it belongs to, or the call to redirect."""

    __slots__ = ("call", "hops", "number", "visit", "visitor")

    def __init__(self, visitor: Visitor | None, number: int, call: Call | None, visit: Any = None) -> None:
        self.visitor, self.number, self.call, self.visit = visitor, number, call, visit
        self.hops = 0


class Arrival:
    """One request of a schedule, and while it is under way also who carries it.

    `due_ms` counts from the start of the run in ticks of 1 ms, `kind` is a place in the schedule's `requests`,
    `payload` the bytes on the wire, `read` says whether it is a GET and whether the same path of the same target was
    requested before. The payload of a visitor is empty: its requests are built when they are due.
    """

    __slots__ = ("carrier", "due_ms", "fired_ns", "kind", "payload", "read", "step")

    carrier: Any
    fired_ns: int

    def __init__(self, due_ms: int, kind: int, payload: bytes, read: int, step: Step | None) -> None:
        self.due_ms = due_ms
        self.kind = kind
        self.payload = payload
        self.read = read
        self.step = step


@dataclass(frozen=True)
class Schedule:
    """What is sent and when: iterating over it builds the requests one by one, the same ones each time.

    So a run of any length needs little memory. The sequences `due_ms`, `kinds`, `payloads` and `reads` are parallel,
    one place per request, in the order of the intended times; asking for one builds the whole schedule. Requests due
    before `warm_up_s` are sent but not counted; `duration_s` is the stretch that counts. `parts` is `(index, of)`: this
    is every `of`-th request of the whole.
    """

    seed: int
    salt: str
    scenario: Scenario
    targets: tuple[Target, ...]
    stages: tuple[Stage, ...]
    arrivals: Arrivals
    warm_up_s: float
    duration_s: float
    parts: tuple[int, int] = (0, 1)

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request of the mix and every step of a visitor. `targets` has a place for each, then for `setup`."""
        return self.scenario.requests

    @property
    def mean_rps(self) -> float:
        """The mean rate of the whole, warm-up too."""
        return sum(stage.arrivals for stage in self.stages) / sum(stage.duration_s for stage in self.stages)

    def share(self, index: int, of: int) -> "Schedule":
        """Every `of`-th request from `index` on: the part of one of `of` processes. All shares make the whole again."""
        return replace(self, parts=(index, of))

    def __iter__(self) -> Iterator[Arrival]:
        return self.with_memory({}, {})

    def with_memory(self, memory: Mapping[str, Any], cookies: Mapping[Target, str]) -> Iterator[Arrival]:
        """The requests, built with what `setup` has captured. Raises `ScenarioError` for one that cannot be built."""
        return islice(self._build(memory, cookies), self.parts[0], None, self.parts[1])

    def due_times_ms(self) -> Iterator[int]:
        """The intended times of the whole schedule."""
        times = _arrival_times(self.stages, self.arrivals, random.Random(f"{self.seed}/arrivals"))
        return (int(at_s * 1000 + _ROUNDING) for at_s in times)

    def _build(self, memory: Mapping[str, Any], cookies: Mapping[Target, str]) -> Iterator[Arrival]:
        entries, seen = self.scenario.entries, _Seen()
        first_kind = [self.requests.index(entry if isinstance(entry, Request) else entry.steps[0]) for entry in entries]
        numbers = [self.targets.index(target) for target in self.targets]
        jars, build = [cookies.get(target, "") for target in self.targets], self.scenario.build
        mix, weights = random.Random(f"{self.seed}/mix").random, list(accumulate(entry.weight for entry in entries))
        random_numbers = ScenarioRandom(self.seed, self.salt)
        random_numbers.memory.update(memory)
        for number, due_ms in enumerate(self.due_times_ms()):
            place = bisect(weights, mix() * weights[-1], 0, len(entries) - 1)  # as random.choices does it
            request, kind = entries[place], first_kind[place]
            if isinstance(request, Visitor):
                yield Arrival(due_ms, kind, b"", NO_READ, Step(request, number, None))
                continue
            random_numbers.due_s = due_ms / 1000
            call = build(request, random_numbers)
            read = NO_READ
            if call.method == "GET":
                read = REPEATED_READ if seen.before(numbers[kind], call.path) else FIRST_READ
            payload = render(call, self.targets[kind], jars[kind])
            yield Arrival(due_ms, kind, payload, read, Step(None, number, call) if request.follow else None)

    @cached_property
    def _rows(self) -> list[Arrival]:
        return list(self)

    @property
    def due_ms(self) -> list[int]:
        return [arrival.due_ms for arrival in self._rows]

    @property
    def kinds(self) -> list[int]:
        return [arrival.kind for arrival in self._rows]

    @property
    def payloads(self) -> list[bytes]:
        """The bytes on the wire; empty for a visitor, whose first request is built when it is due."""
        return [arrival.payload for arrival in self._rows]

    @property
    def reads(self) -> list[int]:
        return [arrival.read for arrival in self._rows]


class _Seen:
    """Which paths were requested: a Bloom filter of 8 MB that is wrong in 0.3 % of cases after 3,600,000 paths."""

    def __init__(self) -> None:
        self._bits = bytearray(_PLACES + 1 >> 3)

    def before(self, target: int, path: str) -> bool:
        """Whether this path of this target was seen; it is from now on."""
        number = hash((target, path))
        places = number & _PLACES, number >> 19 & _PLACES, number >> 38 & _PLACES
        bits, known = self._bits, True
        for place in places:
            byte, mask = bits[place >> 3], 1 << (place & 7)
            if not byte & mask:
                known = False
                bits[place >> 3] = byte | mask
        return known


def build_schedule(
    scenario: Scenario,
    targets: Mapping[str, Target],
    stages: Sequence[Stage],
    *,
    seed: int,
    salt: str = "",
    arrivals: Arrivals = "poisson",
    warm_up_s: float = 0.0,
) -> Schedule:
    """The schedule of one run; pure: the same arguments give the same bytes at the same times.

    Arrival times, the choice of requests and their contents draw from three streams of `seed`, so a change of one
    leaves the others as they are. `salt` changes nothing but the tokens. The warm-up runs before the stages, at the
    rate with which the first one begins. Raises `ScenarioError` for stages that send nothing, a target without URL, a
    step that uses what no step before it captures.
    """
    _check(stages, warm_up_s)
    scenario.check_captures()
    schedule = Schedule(
        seed=seed,
        salt=salt,
        scenario=scenario,
        targets=tuple(find_target(targets, step.target, step.name) for step in (*scenario.requests, *scenario.setup)),
        stages=(Stage(stages[0].rate_rps, warm_up_s), *stages) if warm_up_s else tuple(stages),
        arrivals=arrivals,
        warm_up_s=warm_up_s,
        duration_s=sum(stage.duration_s for stage in stages),
    )
    if not any(due_ms >= warm_up_s * 1000 for due_ms in schedule.due_times_ms()):
        raise ScenarioError("At this rate and duration no request is due, so there is nothing to measure: raise one.")
    return schedule


def _check(stages: Sequence[Stage], warm_up_s: float) -> None:
    if not stages:
        raise ScenarioError("There is no stage, so nothing would be sent: give a rate and a duration.")
    for stage in stages:
        rates_usable = all(0 <= rate <= 1e6 for rate in (stage.rate_rps, stage.end_rps))
        if not (rates_usable and 0 < stage.duration_s <= 86_400):
            raise ScenarioError(
                f"A stage of {stage.rate_rps:g} requests/s for {stage.duration_s:g} s cannot be run: the rate must be "
                "between 0 and 1,000,000, the duration above 0 and at most a day."
            )
    if not any(stage.arrivals for stage in stages):
        raise ScenarioError("Every stage has a rate of 0, so nothing would be sent: give one a rate above 0.")
    if not 0 <= warm_up_s <= 86_400:
        raise ScenarioError(f"A warm-up of {warm_up_s:g} s cannot be run: it must be between 0 s and a day.")


def _arrival_times(stages: Sequence[Stage], arrivals: Arrivals, random_numbers: random.Random) -> Iterator[float]:
    """Seconds from the start. `gap` is measured in expected arrivals, so that it carries over a change of the rate."""
    begin_s = 0.0
    gap = 0.5 if arrivals == "constant" else random_numbers.expovariate(1.0)
    for stage in stages:
        expected, passed = stage.arrivals, 0.0
        while gap < expected - passed:
            passed += gap
            yield begin_s + stage.time_of(passed)
            gap = 1.0 if arrivals == "constant" else random_numbers.expovariate(1.0)
        gap -= expected - passed
        begin_s += stage.duration_s


def render(call: Call, target: Target, cookies: str = "") -> bytes:
    """The bytes of one HTTP/1.1 request; the connection stays open after it. `cookies` are sent beside its own."""
    lines = [f"{call.method} {target.prefix}{call.path} HTTP/1.1"]
    names = {name.lower() for name in call.headers} if call.headers else ()
    if "host" not in names:
        lines.append(f"Host: {target.authority}")
    if cookies and "cookie" not in names:
        lines.append(f"Cookie: {cookies}")
    lines += [f"{name}: {value}" for name, value in call.headers.items()]
    if call.body or call.method in _METHODS_WITH_BODY:
        lines.append(f"Content-Length: {len(call.body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + call.body
