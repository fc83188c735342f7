"""The workload on a copy of all rows, timed: what candidates really bring."""

from collections.abc import Collection, Iterable, Sequence

import asyncpg

from easymo.indexes.advise.candidates import Candidate
from easymo.indexes.advise.workload import Query
from easymo.indexes.explain import call, explain, prepare, timing
from easymo.indexes.observed import Connection
from easymo.indexes.scratch import hidden

_RUNS, _WITHIN_S = 9, 0.4


class Bench:
    """Times are P50 in ms. A query that the copy cannot run has none."""

    def __init__(self, connection: Connection, queries: Sequence[Query]) -> None:
        self._connection, self._queries = connection, {query.name: query for query in queries}
        self.built: list[Candidate] = []
        self.refused: dict[str, str] = {}

    async def build(self, candidates: Iterable[Candidate]) -> None:
        for candidate in candidates:
            await self._connection.execute(candidate.statement.replace(" concurrently", "", 1))
            self.built.append(candidate)

    async def drop(self, candidate: Candidate) -> None:
        await self._connection.execute(f'drop index "{candidate.name}"')
        self.built.remove(candidate)

    async def size_bytes(self, candidate: Candidate) -> int:
        return int(await self._connection.fetchval("select pg_relation_size($1::regclass)", f'"{candidate.name}"'))

    async def times(self, names: Iterable[str] | None = None) -> dict[str, float]:
        """Milliseconds of some queries, or of all, with what is built."""
        found = {}
        for name in list(self._queries if names is None else names):
            query = self._queries[name]
            try:
                await prepare(self._connection, query.text)
                found[name] = (await timing(self._connection, query.values, runs=_RUNS, within_s=_WITHIN_S)).p50_ms
            except asyncpg.PostgresError as error:
                self.refused[name] = str(error)
                del self._queries[name]
        return found

    async def times_without(self, candidate: Candidate, names: Collection[str]) -> dict[str, float]:
        """Milliseconds of some queries while one index is hidden."""
        async with hidden(self._connection, [candidate.name]):
            return await self.times(names)

    async def users(self) -> tuple[dict[str, set[str]], dict[str, set[str]], dict[str, tuple[str, ...]]]:
        """Index and the queries that use it; index and those that skip-scan it; query and the tables it scans."""
        used: dict[str, set[str]] = {}
        skipping: dict[str, set[str]] = {}
        scanned: dict[str, tuple[str, ...]] = {}
        for query in self._queries.values():
            await prepare(self._connection, query.text)
            for values in query.values:
                plan = await explain(self._connection, call(values), run=True)
                for index in plan.indexes:
                    (skipping if index in plan.skipping else used).setdefault(index, set()).add(query.name)
                scanned[query.name] = (*scanned.get(query.name, ()), *plan.scanned)
        return used, skipping, scanned
