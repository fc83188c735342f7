"""Plays the scenario against one arm, while the arm's use of the machine is sampled."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from easymo.load.job import Job
from easymo.load.schedule import Stage
from easymo.proof.errors import ProofError
from easymo.proof.session.generator import WarmGenerator
from easymo.proof.system.acceptance import Acceptance
from easymo.proof.system.arms import Arm
from easymo.proof.system.processes import fill
from easymo.proof.system.sampling import Sampler
from easymo.proof.system.testbed import Testbed
from easymo.proof.verdict.measurement import AA_PHASES, Measurements, Phase, Round

#: A round whose generator was late is played again this often before the pair is given up.
RETRIES = 2
COMPARED: tuple[Phase, ...] = (*AA_PHASES, "compare", "cold")


def scenario_environment(acceptance: Acceptance, scale: str, repeat_read: float | None = None) -> dict[str, str]:
    """What the scenario finds in its environment, by default and in a cell of the break-even grid."""
    values = {"scale": scale, "seed": str(acceptance.system.seed)}
    environment = dict(acceptance.load.environment)
    if repeat_read is not None and acceptance.break_even is not None:
        environment |= acceptance.break_even.environment
        values["repeat_read"] = f"{repeat_read:g}"
    return dict(zip(environment, fill(list(environment.values()), **values), strict=True))


class Player:
    """Plays rounds; every one is kept in ``measured`` and appended to ``file`` (one JSON object a line) at once. An
    async context manager: its load generator lives as long.

    ``salt`` sets this player's tokens apart from those of other players on the same databases.
    """

    def __init__(
        self,
        acceptance: Acceptance,
        root: Path,
        environment: Mapping[str, str],
        testbed: Testbed,
        file: Path,
        salt: str = "",
    ) -> None:
        self._acceptance, self._testbed, self._file, self._salt = acceptance, testbed, file, salt
        log = file.parent / "logs" / "load-generator.log"
        self._generator = WarmGenerator(acceptance.load.scenario, root, environment, log)
        self._played = 0
        self.measured = Measurements()

    async def __aenter__(self) -> "Player":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._generator.close()

    async def warm(self, arms: Sequence[Arm], rate_rps: float, seconds: float) -> None:
        """Let pools, plans and caches of every arm see the load; these rounds count for nothing."""
        for arm in arms:
            await self.play(arm, "warm", rate_rps, seconds)

    async def play_blocks(
        self, arms: Sequence[Arm], blocks: range, rate_rps: float, seconds: float, phase: Phase = "compare"
    ) -> None:
        """One round of every arm per block, in rotated order (two arms: ABBA), all with the block's schedule."""
        for block in blocks:
            first = block % len(arms)
            for arm in (*arms[first:], *arms[:first]):
                await self.play(arm, phase, rate_rps, seconds, pair=block, seed=20_000 + block)

    async def play(
        self, arm: Arm, phase: Phase, rate_rps: float, seconds: float, *, pair: int = 0, seed: int | None = None
    ) -> Round:
        """One round of ``seconds`` (after the warm-up) at ``rate_rps``; void ones are repeated in comparisons.

        A cold round begins with an emptied cache and has no warm-up, for that would be the cold part. Rounds with the
        same ``seed`` get the same schedule. Raises :class:`RunVoid` when a process or server died.
        """
        round_ = await self._once(arm, phase, rate_rps, seconds, pair, seed)
        for _ in range(RETRIES if phase in COMPARED else 0):
            if not round_.load.void:
                break
            round_ = await self._once(arm, phase, rate_rps, seconds, pair, seed)
        return round_

    async def _once(
        self, arm: Arm, phase: Phase, rate_rps: float, seconds: float, pair: int, seed: int | None
    ) -> Round:
        self._played += 1
        seed = self._acceptance.system.seed + (seed if seed is not None else self._played)
        warm_up_s = self._acceptance.load.warm_up_s
        if phase == "cold":
            warm_up_s = 0.0
            self._testbed.caches.empty(arm.name)
        sampler = Sampler(
            self._testbed.control, arm.database, arm.parts(), count_statements=self._testbed.counts_statements
        )
        job = Job(
            scenario=self._acceptance.load.scenario,
            urls=with_default(arm.system.targets()),
            stages=[Stage(rate_rps, seconds)],
            seed=seed,
            salt=f"{self._salt}{self._played}",
            warm_up_s=warm_up_s,
        )
        try:
            async with sampler:
                load = await self._generator.play(job)
        except ProofError:
            arm.system.check()  # whoever died first is the reason
            self._testbed.check()
            raise
        self._testbed.check()
        arm.system.check()
        round_ = Round(arm.name, phase, pair, rate_rps, load, sampler.resources(load.sent, seconds + warm_up_s))
        self.measured.rounds.append(round_)
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(round_) + b"\n")
        return round_


def with_default(targets: dict[str, str]) -> dict[str, str]:
    """The targets; a system of one process is also the default one, for a scenario without names."""
    return {"": next(iter(targets.values())), **targets} if len(targets) == 1 else targets
