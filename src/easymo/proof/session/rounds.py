"""Plays the scenario against a side, while the side's use of the machine is watched."""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from easymo.load.distribution import add
from easymo.load.duet import BESIDE
from easymo.load.job import Job
from easymo.load.result import LoadResult
from easymo.load.schedule import Stage
from easymo.proof.errors import ProofError, RunVoid
from easymo.proof.session.generator import WarmGenerator
from easymo.proof.session.sides import Side
from easymo.proof.system.acceptance import Acceptance
from easymo.proof.system.processes import fill
from easymo.proof.verdict.measurement import AA_PHASES, Measurements, Phase, Resources, Round

#: A round whose generator was late is played again this often before the pair is given up.
RETRIES = 2
COMPARED: tuple[Phase, ...] = (*AA_PHASES, "compare", "cold")
#: A side that answers more than this share of its warm-up with errors is not the one that the scenario is for.
ANSWERING = 0.5
#: A warm-up goes on for so long while more than these errors come, or the median of its second half is below this
#: share of the first half's.
WARM_WITHIN_S, FEW_ERRORS, STILL_FALLING = 60.0, 0.05, 0.7
#: A round that only warms up or searches lasts until so many requests are due.
FEWEST_REQUESTS = 10
#: Two sides at one time need a machine with room: above this share of all cores each waits for the other.
SATURATED = 0.9


class Load(Struct, frozen=True):
    """What is played: `folder` is where the scenario's path and its imports begin."""

    scenario: str
    folder: Path
    environment: dict[str, str]
    seed: int = 1
    warm_up_s: float = 0.5


def scenario_environment(acceptance: Acceptance, scale: str, repeat_read: float | None = None) -> dict[str, str]:
    """What the scenario finds in its environment, by default and in a cell of the break-even grid."""
    values = {"scale": scale, "seed": str(acceptance.system.seed)}
    environment = dict(acceptance.load.environment)
    if repeat_read is not None and acceptance.break_even is not None:
        environment |= acceptance.break_even.environment
        values["repeat_read"] = f"{repeat_read:g}"
    return dict(zip(environment, fill(list(environment.values()), **values), strict=True))


def load_of(acceptance: Acceptance, root: Path, scale: str, repeat_read: float | None = None) -> Load:
    """The load of an acceptance file at a data size."""
    environment = scenario_environment(acceptance, scale, repeat_read)
    return Load(acceptance.load.scenario, root, environment, acceptance.system.seed, acceptance.load.warm_up_s)


class Player:
    """Plays rounds; every one is kept in `measured` and appended to `file` (one JSON object a line) at once. An
    async context manager: its load generator lives as long.

    `salt` sets this player's tokens apart from those of other players on the same databases.
    """

    def __init__(self, load: Load, file: Path, salt: str = "") -> None:
        self.load, self._file, self._salt = load, file, salt
        log = file.parent / "logs" / "load-generator.log"
        self._generator = WarmGenerator(load.scenario, load.folder, load.environment, log)
        self._played = 0
        self.measured = Measurements()

    async def __aenter__(self) -> "Player":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._generator.close()

    async def warm(self, sides: Sequence[Side], rate_rps: float, seconds: float) -> None:
        """Let pools, plans and caches of every side see the load until its median settles; these rounds count for
        nothing.

        All sides get the same rounds, for at most a minute: a first page may be compiled while it is asked for. Raises
        :class:`RunVoid` for a side that answers mostly with errors even then, naming them.
        """
        until = time.monotonic() + WARM_WITHIN_S
        recent: deque[list[Round]] = deque(maxlen=5)
        while True:
            seed = 40_000 + self._played  # the same requests on every side
            rounds = [await self.play(side, "warm", rate_rps, seconds, seed=seed) for side in sides]
            recent.append(rounds)
            if all(map(settled, rounds)):
                return
            if time.monotonic() > until:
                break
        # One short round may have few errors by chance: the one in the middle of the last five speaks for a side.
        for side, played in zip(sides, zip(*recent, strict=True), strict=True):
            refuse_errors(side, sorted(played, key=lambda round_: round_.load.error_ratio)[len(played) // 2])

    async def play(
        self, side: Side, phase: Phase, rate_rps: float, seconds: float, *, pair: int = 0, seed: int | None = None
    ) -> Round:
        """One round of `seconds` (after the warm-up) at `rate_rps`; void ones are repeated in comparisons.

        A cold round begins with an emptied cache and has no warm-up, for that would be the cold part. Rounds with the
        same `seed` get the same schedule. Raises :class:`RunVoid` when a process or server died.
        """
        if phase in ("warm", "capacity", "apply"):
            seconds = max(seconds, FEWEST_REQUESTS / rate_rps)
        for _ in range(1 + (RETRIES if phase in COMPARED else 0)):
            warm_up_s = 0.0 if phase == "cold" else self.load.warm_up_s
            if phase == "cold":
                side.empty_cache()
            watched = side.watch()
            async with watched as use:
                result = await self._generate([side], rate_rps, seconds, warm_up_s, seed)
            side.check()
            used = use.resources(result.sent, seconds + warm_up_s)
            round_ = self._keep(Round(side.name, phase, pair, rate_rps, result, used))
            if not result.void:
                break
        return round_

    async def play_both(self, sides: Sequence[Side], rate_rps: float, seconds: float, *, pair: int, seed: int) -> None:
        """A pair of rounds at one time: both sides take turns request by request.

        Raises :class:`RunVoid` when this machine had no core left for them.
        """
        for _ in range(1 + RETRIES):
            psutil.cpu_percent()
            result = await self._generate(sides, 2 * rate_rps, seconds, self.load.warm_up_s, seed)
            busy = psutil.cpu_percent() / 100
            for side in sides:
                side.check()
            if busy > SATURATED:
                raise RunVoid(
                    f"The machine was {busy:.0%} busy with both sides under load, so each waited for the other and a"
                    " difference would be hidden. Lower --rate, or leave --duet out."
                )
            for side, part in zip(sides, split(result), strict=True):
                self._keep(Round(side.name, "compare", pair, rate_rps, part, Resources(None, None, None, None)))
            if not result.void:
                return

    def _keep(self, round_: Round) -> Round:
        self.measured.rounds.append(round_)
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(round_) + b"\n")
        return round_

    async def _generate(
        self, sides: Sequence[Side], rate_rps: float, seconds: float, warm_up_s: float, seed: int | None
    ) -> LoadResult:
        self._played += 1
        job = Job(
            scenario=self.load.scenario,
            urls=with_default(sides[0].urls()),
            beside=with_default(sides[1].urls()) if len(sides) > 1 else {},
            stages=[Stage(rate_rps, seconds)],
            seed=self.load.seed + (seed if seed is not None else self._played),
            salt=f"{self._salt}{self._played}",
            warm_up_s=warm_up_s,
        )
        try:
            return await self._generator.play(job)
        except ProofError as error:
            for side in sides:
                side.check()  # whoever died first is the reason
            if isinstance(error, RunVoid):
                names = " or ".join(side.title for side in sides)
                raise RunVoid(f"{names[0].upper()}{names[1:]}: {error}") from error
            raise


def split(result: LoadResult) -> tuple[LoadResult, LoadResult]:
    """The two halves of a result in which two systems took turns."""
    return _half(result, second=False), _half(result, second=True)


def _half(result: LoadResult, *, second: bool) -> LoadResult:
    tallies = {name: t for name, t in result.per_request.items() if name.endswith(BESIDE) == second}
    requests, errors = sum(t.requests for t in tallies.values()), sum(t.errors for t in tallies.values())
    answers = {name: a for name, a in result.answers.items() if name.endswith(BESIDE) == second}
    statuses = Counter[str]()
    for one in answers.values():
        statuses.update({f"{code // 100}xx": count for code, count in one.statuses.items()})
    latency = add(t.latency_ms for t in tallies.values())
    return msgspec.structs.replace(
        result,
        requests=requests,
        sent=requests,
        rate_rps=requests / result.duration_s,
        goodput_rps=(requests - errors) / result.duration_s,
        error_ratio=errors / requests if requests else 0.0,
        errors={"error": errors} if errors else {},
        statuses=dict(statuses),
        latency_ms=latency,
        service_ms=None,
        per_request={name.removesuffix(BESIDE): tally for name, tally in tallies.items()},
        answers={name.removesuffix(BESIDE): one for name, one in answers.items()},
        timeline=[],
    )


def settled(warm: Round) -> bool:
    """Whether the median no longer fell during a warm-up, and hardly anything was an error."""
    seconds = [second.latency_ms for second in warm.load.timeline]
    half = len(seconds) // 2
    first, last = add(seconds[:half]), add(seconds[half:])
    falling = first is not None and last is not None and last.p50 < first.p50 * STILL_FALLING
    return warm.load.error_ratio <= FEW_ERRORS and not falling


def refuse_errors(side: Side, warm: Round) -> None:
    """Raise :class:`RunVoid` when more than half of a warm-up were errors."""
    if warm.load.error_ratio <= ANSWERING:
        return
    worst = sorted(warm.load.per_request.items(), key=lambda one: -one[1].errors)
    named = [f"{_statuses(warm, name)} on {name}: {t.errors / t.requests:.0%}" for name, t in worst[:3] if t.errors]
    raise RunVoid(
        f"{side.title[0].upper()}{side.title[1:]} answered {warm.load.error_ratio:.0%} of the warm-up with errors"
        f" ({', '.join(named)}), so a comparison would be one of error pages. Check the URL, the scenario and its keys."
    )


def _statuses(warm: Round, name: str) -> str:
    """The status that most answers had which were no success; else what the generator calls the errors."""
    counts = (
        {code: n for code, n in warm.load.answers[name].statuses.items() if code >= 300} if warm.load.answers else {}
    )
    return str(max(counts, key=lambda code: counts[code])) if counts else "/".join(warm.load.errors)


def with_default(targets: Mapping[str, str]) -> dict[str, str]:
    """A system of one process is also the default target, so that its scenario needs no names."""
    return {"": next(iter(targets.values())), **targets} if len(targets) == 1 else dict(targets)
