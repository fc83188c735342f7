"""Plays the scenario against one arm, in a process of its own, while the arm's use of the machine is sampled."""

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec

from easymo.load.errors import ScenarioError
from easymo.load.job import Job
from easymo.load.result import LoadResult
from easymo.load.schedule import Stage
from easymo.proof.acceptance import Acceptance
from easymo.proof.arms import Arm
from easymo.proof.errors import AcceptanceError, RunVoid
from easymo.proof.measurement import Measurements, Phase, Round
from easymo.proof.processes import base_environment, die_with_parent, fill
from easymo.proof.sampling import Sampler
from easymo.proof.testbed import Testbed

#: A round whose generator was late is played again this often before the pair is given up.
RETRIES = 2


class Player:
    """Plays rounds; every one is kept in ``measured`` and written to ``rounds.jsonl`` at once."""

    def __init__(self, acceptance: Acceptance, root: Path, scale: str, testbed: Testbed, folder: Path) -> None:
        self._acceptance, self._root, self._testbed = acceptance, root, testbed
        self._folder = folder
        self._played = 0
        self.measured = Measurements()
        values = {"scale": scale, "seed": str(acceptance.system.seed)}
        self._environment = {name: fill([value], **values)[0] for name, value in acceptance.load.environment.items()}

    async def play(
        self, arm: Arm, phase: Phase, rate_rps: float, seconds: float, *, pair: int = 0, seed: int | None = None
    ) -> Round:
        """One round of ``seconds`` (after the warm-up) at ``rate_rps``; void ones are repeated in comparisons.

        Rounds with the same ``seed`` get the same schedule. Raises :class:`RunVoid` when a process or server died.
        """
        round_ = await self._once(arm, phase, rate_rps, seconds, pair, seed)
        for _ in range(RETRIES if phase in ("aa-1", "aa-2", "compare") else 0):
            if not round_.load.void:
                break
            round_ = await self._once(arm, phase, rate_rps, seconds, pair, seed)
        return round_

    async def _once(
        self, arm: Arm, phase: Phase, rate_rps: float, seconds: float, pair: int, seed: int | None
    ) -> Round:
        self._played += 1
        seed = self._acceptance.system.seed + (seed if seed is not None else self._played)
        sampler = Sampler(
            self._testbed.control, arm.database, arm.parts(), count_statements=self._testbed.counts_statements
        )
        async with sampler:
            load = await self._generate(arm, rate_rps, seconds, seed, salt=str(self._played))
        self._testbed.check()
        arm.system.check()
        round_ = Round(
            arm.name,
            phase,
            pair,
            rate_rps,
            load,
            sampler.resources(load.sent, seconds + self._acceptance.load.warm_up_s),
        )
        self.measured.rounds.append(round_)
        with (self._folder / "rounds.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(round_) + b"\n")
        return round_

    async def _generate(self, arm: Arm, rate_rps: float, seconds: float, seed: int, salt: str) -> LoadResult:
        job = Job(
            scenario=self._acceptance.load.scenario,
            urls=_with_default(arm.system.targets()),
            stages=[Stage(rate_rps, seconds)],
            seed=seed,
            salt=salt,
            warm_up_s=self._acceptance.load.warm_up_s,
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "easymo.load", msgspec.json.encode(job).decode()),
            cwd=self._root,
            env={**base_environment(), **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        try:
            output, complaint = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == 0:
            return msgspec.json.decode(output, type=LoadResult)
        arm.system.check()
        self._testbed.check()
        said = complaint.decode(errors="replace").strip() or "nothing"
        if process.returncode == ScenarioError.exit_code:
            raise AcceptanceError(self._acceptance.load.scenario, None, said)
        raise RunVoid(f"The load generator ended with exit code {process.returncode} and said: {said}")


def _with_default(targets: dict[str, str]) -> dict[str, str]:
    """A system of one process is also the default target, so that its scenario needs no names."""
    return {"": next(iter(targets.values())), **targets} if len(targets) == 1 else targets
