"""Schedules: every request of a run with its bytes and its intended time, fixed before the first one is sent."""

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
_STAGE = re.compile(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)s?")
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Stage(msgspec.Struct, frozen=True):
    """A stretch of constant arrival rate: requests *started* per second, for so many seconds."""

    rate_rps: float
    duration_s: float


def parse_stages(text: str) -> list[Stage]:
    """Stages from `50x10s,100x20s`: 50 requests/s for 10 s, then 100 for 20 s. Raises `ScenarioError`."""
    stages = []
    for part in text.split(","):
        match = _STAGE.fullmatch(part.strip())
        if not match:
            raise ScenarioError(f"The stage {part.strip()!r} cannot be read: write RATExSECONDSs, like 50x10s,100x20s.")
        stages.append(Stage(float(match[1]), float(match[2])))
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
    leaves the others as they are. `salt` changes nothing but the tokens. The warm-up runs at the first stage's rate,
    before the stages. Raises `ScenarioError` for stages that send nothing, a target without URL, a request that cannot
    be built.
    """
    _check(stages, warm_up_s)
    of_request = tuple(find_target(targets, request.target, request.name) for request in scenario.requests)
    whole = [Stage(stages[0].rate_rps, warm_up_s), *stages]
    due_ms = [int(at_s * 1000) for at_s in _arrival_times(whole, arrivals, random.Random(f"{seed}/arrivals"))]
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
        if not (0 < stage.rate_rps <= 1e6 and 0 < stage.duration_s <= 86_400):
            raise ScenarioError(
                f"A stage of {stage.rate_rps:g} requests/s for {stage.duration_s:g} s cannot be run: the rate must be "
                "above 0 and at most 1,000,000, the duration above 0 and at most a day."
            )
    if not 0 <= warm_up_s <= 86_400:
        raise ScenarioError(f"A warm-up of {warm_up_s:g} s cannot be run: it must be between 0 s and a day.")


def _arrival_times(stages: Sequence[Stage], arrivals: Arrivals, random_numbers: random.Random) -> Iterator[float]:
    """Seconds from the start. `gap` is measured in expected arrivals, so that it carries over a change of the rate."""
    begin_s = 0.0
    gap = 0.5 if arrivals == "constant" else random_numbers.expovariate(1.0)
    for stage in stages:
        at_s, end_s = begin_s, begin_s + stage.duration_s
        while gap < (end_s - at_s) * stage.rate_rps:
            at_s += gap / stage.rate_rps
            yield at_s
            gap = 1.0 if arrivals == "constant" else random_numbers.expovariate(1.0)
        gap -= (end_s - at_s) * stage.rate_rps
        begin_s = end_s


def render(call: Call, target: Target) -> bytes:
    """The bytes of one HTTP/1.1 request; the connection stays open after it."""
    lines = [f"{call.method} {target.prefix}{call.path} HTTP/1.1", f"Host: {target.authority}"]
    lines += [f"{name}: {value}" for name, value in call.headers.items()]
    if call.body or call.method in _METHODS_WITH_BODY:
        lines.append(f"Content-Length: {len(call.body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + call.body
