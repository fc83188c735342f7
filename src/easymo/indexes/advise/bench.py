"""The workload on a copy of all rows, run for real: what candidates really bring."""

import time
from collections.abc import Collection, Iterable, Mapping

import asyncpg
import msgspec

from easymo.indexes.advise import judgement
from easymo.indexes.advise.candidates import Candidate
from easymo.indexes.advise.workload import Work
from easymo.indexes.binding import Bound, acting
from easymo.indexes.estimate import estimate
from easymo.indexes.explain import Explained, call, explain, prepare
from easymo.indexes.observed import Connection, find_table
from easymo.indexes.scratch import hidden
from easymo.indexes.statistics import analyze_as


class Measured(msgspec.Struct, frozen=True):
    """A query, the mean over its values: `ms` the best of some runs, `counted_ms` what its plans do in units of time.

    The best run is the one that others on the machine disturbed least. Both include the waits for buffers that are not
    in memory, as often as the database has observed that.
    """

    ms: float
    counted_ms: float
    used: frozenset[str]
    skipping: frozenset[str]
    scanned: frozenset[str]

    def differs_from(self, other: "Measured") -> bool:
        """Whether the two do different amounts of work; if not, a difference of their times is noise."""
        return min(self.counted_ms, other.counted_ms) <= judgement.SAME * max(self.counted_ms, other.counted_ms)


class Bench:
    """A copy of `ratio` of the rows of `source`. A query that it cannot run is `refused`, with the reason."""

    def __init__(self, source: Connection, connection: Connection, work: Work, ratio: float) -> None:
        self._source, self._connection, self._ratio = source, connection, ratio
        self._queries = {query.name: query for query in work.queries}
        self._tables = {table.place: table for table in work.tables}
        self._role, self._wait_ms = work.copy_role, work.wait_ms
        self.built: list[Candidate] = []
        self.refused: dict[str, str] = {}

    async def build(self, candidates: Iterable[Candidate]) -> None:
        for candidate in candidates:
            await self._connection.execute(candidate.statement.replace(" concurrently", "", 1))
            self.built.append(candidate)
            if candidate.has_expressions:
                await analyze_as(self._source, self._connection, [self._tables[candidate.table]], self._ratio)

    async def drop(self, candidate: Candidate) -> None:
        await self._connection.execute(f"drop index {candidate.qualified}")
        self.built.remove(candidate)

    async def size_bytes(self, candidate: Candidate) -> int:
        return int(await self._connection.fetchval("select pg_relation_size($1::regclass)", candidate.qualified))

    async def estimated_bytes(self, candidate: Candidate) -> int:
        """The size that an index would have here, from statistics."""
        table = await find_table(self._connection, candidate.definition)
        return (await estimate(self._connection, table, candidate.definition)).size_bytes

    async def measure(
        self,
        names: Collection[str] | None = None,
        *,
        known: Mapping[str, Measured] | None = None,
        without: Collection[Candidate] = (),
    ) -> dict[str, Measured]:
        """Run some queries, or all, with what is built, or while some of that is hidden.

        A query that does the same work as when it was `known` takes as long as then: it is not timed again.
        """
        if without:
            async with hidden(self._connection, [candidate.qualified for candidate in without]):
                return await self.measure(names, known=known)
        found = {}
        for query in [
            self._queries[name] for name in (self._queries if names is None else names) if name in self._queries
        ]:
            try:
                async with acting(self._connection, self._role):
                    await prepare(self._connection, query.text, query.types)
                    found[query.name] = await self._measured(query, (known or {}).get(query.name))
            except asyncpg.PostgresError as error:
                self.refused[query.name] = str(error)
                del self._queries[query.name]
        return found

    async def _measured(self, query: Bound, known: Measured | None) -> Measured:
        values, wait_ms = query.values, max(self._wait_ms.get(place, 0.0) for place in query.tables)
        plans = [await explain(self._connection, call(each), run=True) for each in values]
        measured = Measured(
            ms=known.ms if known else 0.0,
            counted_ms=sum(_counted_ms(plan) + wait_ms * plan.buffers for plan in plans) / len(plans),
            used=frozenset(index for plan in plans for index in plan.places if index not in plan.skipping),
            skipping=frozenset(index for plan in plans for index in plan.skipping),
            scanned=frozenset(table for plan in plans for table in plan.scanned_places),
        )
        if known and not measured.differs_from(known):
            return measured
        best = [await self._best_ms(call(each), judgement.WITHIN_S / len(values)) for each in values]
        waits = sum(wait_ms * plan.buffers for plan in plans)
        return msgspec.structs.replace(measured, ms=round((sum(best) + waits) / len(best), 3))

    async def _best_ms(self, statement: str, within_s: float) -> float:
        best, ends = float("inf"), time.perf_counter() + within_s
        for run in range(judgement.RUNS):
            started = time.perf_counter()
            if run and started > ends:
                break
            await self._connection.execute(statement)
            best = min(best, time.perf_counter() - started)
        return best * 1000


def _counted_ms(plan: Explained) -> float:
    return judgement.CALL_MS + judgement.BUFFER_MS * plan.buffers + judgement.ROW_MS * plan.rows
