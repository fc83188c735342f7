"""The search: candidates are chosen on a small copy, built on the large one, and kept if the clock agrees."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from easymo.indexes.advise.bench import Bench
from easymo.indexes.advise.candidates import Candidate, candidates
from easymo.indexes.advise.model import Model
from easymo.indexes.advise.selection import Gain, Selection
from easymo.indexes.advise.workload import Query, Work
from easymo.indexes.observed import Connection, Observed

_NOISE = 0.003  # of all that is left: a smaller gain is not told from noise
# Queries with so much of what is left get the next best candidates of the model measured, too.
_RETRY_SHARE, _RETRIES, _PER_QUERY = 0.015, 20, 3
_FASTER = 0.85
_HOT_FACTOR = 3.0  # what ends HOT updates must gain this much of its price: bloat and vacuum are not all in it


class Search:
    """Fill in order: `choose`, then `measure`. Times are ms at P50; `users` are the queries of each index.

    `ratios` are the shares of the rows that the large and the small copy hold.
    """

    def __init__(
        self,
        full: Connection,
        small: Connection,
        work: Work,
        ratios: tuple[float, float],
        budget_bytes: int | None,
        say: Callable[[str], None],
    ) -> None:
        self._bench, self._model = Bench(full, work.queries), Model(small, work.queries, ratios[1])
        self._work, self._say = work, say
        self._queries, self._budget, self._ratios = list(work.queries), budget_bytes, ratios
        self._ranked: dict[str, list[Candidate]] = {}
        self.before: dict[str, float] = {}
        self.after: dict[str, float] = {}
        self.gain_ms: dict[Candidate, float] = {}
        self.size_bytes: dict[Candidate, int] = {}
        self.dropped: dict[str, str] = {}
        self.users: dict[str, set[str]] = {}
        self._skipping: dict[str, set[str]] = {}
        self.scanned: dict[str, tuple[str, ...]] = {}

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
        return self.users.get(index, set()) | self._skipping.get(index, set())

    def total_ms(self, times: Mapping[str, float]) -> float:
        """Calls a minute times ms, all queries."""
        return sum(query.weight * times[query.name] for query in self._queries)

    def gains(self) -> list[Gain]:
        """All queries before and after, what gained most first."""
        found = [Gain(q.name, q.weight, self.before[q.name], self.after[q.name]) for q in self._queries]
        return sorted(found, key=lambda gain: -gain.calls_per_minute * (gain.before_ms - gain.after_ms))

    async def choose(self) -> list[Candidate]:
        """Time the workload as it is, then search on the small copy."""
        self._say(f"timing {len(self._queries)} queries as they are")
        self.before = await self._bench.times()
        self._queries = [query for query in self._queries if query.name in self.before]
        pool = {c for query in self._queries for c in candidates(query.hot, self._work.catalogue)}
        pool -= {c for c in pool if any(_is_there(c, index) for index in self._work.observed)}
        self._say(f"building {len(pool)} candidates on a small copy")
        await self._model.build(pool)
        bare = await self._model.costs((), self._queries)
        ms_per_cost = {name: self.before[name] / max(cost, 1e-3) for name, cost in bare.items()}
        scale = 1 / (self._ratios[0] * self._ratios[1])
        selection = Selection(self._model, self._queries, self._work.prices, ms_per_cost, scale, self._budget)
        chosen = await selection.run(pool)
        self._ranked = selection.ranked
        return chosen

    async def measure(self, chosen: Sequence[Candidate], *, without_skip_scans: bool) -> None:
        """Build the choice on the large copy and keep what the clock bears out."""
        self._say(f"building and measuring {len(chosen)} indexes")
        await self._bench.build(chosen)
        await self._time_all()
        if without_skip_scans:
            for candidate in [c for c in self.built if c.name in self._skipping and c.name not in self.users]:
                await self._give_up(candidate, "only a skip scan used it, which the database's version cannot do")
        await self._retry()
        await self._leave_one_out()
        await self._time_all()
        for candidate in self.built:
            self.size_bytes[candidate] = int(await self._bench.size_bytes(candidate) / self._ratios[0])

    async def _time_all(self) -> None:
        self.after = await self._bench.times()
        self.users, self._skipping, self.scanned = await self._bench.users()

    async def _leave_one_out(self) -> None:
        """Hide each index in turn; one whose users are as fast without it is dropped."""
        for candidate in sorted(self.built, key=lambda c: (len(c.include), c.name), reverse=True):
            users = self.queries_of(candidate.name)
            without = await self._bench.times_without(candidate, users)
            gain = sum(self._weight(name) * (ms - self.after[name]) for name, ms in without.items())
            others = [other.definition for other in self.built if other is not candidate]
            price = self._work.prices.of(candidate.definition, others)
            if gain <= max(price, _NOISE * self.total_ms(self.after)):
                await self._give_up(candidate, f"measured gain {gain:.0f} ms a minute, price {price:.0f}")
            self.gain_ms[candidate] = round(gain, 1)

    async def _retry(self) -> None:
        """Cost is not time: for the queries with most of what is left, measure what the model ranked next."""
        left = self.total_ms(self.after)
        tried = 0
        for query in sorted(self._queries, key=lambda q: -q.weight * self.after[q.name]):
            if query.weight * self.after[query.name] < _RETRY_SHARE * left:
                return
            for candidate in [c for c in self._ranked.get(query.name, ()) if c not in self.built][:_PER_QUERY]:
                if tried < _RETRIES:
                    tried += 1
                    await self._try(candidate, query)

    async def _try(self, candidate: Candidate, query: Query) -> None:
        await self._bench.build([candidate])
        touched = [other.name for other in self._queries if candidate.table in other.tables]
        times = await self._bench.times(touched)
        gain = sum(self._weight(name) * (self.after[name] - ms) for name, ms in times.items())
        sizes = [await self._bench.size_bytes(other) for other in self.built]
        fits = self._budget is None or sum(sizes) / self._ratios[0] <= self._budget
        faster = times[query.name] < _FASTER * self.after[query.name]
        others = [other.definition for other in self.built if other is not candidate]
        price = self._work.prices.of(candidate.definition, others)
        if self._work.prices.ends_hot_for(candidate.definition, others):
            price *= _HOT_FACTOR
        if fits and faster and gain > max(price, _NOISE * self.total_ms(self.after)):
            self.after |= times
            self.users, self._skipping, self.scanned = await self._bench.users()
        else:
            await self._bench.drop(candidate)

    async def _give_up(self, candidate: Candidate, reason: str) -> None:
        await self._bench.drop(candidate)
        self.dropped[candidate.statement] = reason
        self.after |= await self._bench.times(q.name for q in self._queries if candidate.table in q.tables)
        self.users, self._skipping, self.scanned = await self._bench.users()

    def _weight(self, name: str) -> float:
        return next(query.weight for query in self._queries if query.name == name)


def _is_there(candidate: Candidate, index: Observed) -> bool:
    """Whether an index of the database does what the candidate would do."""
    wanted, there = candidate.definition, index.placed
    if wanted.table != there.table or not index.valid:
        return False
    return msgspec.structs.replace(there.shape, unique=False) == wanted.shape or there.covers(wanted)
