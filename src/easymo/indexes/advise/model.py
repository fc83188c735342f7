"""Costs of the workload under any set of candidates, asked of a small copy where all of them are built for real.

A set is shown to the planner by marking the other candidates invalid in a transaction that is rolled back.
"""

from collections.abc import Collection, Iterable

import asyncpg

from easymo.indexes.advise import judgement
from easymo.indexes.advise.candidates import Candidate
from easymo.indexes.advise.workload import Work
from easymo.indexes.binding import Bound, acting
from easymo.indexes.explain import Explained, call, explain, prepare_as
from easymo.indexes.observed import Connection
from easymo.indexes.statistics import analyze_as

_SHOW = """
update pg_index set indisvalid = (indexrelid = any ($2::oid[])) where indexrelid = any ($1::oid[])
"""
_SIZE = """
select c.oid, pg_relation_size(c.oid) as bytes, c.reltuples / greatest(1, t.reltuples) as ratio
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid where c.oid = $1::regclass
"""


class Model:
    """A small copy, `ratio` of the rows of `source`, with the candidates in `size_bytes`.

    Costs are planner units for all rows; `entries_ratio` are the entries of an index for each row.
    """

    def __init__(self, source: Connection, connection: Connection, work: Work, ratio: float) -> None:
        self._source, self._connection, self._work, self._ratio = source, connection, work, ratio
        self._built: dict[str, int] = {}
        self._names = {query.name: f"easymo_{number}" for number, query in enumerate(work.queries)}
        self.size_bytes: dict[Candidate, int] = {}
        self.entries_ratio: dict[Candidate, float] = {}

    async def build(self, candidates: Iterable[Candidate], queries: Iterable[Bound]) -> None:
        """Prepare the queries and build candidates; one that Postgres refuses is left out."""
        for query in queries:
            await prepare_as(self._connection, self._names[query.name], query.text, query.types)
        for candidate in sorted(candidates, key=lambda c: c.name):
            try:
                await self._connection.execute(candidate.statement.replace(" concurrently", "", 1))
            except asyncpg.PostgresError:
                continue
            row = await self._connection.fetchrow(_SIZE, candidate.qualified)
            assert row is not None
            self._built[candidate.qualified] = row["oid"]
            if not candidate.predicate or row["ratio"] <= judgement.PARTIAL:
                self.size_bytes[candidate], self.entries_ratio[candidate] = row["bytes"], row["ratio"]
        await analyze_as(self._source, self._connection, self._work.tables, self._ratio)  # expressions are new

    async def costs(self, shown: Collection[Candidate], queries: Iterable[Bound]) -> dict[str, float]:
        """Cost of each query when only these candidates are there, the mean over its values."""
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            await self._connection.execute("set local plan_cache_mode = force_custom_plan")
            shown_oids = [self._built[candidate.qualified] for candidate in shown]
            await self._connection.execute(_SHOW, [*self._built.values()], shown_oids)
            async with acting(self._connection, self._work.copy_role):
                return {query.name: await self._cost(query) for query in queries}
        finally:
            await transaction.rollback()

    async def _cost(self, query: Bound) -> float:
        # A prepared statement without parameters would keep its plan, whatever is shown or hidden.
        name = self._names[query.name]
        calls = [call(values, name) if values else query.text for values in query.values]
        found = [self._for_all_rows(await explain(self._connection, statement)) for statement in calls]
        return sum(found) / len(found)

    def _for_all_rows(self, plan: Explained) -> float:
        """A scan grows with its table; a plan that fetches a few rows by an index costs the same on a larger one."""
        fixed = 0.0 if plan.scanned else min(plan.cost, judgement.FEW_ROWS_COST)
        return fixed + (plan.cost - fixed) / self._ratio
