"""Which candidates to build together: greedy by net gain within a budget, and without what the rest makes idle."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from easymo.indexes.advise.candidates import Candidate
from easymo.indexes.advise.model import Model
from easymo.indexes.advise.pricing import Prices
from easymo.indexes.advise.workload import Query

# Of two candidates with nearly the same gain the smaller one is chosen.
_NEARLY = 0.97
# A gain below this share of what the workload still costs is no reason for an index.
_WORTH = 0.004
_BETTER = 0.9  # of a query's cost: a candidate that lowers it less is not for this query
_SMALLER = 0.75  # of the size of another: worth a try in its place
_EQUALLY = 0.01  # of the cost without any: so near the best one nobody sees the difference


class Selection:
    """The search. `ms_per_cost` turns a query's cost in the model into ms, `scale` the model's bytes into real ones."""

    def __init__(
        self,
        model: Model,
        queries: Sequence[Query],
        prices: Prices,
        ms_per_cost: Mapping[str, float],
        scale: float,
        budget_bytes: int | None,
    ) -> None:
        self._model, self._queries, self._prices = model, queries, prices
        self._weights = {query.name: query.weight * ms_per_cost[query.name] for query in queries}
        self._scale, self._budget = scale, budget_bytes
        self.chosen: list[Candidate] = []
        self._alone: dict[str, list[tuple[float, Candidate]]] = {query.name: [] for query in queries}
        self._costs: dict[str, float] = {}
        self._bare: dict[str, float] = {}

    async def run(self, pool: Collection[Candidate]) -> None:
        """Choose from the pool what costs least besides its size: nothing included, no HOT update ended.

        Whether more than that is worth its price, the planner's cost cannot tell: see `ranked`, and measure.
        """
        self._costs = self._bare = await self._model.costs((), self._queries)
        waiting = {}
        for candidate in [candidate for candidate in pool if candidate in self._model.size_bytes]:
            gain, costs = await self._gain(candidate)
            for name, cost in costs.items():
                if cost < _BETTER * self._costs[name]:
                    self._alone[name].append((cost, candidate))
            if not candidate.include and not self._prices.ends_hot_for(candidate.definition):
                waiting[candidate] = gain
        while best := await self._best(waiting):
            candidate, costs = best
            self.chosen.append(candidate)
            self._costs = self._costs | costs
            del waiting[candidate]
            await self._drop_idle()

    def ranked(self, query: str) -> list[Candidate]:
        """The candidates that lower the cost of a query alone, the best first, of equal ones the smallest."""
        found = self._alone[query]
        good = min((cost for cost, _ in found), default=0.0) + _EQUALLY * self._bare[query]
        order = [(max(good, cost), self._model.size_bytes[c], c.name, c) for cost, c in found]
        return [candidate for *_, candidate in sorted(order, key=lambda row: row[:3])]

    def smaller(self, candidate: Candidate, queries: Collection[str]) -> list[Candidate]:
        """Much smaller candidates that lower the cost of each of these queries alone, the best first."""
        costs = [{other: cost * self._weights[name] for cost, other in self._alone[name]} for name in queries]
        sizes = self._model.size_bytes
        found = [c for c in costs[0] if all(c in other for other in costs)] if costs else []
        small = [c for c in found if c.table == candidate.table and sizes[c] <= _SMALLER * sizes[candidate]]
        return sorted(small, key=lambda c: (sum(cost[c] for cost in costs), sizes[c], c.name))

    def total_ms(self, costs: Mapping[str, float] | None = None) -> float:
        """Estimated ms a minute of the workload."""
        return sum(self._weights[name] * cost for name, cost in (costs or self._costs).items())

    def bytes_of(self, candidates: Collection[Candidate]) -> float:
        """Estimated real size."""
        return sum(self._model.size_bytes[candidate] for candidate in candidates) * self._scale

    async def _best(self, waiting: dict[Candidate, float]) -> tuple[Candidate, dict[str, float]] | None:
        """The candidate with the largest net gain. `waiting` holds what each gained at most when last asked."""
        fresh: dict[Candidate, dict[str, float]] = {}
        least = _WORTH * self.total_ms()
        while True:
            open_ = [c for c, gain in waiting.items() if gain > least and self._fits(c)]
            if not open_:
                return None
            top = max(open_, key=lambda c: (waiting[c], c.name))
            near = [c for c in open_ if waiting[c] >= _NEARLY * waiting[top]]
            stale = [top] if top not in fresh else [c for c in near if c not in fresh]
            if not stale:
                chosen = min(near, key=lambda c: (self._model.size_bytes[c], c.name))
                return chosen, fresh[chosen]
            for candidate in stale:
                waiting[candidate], fresh[candidate] = await self._gain(candidate)

    async def _gain(self, candidate: Candidate) -> tuple[float, dict[str, float]]:
        touched = [query for query in self._queries if candidate.table in query.tables]
        costs = await self._model.costs([*self.chosen, candidate], touched)
        gain = sum(self._weights[name] * (self._costs[name] - cost) for name, cost in costs.items())
        return gain - self._price(candidate, self.chosen), costs

    async def _drop_idle(self) -> None:
        """Take out what a later choice has made worth less than its price."""
        for candidate in self.chosen[:-1]:
            rest = [other for other in self.chosen if other is not candidate]
            touched = [query for query in self._queries if candidate.table in query.tables]
            costs = await self._model.costs(rest, touched)
            loss = sum(self._weights[name] * (cost - self._costs[name]) for name, cost in costs.items())
            if loss <= max(_WORTH * self.total_ms(), self._price(candidate, rest)):
                self.chosen, self._costs = rest, self._costs | costs

    def _price(self, candidate: Candidate, chosen: Collection[Candidate]) -> float:
        others = [other.definition for other in chosen]
        return self._prices.of(candidate.definition, others, self._model.entries_ratio[candidate])

    def _fits(self, candidate: Candidate) -> bool:
        return self._budget is None or self.bytes_of([*self.chosen, candidate]) <= self._budget


class Gain(msgspec.Struct, frozen=True):
    """A query before and after, measured on the copy of all rows: ms of the best of some runs, mean over its values."""

    query: str
    calls_per_minute: float
    before_ms: float
    after_ms: float
