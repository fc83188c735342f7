"""Which candidates to build together: greedy by net gain within a budget, and without what the rest makes idle."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from easymo.indexes.advise import judgement
from easymo.indexes.advise.candidates import Candidate
from easymo.indexes.advise.model import Model
from easymo.indexes.advise.pricing import Prices
from easymo.indexes.binding import Bound

Step = tuple[Candidate, ...]
"""What is chosen at once: one candidate, or a group of which each is useless without the others."""


class Selection:
    """The search. `ms_per_cost` turns a query's cost in the model into ms; `bytes_of` is the real size of each."""

    def __init__(
        self,
        model: Model,
        queries: Sequence[Bound],
        prices: Prices,
        ms_per_cost: Mapping[str, float],
        bytes_of: Mapping[Candidate, float],
        budget_bytes: int | None,
    ) -> None:
        self._model, self._queries, self._prices = model, queries, prices
        self._weights = {query.name: query.weight * ms_per_cost[query.name] for query in queries}
        self._bytes_of, self._budget = bytes_of, budget_bytes
        self.chosen: list[Candidate] = []
        self._alone: dict[str, list[tuple[float, Candidate]]] = {query.name: [] for query in queries}
        self._costs: dict[str, float] = {}
        self._bare: dict[str, float] = {}

    async def run(self, pool: Collection[Candidate], groups: Collection[Step] = ()) -> None:
        """Choose from pool and groups what costs least besides its size: nothing included, no HOT update ended.

        Whether more than that is worth its price, the planner's cost cannot tell: see `ranked`, and measure.
        """
        self._costs = self._bare = await self._model.costs((), self._queries)
        waiting: dict[Step, float] = {}
        for candidate in [candidate for candidate in pool if candidate in self._model.size_bytes]:
            gain, costs = await self._gain((candidate,))
            for name, cost in costs.items():
                if cost < judgement.BETTER * self._costs[name]:
                    self._alone[name].append((cost, candidate))
            if self._is_cheap(candidate):
                waiting[candidate,] = gain
        for group in groups:
            if all(candidate in self._model.size_bytes and self._is_cheap(candidate) for candidate in group):
                waiting[group], _ = await self._gain(group)
        while best := await self._best(waiting):
            step, costs = best
            self.chosen += [candidate for candidate in step if candidate not in self.chosen]
            self._costs = self._costs | costs
            del waiting[step]
            await self._drop_idle(step)

    def _is_cheap(self, candidate: Candidate) -> bool:
        return not candidate.include and not self._prices.ends_hot_for(candidate.definition)

    def ranked(self, query: str) -> list[Candidate]:
        """The candidates that lower the cost of a query alone, the best first, of equal ones the smallest."""
        found = self._alone[query]
        good = min((cost for cost, _ in found), default=0.0) + judgement.EQUALLY * self._bare[query]
        order = [(max(good, cost), self._model.size_bytes[c], c.name, c) for cost, c in found]
        return [candidate for *_, candidate in sorted(order, key=lambda row: row[:3])]

    def smaller(self, candidate: Candidate, queries: Collection[str]) -> list[Candidate]:
        """Much smaller candidates that lower the cost of each of these queries alone, the best first."""
        costs = [{other: cost * self._weights[name] for cost, other in self._alone[name]} for name in queries]
        sizes = self._model.size_bytes
        found = [c for c in costs[0] if all(c in other for other in costs)] if costs else []
        small = [c for c in found if c.table == candidate.table and sizes[c] <= judgement.SMALLER * sizes[candidate]]
        return sorted(small, key=lambda c: (sum(cost[c] for cost in costs), sizes[c], c.name))

    def total_ms(self, costs: Mapping[str, float] | None = None) -> float:
        """Estimated ms a minute of the workload."""
        return sum(self._weights[name] * cost for name, cost in (costs or self._costs).items())

    def bytes_of(self, candidates: Collection[Candidate]) -> float:
        """Estimated real size."""
        return sum(self._bytes_of[candidate] for candidate in candidates)

    async def _best(self, waiting: dict[Step, float]) -> tuple[Step, dict[str, float]] | None:
        """The step with the largest net gain. `waiting` holds what each gained at most when last asked."""
        fresh: dict[Step, dict[str, float]] = {}
        least = judgement.WORTH * self.total_ms()
        while True:
            open_ = [step for step, gain in waiting.items() if gain > least and self._fits(step)]
            if not open_:
                return None
            top = max(open_, key=lambda step: (waiting[step], _names(step)))
            near = [step for step in open_ if waiting[step] >= judgement.NEARLY * waiting[top]]
            stale = [top] if top not in fresh else [step for step in near if step not in fresh]
            if not stale:
                best = min(near, key=lambda step: (self.bytes_of(step), _names(step)))
                return best, fresh[best]
            for step in stale:
                waiting[step], fresh[step] = await self._gain(step)

    async def _gain(self, step: Step) -> tuple[float, dict[str, float]]:
        more = [candidate for candidate in step if candidate not in self.chosen]
        tables = {candidate.table for candidate in more}
        touched = [query for query in self._queries if tables & query.tables]
        costs = await self._model.costs([*self.chosen, *more], touched)
        gain = sum(self._weights[name] * (self._costs[name] - cost) for name, cost in costs.items())
        price = sum(self._price(candidate, [*self.chosen, *more[:place]]) for place, candidate in enumerate(more))
        return gain - price, costs

    async def _drop_idle(self, newest: Step) -> None:
        """Take out what a later choice has made worth less than its price."""
        for candidate in [candidate for candidate in self.chosen if candidate not in newest]:
            rest = [other for other in self.chosen if other is not candidate]
            touched = [query for query in self._queries if candidate.table in query.tables]
            costs = await self._model.costs(rest, touched)
            loss = sum(self._weights[name] * (cost - self._costs[name]) for name, cost in costs.items())
            if loss <= max(judgement.WORTH * self.total_ms(), self._price(candidate, rest)):
                self.chosen, self._costs = rest, self._costs | costs

    def _price(self, candidate: Candidate, chosen: Collection[Candidate]) -> float:
        others = [other.definition for other in chosen]
        return self._prices.of(candidate.definition, others, self._model.entries_ratio[candidate])

    def _fits(self, step: Step) -> bool:
        return self._budget is None or self.bytes_of({*self.chosen, *step}) <= self._budget


def _names(step: Step) -> list[str]:
    return [candidate.name for candidate in step]


class Gain(msgspec.Struct, frozen=True):
    """A query before and after, measured on the copy of all rows: ms of the best of some runs, mean over its values."""

    query: str
    calls_per_minute: float
    before_ms: float
    after_ms: float
