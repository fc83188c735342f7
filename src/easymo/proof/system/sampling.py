"""What the system uses while a round runs: statements, CPU, memory, connections."""

import asyncio
import contextlib
from typing import NamedTuple

import asyncpg
import psutil

from easymo.proof.verdict.measurement import Resources

SAMPLE_EVERY_S = 0.25
#: What the arm's statements did so far; WAL by statement, so that neither the other arms nor a vacuum is in it.
_STATEMENTS = r"""
SELECT coalesce(sum(calls), 0)::bigint AS calls,
    coalesce(sum(wal_bytes), 0)::bigint AS wal_bytes,
    coalesce(sum(calls) FILTER (
        WHERE query ~* '\m(insert\s+into|delete\s+from|merge\s+into)\M|\mupdate\M.*\mset\M'), 0)::bigint AS writes
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1)
"""


class Statements(NamedTuple):
    """Counters of an arm's statements."""

    calls: int
    wal_bytes: int
    writes: int

    def since(self, earlier: "Statements") -> "Statements":
        """What was added."""
        return Statements(self.calls - earlier.calls, self.wal_bytes - earlier.wal_bytes, self.writes - earlier.writes)


class ProcessTree:
    """A process with all its descendants; counts CPU of children that have already ended too."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def cpu_s(self) -> float:
        """User and system seconds so far."""
        total = 0.0
        for process in self._members():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def rss_bytes(self) -> int:
        """Resident memory now, summed over the tree."""
        total = 0
        for process in self._members():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += int(process.memory_info().rss)
        return total

    def _members(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


class Sampler:
    """Samples one arm during one round: ``async with Sampler(...) as sampler: …; sampler.resources(requests)``.

    ``control`` is a connection to *another* database of the same server, so that the probe's own statements are not
    counted among the arm's.
    """

    def __init__(
        self,
        control: asyncpg.Connection,
        database: str,
        parts: dict[str, list[ProcessTree]],
        *,
        count_statements: bool,
    ) -> None:
        self._control, self._database, self._parts = control, database, parts
        self._count_statements = count_statements
        self._connections = 0
        self._rss_bytes = 0

    async def __aenter__(self) -> "Sampler":
        self._statements_before = await self._statements()
        self._cpu_before = self._cpu()
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._task
        self._cpu_after = self._cpu()
        self._statements_after = await self._statements()

    def resources(self, requests: int, traffic_s: float) -> Resources:
        """What was used since the start, per request and per second of traffic (the generator starts up in between)."""
        spent = {name: (self._cpu_after[name] - self._cpu_before[name]) / traffic_s for name in self._cpu_before}
        before, after = self._statements_before, self._statements_after
        counted = None if before is None or after is None else after.since(before)
        return Resources(
            db_statements_per_request=counted.calls / requests if counted and requests else None,
            cpu_ratio=sum(spent.values()),
            rss_bytes=self._rss_bytes,
            db_connections=self._connections,
            cpu_parts=spent,
            wal_bytes=counted.wal_bytes if counted else None,
            db_writes=counted.writes if counted else None,
        )

    def _cpu(self) -> dict[str, float]:
        return {name: sum(tree.cpu_s() for tree in trees) for name, trees in self._parts.items()}

    async def _watch(self) -> None:
        while not self._over.is_set():
            count = await self._control.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'",
                self._database,
            )
            self._connections = max(self._connections, count)
            # Postgres' processes share most of their resident pages, so adding them up would count one page many times.
            counted = [tree for name, trees in self._parts.items() if name != "database" for tree in trees]
            self._rss_bytes = max(self._rss_bytes, sum(tree.rss_bytes() for tree in counted))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), SAMPLE_EVERY_S)

    async def _statements(self) -> Statements | None:
        if not self._count_statements:
            return None
        (counters,) = await self._control.fetch(_STATEMENTS, self._database)
        return Statements(*counters)
