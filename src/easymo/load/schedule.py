"""Schedules: every request of a run with its bytes and its intended time, fixed before the first one is sent."""

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

import msgspec

from easymo.load.errors import ScenarioError
from easymo.load.scenario import Call, Request, Scenario, ScenarioRandom
from easymo.load.target import Target, find_target

Arrivals = Literal["poisson", "constant"]

NO_READ, FIRST_READ, REPEATED_READ = 0, 1, 2
_NUMBER = r"(\d+(?:\.\d+)?)"
_STAGE = re.compile(rf"{_NUMBER}(?:-{_NUMBER})?x{_NUMBER}s?")
_ROUNDING = 1e-6  # ms; a whole millisecond that floating point puts just before itself is not the tick before
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


@dataclass(frozen=True)
class Schedule:
    """What is sent and when. The sequences are parallel, one place per request, in the order of the intended times.

    `due_ms` counts from the start of the run in ticks of 1 ms, `kinds` are places in `requests`, `payloads` are the
    bytes on the wire, `reads` says of each request whether it is a GET and whether the same path of the same target was
    requested before. Requests due before `warm_up_s` are sent but not counted; `duration_s` is the stretch that counts.
    """

    seed: int
    salt: str
    requests: tuple[Request, ...]
    targets: tuple[Target, ...]
    warm_up_s: float
    duration_s: float
    due_ms: Sequence[int]
    kinds: Sequence[int]
    payloads: Sequence[bytes]
    reads: Sequence[int]

    def share(self, index: int, of: int) -> "Schedule":
        """Every `of`-th request from `index` on: the part of one of `of` processes. All shares make the whole again."""
        part = slice(index, None, of)
        return replace(
            self,
            due_ms=self.due_ms[part],
            kinds=self.kinds[part],
            payloads=self.payloads[part],
            reads=self.reads[part],
        )


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
    request that cannot be built.
    """
    _check(stages, warm_up_s)
    of_request = tuple(find_target(targets, request.target, request.name) for request in scenario.requests)
    whole = [Stage(stages[0].rate_rps, warm_up_s), *stages]
    due_ms = [
        int(at_s * 1000 + _ROUNDING) for at_s in _arrival_times(whole, arrivals, random.Random(f"{seed}/arrivals"))
    ]
    if not due_ms or due_ms[-1] < warm_up_s * 1000:
        raise ScenarioError("At this rate and duration no request is due, so there is nothing to measure: raise one.")
    kinds = random.Random(f"{seed}/mix").choices(
        range(len(scenario.requests)),
        cum_weights=list(accumulate(request.weight for request in scenario.requests)),
        k=len(due_ms),
    )
    random_numbers = ScenarioRandom(seed, salt)
    payloads: list[bytes] = []
    reads = bytearray()
    seen: set[tuple[Target, str]] = set()
    for kind, ms in zip(kinds, due_ms, strict=True):
        random_numbers.due_s = ms / 1000
        target = of_request[kind]
        call = scenario.build(scenario.requests[kind], random_numbers)
        payloads.append(render(call, target))
        reads.append(NO_READ if call.method != "GET" else REPEATED_READ if (target, call.path) in seen else FIRST_READ)
        if reads[-1] == FIRST_READ:
            seen.add((target, call.path))
    return Schedule(
        seed=seed,
        salt=salt,
        requests=scenario.requests,
        targets=of_request,
        warm_up_s=warm_up_s,
        duration_s=sum(stage.duration_s for stage in stages),
        due_ms=due_ms,
        kinds=kinds,
        payloads=payloads,
        reads=bytes(reads),
    )


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


def render(call: Call, target: Target) -> bytes:
    """The bytes of one HTTP/1.1 request; the connection stays open after it."""
    lines = [f"{call.method} {target.prefix}{call.path} HTTP/1.1", f"Host: {target.authority}"]
    lines += [f"{name}: {value}" for name, value in call.headers.items()]
    if call.body or call.method in _METHODS_WITH_BODY:
        lines.append(f"Content-Length: {len(call.body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + call.body
