"""Arms: one configuration of the system each, on its own copy of the data."""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from easymo.proof.system.acceptance import Acceptance, Treatment, commands_of
from easymo.proof.system.checkouts import WORKING_FOLDER, import_path
from easymo.proof.system.commands import run_commands
from easymo.proof.system.processes import RESTART_WITHIN_S, RunningSystem
from easymo.proof.system.sampling import ProcessTree, Sampler
from easymo.proof.system.testbed import Testbed
from easymo.proof.system.treatments import apply_files, take_back
from easymo.proof.verdict.file import AppliedIndex

BASELINE = "none"
TREATED = "both"


def arms_of(acceptance: Acceptance, *, full: bool) -> dict[str, dict[str, Treatment]]:
    """Treatments of every arm, the baseline first and the one with all treatments last.

    A full run has an arm for each single treatment too, so that it shows what each brought alone.
    """
    alone = {name: {name: treatment} for name, treatment in acceptance.treatments.items()}
    single = alone if full and len(alone) > 1 else {}
    return {BASELINE: {}, **single, TREATED: dict(acceptance.treatments)}


def revision_of(acceptance: Acceptance, arm: str) -> str:
    """Revision of the code that `arm` runs: its treatment's, else the system's; "" is the working folder."""
    treatments = arms_of(acceptance, full=True)[arm] if arm in acceptance.treatments else acceptance.treatments
    named = [treatment.checkout for treatment in treatments.values() if treatment.checkout and arm != BASELINE]
    return named[0] if named else acceptance.system.checkout


def base_environment_of(acceptance: Acceptance, testbed: Testbed, name: str, folder: Path) -> dict[str, str]:
    """Environment of the system in `folder` on the database of `name` (an arm or a template), without treatments.

    Where arms run different code, each imports its own: an editable install names one folder for all.
    """
    environment = testbed.environment(name)
    if len(set(testbed.folders.values())) > 1 or acceptance.system.checkout:
        environment["PYTHONPATH"] = import_path(folder, os.environ.get("PYTHONPATH", ""))
    return environment | acceptance.system.environment


def against(acceptance: Acceptance, revision: str) -> Acceptance:
    """The comparison of `revision` (without treatments) with the folder of the file as it stands, nothing promised."""
    return replace(
        acceptance,
        system=replace(acceptance.system, checkout=revision),
        treatments={"this folder": Treatment(checkout=WORKING_FOLDER)},
        promises=[],
        stress=replace(acceptance.stress, rates=[]),
        break_even=None,
    )


class Arm:
    """One configuration: which treatments it has, the folder of its code, and its running processes.

    Made once the testbed's templates are filled.
    """

    def __init__(
        self, name: str, treatments: Mapping[str, Treatment], acceptance: Acceptance, testbed: Testbed
    ) -> None:
        self.name = name
        self.treatments = dict(treatments)
        self.folder = testbed.folders[name]
        self._base = base_environment_of(acceptance, testbed, name, self.folder)
        self._places = testbed.places(name) | {"folder": str(self.folder)}
        self._testbed = testbed

    def prepare(self, acceptance: Acceptance, root: Path, logs: Path) -> None:
        """Make the (not yet started) processes of this arm; its treatments' files are those of `root`."""
        self._root, self._log = root, logs / self.name / "treatments.log"
        processes = acceptance.system.processes
        self.system = RunningSystem(processes, self.folder, self.environment(), logs / self.name, self._places)

    async def apply(self, treatment: Treatment) -> list[AppliedIndex]:
        """Apply a treatment's files and commands; returns the indexes built, in order."""
        built = await apply_files(treatment, self._root, self.database_url)
        await self._run("apply", treatment)
        return built

    async def take_back(self, treatment: Treatment) -> None:
        """Undo :meth:`apply`."""
        await self._run("undo", treatment)
        await take_back(treatment, self._root, self.database_url)

    async def _run(self, key: str, treatment: Treatment) -> None:
        commands = commands_of(getattr(treatment, key))
        await run_commands(key, commands, self.folder, self.environment(), self._places, self._log)

    def environment(self, *, treated: bool = True) -> dict[str, str]:
        """Environment of the arm's processes, with or without what its treatments set."""
        environment = dict(self._base)
        for treatment in self.treatments.values() if treated else ():
            environment.update(treatment.environment)
        return environment

    async def halt(self) -> None:
        """Stop the processes with whatever they and the database still have to do."""
        await self.system.stop(RESTART_WITHIN_S)
        await self._testbed.control.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", self.database
        )

    async def restart(self, *, treated: bool = True) -> None:
        """Restart the processes on an idle database, so that a backlog never reaches the next round."""
        await self.halt()
        self.system.environment = self.environment(treated=treated)
        await self.system.start()

    @property
    def title(self) -> str:
        """What sentences call it."""
        return f"the arm {self.name!r}"

    def urls(self) -> Mapping[str, str]:
        """Base URLs of its processes by name."""
        return self.system.targets()

    def watch(self) -> Sampler:
        """Watch what it uses during the block."""
        testbed = self._testbed
        return Sampler(testbed.control, self.database, self.parts(), count_statements=testbed.counts_statements)

    def check(self) -> None:
        """Raise :class:`RunVoid` when one of its processes or servers has died."""
        self._testbed.check()
        self.system.check()

    def empty_cache(self) -> None:
        """Forget what its cache holds."""
        self._testbed.caches.empty(self.name)

    @property
    def database_url(self) -> str:
        """Address of the arm's database."""
        return self._testbed.database_url(self.name)

    @property
    def database(self) -> str:
        """Name of the arm's database."""
        return self._testbed.database_of(self.name)

    def parts(self) -> dict[str, list[ProcessTree]]:
        """The processes whose use of the machine counts: the system's own, and the embedded servers'."""
        parts = {"system": [ProcessTree(pid) for pid in self.system.pids()]}
        cache = self._testbed.caches.servers[self.name]
        for name, server in (("database", self._testbed.database), ("cache", cache)):
            if server.pid is not None:
                parts[name] = [ProcessTree(server.pid)]
        return parts
