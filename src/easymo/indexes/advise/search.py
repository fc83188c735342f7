"""The search: candidates are chosen on a small copy, built on the large one, and kept if they bring it there, too."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from easymo.indexes.advise.bench import Bench, Measured
from easymo.indexes.advise.candidates import Candidate, candidates
from easymo.indexes.advise.model import Model
from easymo.indexes.advise.selection import Gain, Selection
from easymo.indexes.advise.workload import Work
from easymo.indexes.definitions import Definition
from easymo.indexes.observed import Connection, Observed

_NOISE = 0.003  # of all that is left: a smaller gain is not told from noise
# Queries with so much of what is left get the next best candidates of the model measured, too.
_RETRY_SHARE, _RETRIES, _PER_QUERY = 0.015, 20, 3
_HOT_FACTOR = 3.0  # what ends HOT updates must gain this much of its price: bloat and vacuum are not all in it


class Search:
    """Fill in order: `choose`, then `measure`.

    `source` is the database, `full` and `small` its copies, `ratios` the shares of the rows that they hold: the large
    one of the source's, the small one of the large one's.
    """

    def __init__(
        self,
        source: Connection,
        full: Connection,
        small: Connection,
        work: Work,
        ratios: tuple[float, float],
        budget_bytes: int | None,
        say: Callable[[str], None],
    ) -> None:
        self._bench, self._model = Bench(source, full, work, ratios[0]), Model(full, small, work, ratios[1])
        self._work, self._say = work, say
        self._queries, self._budget, self._ratios = list(work.queries), budget_bytes, ratios
        self._weights = {query.name: query.weight for query in work.queries}
        self._ranked: dict[str, list[Candidate]] = {}
        self.before: dict[str, Measured] = {}
        self.after: dict[str, Measured] = {}
        self.gain_ms: dict[Candidate, float] = {}
        self.size_bytes: dict[Candidate, int] = {}
        self.dropped: dict[str, str] = {}

    @property
    def built(self) -> list[Candidate]:
        """What is built on the large copy: in the end, the advice."""
        return self._bench.built

    @property
    def refused(self) -> dict[str, str]:
        """Queries that the copy could not run."""
        return self._bench.refused

    def queries_of(self, index: str) -> set[str]:
        """Queries that use an index in any way."""
        return {name for name, measured in self.after.items() if index in measured.used | measured.skipping}

    def total_ms(self, measured: Mapping[str, Measured]) -> float:
        """Calls a minute times ms, all queries."""
        return sum(query.weight * measured[query.name].ms for query in self._queries)

    def gains(self) -> list[Gain]:
        """All queries before and after, what gained most first."""
        found = [Gain(q.name, q.weight, self.before[q.name].ms, self.after[q.name].ms) for q in self._queries]
        return sorted(found, key=lambda gain: -gain.calls_per_minute * (gain.before_ms - gain.after_ms))

    def price_ms(self, candidate: Candidate) -> float:
        """What writes pay a minute for an index, beside the others that are built."""
        return self._work.prices.of(candidate.definition, self._others(candidate), self._model.entries_ratio[candidate])

    async def choose(self) -> list[Candidate]:
        """Time the workload as it is, then search on the small copy."""
        self._say(f"timing {len(self._queries)} queries as they are")
        self.before = await self._bench.measure()
        self._queries = [query for query in self._queries if query.name in self.before]
        pool = {c for query in self._queries for c in candidates(query.hot, self._work.catalogue)}
        pool -= {c for c in pool if any(_is_there(c, index) for index in self._work.observed)}
        self._say(f"building {len(pool)} candidates on a small copy")
        await self._model.build(pool)
        bare = await self._model.costs((), self._queries)
        ms_per_cost = {name: self.before[name].ms / max(cost, 1e-3) for name, cost in bare.items()}
        scale = 1 / (self._ratios[0] * self._ratios[1])
        selection = Selection(self._model, self._queries, self._work.prices, ms_per_cost, scale, self._budget)
        chosen = await selection.run(pool)
        self._ranked = selection.ranked
        return chosen

    async def measure(self, chosen: Sequence[Candidate], *, without_skip_scans: bool) -> None:
        """Build the choice on the large copy and keep what is borne out there."""
        self._say(f"building and measuring {len(chosen)} indexes")
        await self._bench.build(chosen)
        self.after = await self._bench.measure()
        if without_skip_scans:
            await self._give_up_skipped()
        await self._retry()
        if without_skip_scans:
            await self._give_up_skipped()
        await self._leave_one_out()
        self.after = await self._bench.measure()
        for candidate in self.built:
            self.size_bytes[candidate] = int(await self._bench.size_bytes(candidate) / self._ratios[0])

    async def _give_up_skipped(self) -> None:
        for candidate in list(self.built):
            users = [self.after[name] for name in self.queries_of(candidate.name)]
            if users and all(candidate.name not in measured.used for measured in users):
                await self._give_up(candidate, "only a skip scan used it, which the database's version cannot do")

    async def _leave_one_out(self) -> None:
        """Hide each index in turn; one whose users are as well off without it is dropped."""
        for candidate in sorted(self.built, key=lambda c: (len(c.include), c.name), reverse=True):
            without = await self._bench.measure(self.queries_of(candidate.name), without=candidate)
            gain, price = self._gain_ms(without, self.after), self.price_ms(candidate)
            if gain <= max(price, _NOISE * self.total_ms(self.after)):
                await self._give_up(candidate, f"measured gain {gain:.0f} ms a minute, price {price:.0f}")
            self.gain_ms[candidate] = round(gain, 1)

    async def _retry(self) -> None:
        """Cost is not time: for the queries with most of what is left, measure what the model ranked next."""
        left = self.total_ms(self.after)
        tried = 0
        for query in sorted(self._queries, key=lambda q: -q.weight * self.after[q.name].ms):
            if query.weight * self.after[query.name].ms < _RETRY_SHARE * left:
                return
            for candidate in [c for c in self._ranked.get(query.name, ()) if c not in self.built][:_PER_QUERY]:
                if tried < _RETRIES:
                    tried += 1
                    await self._try(candidate)

    async def _try(self, candidate: Candidate) -> None:
        """Keep a candidate that gains more than its price, and nothing of what it makes idle."""
        await self._bench.build([candidate])
        measured = await self._bench.measure(q.name for q in self._queries if candidate.table in q.tables)
        gain, price = self._gain_ms(self.after, measured), self.price_ms(candidate)
        sizes = [await self._bench.size_bytes(other) for other in self.built]
        fits = self._budget is None or sum(sizes) / self._ratios[0] <= self._budget
        if self._work.prices.ends_hot_for(candidate.definition, self._others(candidate)):
            price *= _HOT_FACTOR
        if fits and gain > max(price, _NOISE * self.total_ms(self.after)):
            self.after |= measured
        else:
            await self._bench.drop(candidate)

    def _gain_ms(self, without: Mapping[str, Measured], with_it: Mapping[str, Measured]) -> float:
        """What queries gain a minute; one that does the same work as before has gained nothing, whatever its times say.

        Work is counted, so that advice does not depend on what else the machine does.
        """
        both = [(name, without[name], with_it[name]) for name in without.keys() & with_it.keys()]
        return sum(self._weights[name] * (old.ms - new.ms) for name, old, new in both if new.differs_from(old))

    async def _give_up(self, candidate: Candidate, reason: str) -> None:
        await self._bench.drop(candidate)
        self.dropped[candidate.statement] = reason
        self.after |= await self._bench.measure(q.name for q in self._queries if candidate.table in q.tables)

    def _others(self, candidate: Candidate) -> list[Definition]:
        return [other.definition for other in self.built if other is not candidate]


def _is_there(candidate: Candidate, index: Observed) -> bool:
    """Whether an index of the database does what the candidate would do."""
    wanted, there = candidate.definition, index.placed
    if wanted.table != there.table or not index.valid:
        return False
    return msgspec.structs.replace(there.shape, unique=False) == wanted.shape or there.covers(wanted)
