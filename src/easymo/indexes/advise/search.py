"""The search: candidates are chosen on a small copy, built on the large one, and kept if they bring it there, too.

The model. What a workload costs is the sum over its queries of calls a minute times ms. An index changes that sum by
what it gains, and has a price: an entry for each row that is inserted, for each update that is not HOT, and, where it
ends HOT, an entry in every index of the table (`pricing`). Gains of indexes do not add up: one serves several queries,
two serve the same, the two of an OR are worth something only together. So sets are compared, never single indexes.

Two instruments measure a set. The planner's cost is cheap: on a small copy every candidate is built once, a set is
shown by hiding the others, and thousands of sets are asked about; but cost is not time. The clock is dear: on a copy of
all rows the queries are run. It is also noisy, so counted work (buffers and rows) decides whether a plan is another
one, and the clock only says what the difference is worth.

The order. 1. `choose`: greedily by net gain in the model, among candidates that end no HOT update and include no
columns. 2. `_keep_budget`: sizes were estimates until now. 3. `_retry`: for the queries with most of what is left, what
the model ranked next is measured, INCLUDE among it. 4. `_keep_hot`: what ends HOT must together gain more than those
updates then cost, beside the next best that leave HOT as it is. 5. `_slim`: smaller indexes take the place of larger
ones that gain less than their space is worth. 6. `_leave_one_out`: each must gain its price for those that use it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from easymo.indexes.advise import judgement
from easymo.indexes.advise.bench import Bench, Measured
from easymo.indexes.advise.candidates import Candidate, candidates, together
from easymo.indexes.advise.model import Model
from easymo.indexes.advise.selection import Gain, Selection
from easymo.indexes.advise.workload import Work, place_of
from easymo.indexes.binding import Bound
from easymo.indexes.definitions import Definition
from easymo.indexes.observed import Connection, Observed


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
        self._budget, self._ratios = budget_bytes, ratios
        self._weights = {query.name: query.weight for query in work.queries}
        self.before: dict[str, Measured] = {}
        self.after: dict[str, Measured] = {}
        self.gain_ms: dict[Candidate, float] = {}
        self.size_bytes: dict[Candidate, int] = {}
        self.dropped: dict[str, str] = {}
        self.pools: dict[str, set[Candidate]] = {}
        self._selection: Selection | None = None

    @property
    def built(self) -> list[Candidate]:
        """What is built on the large copy: in the end, the advice."""
        return self._bench.built

    @property
    def _queries(self) -> list[Bound]:
        return [query for query in self._work.queries if query.name not in self.refused]

    @property
    def refused(self) -> dict[str, str]:
        """Queries that the copy could not run."""
        return self._bench.refused

    def tried(self, query: str) -> list[Candidate]:
        """Candidates for a query that Postgres has built, the smallest first."""
        return sorted(
            self.pools.get(query, set()) & self._model.size_bytes.keys(),
            key=lambda c: (self._model.size_bytes[c], c.name),
        )

    def over_budget(self, query: str) -> list[Candidate]:
        """Candidates that the model ranks for a query and that do not fit the budget even alone, the best first."""
        if self._selection is None or self._budget is None:
            return []
        budget, selection = self._budget, self._selection
        return [c for c in selection.ranked(query) if selection.bytes_of([c]) > budget]

    def queries_of(self, index: str) -> set[str]:
        """Queries that use an index, by its name with its schema, in any way."""
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

    async def choose(self) -> Selection:
        """Time the workload as it is, then search on the small copy."""
        self._say(f"timing {len(self._queries)} queries as they are")
        self.before = await self._bench.measure()
        least = judgement.NO_MATTER * self.total_ms(self.before)
        self.pools = {
            query.name: candidates(query.asked, self._work.catalogue)
            for query in self._queries
            if query.weight * self.before[query.name].ms >= least
        }
        pool = {candidate for found in self.pools.values() for candidate in found}
        there = {c for c in pool if any(_is_there(c, index) for index in self._work.observed)}
        pool -= there
        groups = {g for query in self._queries for g in together(query.asked, self._work.catalogue)}
        groups = {tuple(c for c in group if c not in there) for group in groups}
        self._say(f"building {len(pool)} candidates on a small copy")
        await self._model.build(pool, self._queries)
        bare = await self._model.costs((), self._queries)
        ms_per_cost = {name: self.before[name].ms / max(cost, 1e-3) for name, cost in bare.items()}
        sizes = {candidate: await self._estimated_bytes(candidate) for candidate in self._model.size_bytes}
        prices = self._work.prices
        selection = Selection(self._model, self._queries, prices, ms_per_cost, sizes, self._budget)
        self._selection = selection
        await selection.run(pool, [group for group in groups if len(group) > 1])
        return selection

    async def _estimated_bytes(self, candidate: Candidate) -> float:
        """Real size. On the small copy few rows have a value in common, so that many indexes are too large there."""
        scaled = self._model.size_bytes[candidate] / (self._ratios[0] * self._ratios[1])
        if self._budget is None:
            return scaled
        return min(scaled, await self._bench.estimated_bytes(candidate) / self._ratios[0])

    async def measure(self, selection: Selection, *, without_skip_scans: bool) -> None:
        """Build the choice on the large copy and keep what is borne out there."""
        self._say(f"building and measuring {len(selection.chosen)} indexes")
        await self._bench.build(selection.chosen)
        self.after = await self._bench.measure()
        if without_skip_scans:
            await self._give_up_skipped()
        await self._keep_budget()
        await self._retry(selection)
        await self._keep_hot(selection)
        await self._slim(selection)
        if without_skip_scans:
            await self._give_up_skipped()
        await self._leave_one_out()
        self.after = await self._bench.measure()
        for candidate in self.built:
            self.size_bytes[candidate] = int(await self._bench.size_bytes(candidate) / self._ratios[0])

    async def _give_up_skipped(self) -> None:
        for candidate in list(self.built):
            users = [self.after[name] for name in self.queries_of(candidate.qualified)]
            if users and all(candidate.qualified not in measured.used for measured in users):
                await self._give_up(candidate, "only a skip scan used it, which the database's version cannot do")

    async def _leave_one_out(self) -> None:
        """Hide each index in turn; one whose users are as well off without it is dropped."""
        for candidate in sorted(self.built, key=lambda c: (len(c.include), c.name), reverse=True):
            gain, needed = await self._gain_of(candidate), await self._needed_ms(candidate)
            if gain <= needed:
                await self._give_up(candidate, f"measured gain {gain:.0f} ms a minute, {needed:.0f} needed")
            self.gain_ms[candidate] = round(gain, 1)

    async def _gain_of(self, candidate: Candidate) -> float:
        """What its users would lose a minute without it."""
        without = await self._bench.measure(self.queries_of(candidate.qualified), known=self.after, without=[candidate])
        return self._gain_ms(without, self.after)

    async def _keep_budget(self) -> None:
        """Drop what gains least for its size until all fit: the sizes that they were chosen by were estimates."""
        while not await self._fits(()):
            gains = {c: await self._gain_of(c) / await self._bench.size_bytes(c) for c in self.built}
            await self._give_up(
                min(gains, key=lambda c: (gains[c], c.name)), "gains least for its size, over the budget"
            )

    async def _retry(self, selection: Selection) -> None:
        """Cost is not time: for the queries with most of what is left, measure what the model ranked next."""
        tried = 0
        for query in sorted(self._queries, key=lambda q: -q.weight * self.after[q.name].ms):
            if query.weight * self.after[query.name].ms < judgement.RETRY_SHARE * self.total_ms(self.after):
                continue
            ranked = [c for c in self._untried(selection.ranked(query.name)) if await self._may_fit(selection, c)]
            for candidate in ranked[: judgement.PER_QUERY]:
                if tried < judgement.RETRIES:
                    tried += 1
                    await self._try(candidate)

    async def _may_fit(self, selection: Selection, candidate: Candidate) -> bool:
        """Whether it would fit if it made all others of its table idle; which ones, only measuring tells."""
        if self._budget is None:
            return True
        others = [await self._bench.size_bytes(other) for other in self.built if other.table != candidate.table]
        return selection.bytes_of([candidate]) + sum(others) / self._ratios[0] <= self._budget

    async def _try(self, candidate: Candidate) -> None:
        """Keep a candidate that gains more than its price, and nothing of what it makes idle."""
        await self._bench.build([candidate])
        measured = await self._bench.measure(self._asking(candidate.table), known=self.after)
        gain, before = self._gain_ms(self.after, measured), self.after
        self.after = self.after | measured
        beside = [other for other in self.built if other.table == candidate.table and other is not candidate]
        idle = [other for other in beside if not self.queries_of(other.qualified)]
        if await self._fits(idle) and gain > await self._needed_ms(candidate, instead_of=idle):
            for other in idle:
                await self._give_up(other, f"{candidate.name} serves its queries")
        else:
            self.after = before
            await self._bench.drop(candidate)

    async def _fits(self, idle: Collection[Candidate]) -> bool:
        sizes = [await self._bench.size_bytes(candidate) for candidate in self.built if candidate not in idle]
        return self._budget is None or sum(sizes) / self._ratios[0] <= self._budget

    async def _needed_ms(self, candidate: Candidate, instead_of: Collection[Candidate] = ()) -> float:
        """What an index that is built has to gain a minute: its price, and its space's worth."""
        return max(self.price_ms(candidate), await self._worth_ms(candidate, instead_of))

    async def _keep_hot(self, selection: Selection) -> None:
        """Drop the indexes that end HOT for an update where together they gain too little for that.

        One alone looks cheap when another has ended it already. They have to gain more than those would that are next
        best for their queries and leave HOT as it is.
        """
        prices = self._work.prices
        for table, update in prices.updates:
            ending = [c for c in self.built if c.table == table and update in prices.ends_hot_for(c.definition)]
            if not ending:
                continue
            users = {name for candidate in ending for name in self.queries_of(candidate.qualified)}
            rest = [c.definition for c in self.built if c not in ending]
            leaving = {
                name: [c for c in self._untried(selection.ranked(name)) if not prices.ends_hot_for(c.definition, rest)]
                for name in users
            }
            others = {found[0] for found in leaving.values() if found}
            await self._bench.build(sorted(others, key=lambda c: c.name))
            measured = await self._bench.measure(self._asking(table), known=self.after, without=ending)
            loss = -self._gain_ms(self.after, measured)
            needed = prices.ended_ms(table, update, [c.definition for c in self.built])
            reason = f"gains {loss:.0f} ms a minute, {needed:.0f} needed to end HOT for {update.by}"
            if loss > needed or not await self._fits(ending):
                ending, reason = list(others), "ends no HOT update, but its query loses too much"
            for candidate in ending:
                await self._give_up(candidate, reason)

    async def _slim(self, selection: Selection) -> None:
        """Put a smaller index in the place of each with which its queries lose less than the space is worth."""
        for candidate in sorted(self.built, key=lambda c: -self._model.size_bytes[c]):
            users = self.queries_of(candidate.qualified)
            for other in self._untried(selection.smaller(candidate, users))[: judgement.SMALLER_TRIED]:
                if await self._replaced(candidate, other, users):
                    break

    def _untried(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        return [c for c in candidates if c not in self.built and c.statement not in self.dropped]

    async def _replaced(self, candidate: Candidate, other: Candidate, users: Collection[str]) -> bool:
        if self._work.prices.ends_hot_for(other.definition, self._others(candidate)):
            return False
        await self._bench.build([other])
        measured = await self._bench.measure(users, known=self.after, without=[candidate])
        loss = -self._gain_ms(self.after, measured)
        if loss > await self._worth_ms(candidate, instead_of=[other]):
            await self._bench.drop(other)
            return False
        await self._give_up(candidate, f"{other.name} serves its queries as well and is smaller")
        return True

    async def _worth_ms(self, candidate: Candidate, instead_of: Collection[Candidate]) -> float:
        """What an index has to gain a minute to be more than noise and worth its space, less that of others."""
        sizes = {built: await self._bench.size_bytes(built) for built in self.built}
        more = sizes[candidate] - sum(sizes[other] for other in instead_of)
        helped = sum(
            self._weights[name] * measured.ms
            for name, measured in self.after.items()
            if measured.differs_from(self.before[name])
        )
        share = max(0, more) / max(1, sum(sizes.values()))
        return max(judgement.NOISE * self.total_ms(self.after), judgement.SPACE_WORTH * share * helped)

    def _gain_ms(self, without: Mapping[str, Measured], with_it: Mapping[str, Measured]) -> float:
        """What queries gain a minute; one that does the same work as before has gained nothing, whatever a clock says.

        Work is counted, so that advice does not depend on what else the machine does.
        """
        both = [(name, without[name], with_it[name]) for name in without.keys() & with_it.keys()]
        return sum(self._weights[name] * (old.ms - new.ms) for name, old, new in both if new.differs_from(old))

    def _asking(self, table: str) -> list[str]:
        return [query.name for query in self._queries if table in query.tables]

    async def _give_up(self, candidate: Candidate, reason: str) -> None:
        await self._bench.drop(candidate)
        self.dropped[candidate.statement] = reason
        self.after |= await self._bench.measure(self._asking(candidate.table), known=self.after)

    def _others(self, candidate: Candidate) -> list[Definition]:
        return [other.definition for other in self.built if other is not candidate]


def _is_there(candidate: Candidate, index: Observed) -> bool:
    """Whether an index of the database does what the candidate would do."""
    wanted, there = candidate.definition, index.placed
    if candidate.table != place_of(index) or not index.valid:
        return False
    return msgspec.structs.replace(there.shape, unique=False) == wanted.shape or there.covers(wanted)
