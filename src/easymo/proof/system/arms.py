"""Arms: one configuration of the system each, on its own copy of the data."""

from collections.abc import Mapping
from pathlib import Path

from easymo.proof.system.acceptance import Acceptance, Treatment
from easymo.proof.system.processes import RESTART_WITHIN_S, RunningSystem
from easymo.proof.system.sampling import ProcessTree, Sampler
from easymo.proof.system.testbed import Testbed

BASELINE = "none"
TREATED = "both"


def arms_of(acceptance: Acceptance, *, full: bool) -> dict[str, dict[str, Treatment]]:
    """Treatments of every arm, the baseline first and the one with all treatments last.

    A full run has an arm for each single treatment too, so that it shows what each brought alone.
    """
    alone = {name: {name: treatment} for name, treatment in acceptance.treatments.items()}
    single = alone if full and len(alone) > 1 else {}
    return {BASELINE: {}, **single, TREATED: dict(acceptance.treatments)}


class Arm:
    """One configuration: which treatments it has, and its running processes."""

    def __init__(
        self, name: str, treatments: Mapping[str, Treatment], acceptance: Acceptance, testbed: Testbed
    ) -> None:
        self.name = name
        self.treatments = dict(treatments)
        self._base = {**acceptance.system.environment, **testbed.environment(name)}
        self._testbed = testbed

    def prepare(self, acceptance: Acceptance, root: Path, logs: Path) -> None:
        """Make the (not yet started) processes of this arm."""
        self.system = RunningSystem(acceptance.system.processes, root, self.environment(), logs / self.name)

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
