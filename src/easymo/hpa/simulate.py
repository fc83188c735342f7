"""Replay demand against an autoscaler: what it would have decided at each sync, and what that would have cost."""

from collections.abc import Callable, Mapping
from math import ceil, inf

from msgspec import Struct

from easymo.hpa.behavior import Reason
from easymo.hpa.conditions import Conditions
from easymo.hpa.controller import Controller, Decision, tolerance_of
from easymo.hpa.errors import HpaError
from easymo.hpa.fleet import Fleet
from easymo.hpa.keda import Keda
from easymo.hpa.replicas import Proposal, combine
from easymo.hpa.signals import Signal, Source, signals, total_of
from easymo.hpa.spec import Hpa
from easymo.hpa.status import Condition, status_after
from easymo.hpa.view import View
from easymo.trace.series import Series, Span

FLAP_S = 600.0
"""A change of size that takes back one of at most so long ago is a flap."""


class Sync(Struct, frozen=True):
    """One sync. ``proposal`` is the size that the metrics asked for (None: they failed) and ``metric`` the one behind
    it; ``stabilized`` is what the windows left of it; ``replicas`` what the limits did, for ``reason``."""

    time_s: float
    demand: float
    ready: int
    current: int
    proposal: int | None
    metric: str | None
    value: int | None
    stabilized: int | None
    replicas: int
    reason: Reason
    queue: float
    conditions: dict[str, Condition]


class Totals(Struct, frozen=True):
    """What a run came to. ``short_s``: seconds in which more was asked for than the ready pods serve;
    ``over_requests``: how much more; ``peak_queue``: the longest that a queue without end would have been;
    ``pod_hours`` count pods from the decision on, ready or not."""

    seconds: float
    syncs: int
    requests: float
    short_s: float
    over_requests: float
    peak_queue: float
    pod_hours: float
    cost: float | None
    changes: int
    flaps: int
    least_replicas: int
    most_replicas: int


class Simulation(Struct, frozen=True):
    """One autoscaler over one trace; ``syncs`` is empty when only the totals were asked for."""

    name: str
    conditions: Conditions
    totals: Totals
    syncs: list[Sync]
    notes: list[str]


class Demand:
    """A series cut at the syncs, once for all simulations of it. The first pieces are those before the first sync.

    Load moves in whole seconds: what changes within a second is felt from the next one on, and a sync finds the second
    in which it is complete.
    """

    def __init__(self, series: Series, times_s: list[float], work_s: float) -> None:
        self.start_s, self.end_s, self.times_s, self.work_s = series.start_s, series.end_s, times_s, work_s
        edges = [self.start_s, *map(ceil, self.times_s), max(self.end_s, ceil(self.times_s[-1]))]
        pieces: list[list[Span]] = [[] for _ in edges[1:]]
        self.total = 0.0
        index = 0
        for start, end, value in series.spans():
            self.total += (end - start) * value
            while index < len(pieces) and edges[index] < end:
                cut, from_s = min(end, edges[index + 1]), max(start, edges[index])
                if cut > from_s:
                    pieces[index].append(Span(from_s, cut, value))
                if cut < edges[index + 1]:
                    break
                index += 1
        self.first = next(series.spans()).value
        self.lead, self.pieces = pieces[0], pieces[1:]

    @classmethod
    def at_period(cls, series: Series, given: Conditions, metrics: int) -> "Demand":
        """Cut at the syncs of an autoscaler with so many metrics."""
        first_s, work_s = series.start_s + given.first_sync_s, given.work_s(metrics)
        step_s = given.sync_period_s + work_s
        count = max(ceil((series.end_s - first_s) / step_s - 1e-9), 1)
        return cls(series, [first_s + i * step_s for i in range(count)], work_s)


def simulate(
    hpa: Hpa,
    demand: Series | Demand,
    given: Conditions,
    sources: Mapping[str, Source] | None = None,
    *,
    requests_m: Mapping[str, int] | None = None,
    keep_syncs: bool = True,
    ambiguous_from: int | None = None,
    keda: Keda | None = None,
) -> Simulation:
    """What `hpa` would have done. `sources` and `requests_m` are explained at `easymo.hpa.signals.signals`.

    The controller is taken as just started: it remembers nothing but the size it finds. `ambiguous_from` is the number
    of the sync at which it finds another autoscaler on the same pods; `keda` scales to and from its resting size.

    Raises:
        HpaError: for a metric that the demand does not tell and no source gives.
    """
    said = []
    if isinstance(demand, Series):
        said = [f"trace: {demand.note}"] if demand.note else []
        demand = Demand.at_period(demand, given, len(hpa.metrics))
    try:
        named, notes = signals(hpa, sources or {}, given, tolerance_of(hpa.behavior, given.tolerance), requests_m)
    except HpaError:
        if ambiguous_from is None:
            raise
        named, notes = [], []  # what its metrics show has no effect
    run = _Run(hpa, demand, given, named)
    if keda is not None and keda.rests_at is not None:
        run.poll(keda, [(total_of(sources or {}, name), limit) for name, limit in keda.activations.items()])
    run.pass_time(demand.lead)
    for index, now in enumerate(demand.times_s):
        run.sync(index, now, keep_syncs, ambiguous=ambiguous_from is not None and index >= ambiguous_from)
        run.pass_time(demand.pieces[index])
    if ambiguous_from is not None:
        notes.append(f"{hpa.name} does not act: another autoscaler scales the same pods (AmbiguousSelector).")
    return Simulation(hpa.name, given, run.totals(), run.syncs, said + notes)


class _Run:
    """The state of one simulation between two syncs."""

    def __init__(self, hpa: Hpa, demand: Demand, given: Conditions, named: list[tuple[str, Signal]]) -> None:
        self.hpa, self.demand, self.given, self.named = hpa, demand, given, named
        needed = max(hpa.min_replicas, min(ceil(demand.first / given.capacity), hpa.max_replicas))
        self.current = needed if given.initial_replicas is None else given.initial_replicas
        self.fleet = Fleet(self.current, given, demand.start_s)
        self.view = View(self.fleet, given, demand.first)
        self.controller = Controller(hpa.min_replicas, hpa.max_replicas, hpa.behavior, given.downscale_window_s)
        self.syncs: list[Sync] = []
        self.status: dict[str, Condition] = {}
        self.pod_s = 0.0
        self.changes = self.flaps = 0
        self.least = self.most = self.current
        self._last_change = (-inf, 0)
        self._events: list[tuple[float, Callable[[float], None]]] = []
        """What happens between syncs, the next at the end."""
        for at_s, size in given.resizes:
            self._at(demand.start_s + at_s, lambda now, size=size: self._resize(size, now))  # type: ignore[misc]
        for at_s in given.rollouts:
            self._at(demand.start_s + at_s, self.fleet.roll_out)

    def _at(self, time_s: float, event: Callable[[float], None]) -> None:
        self._events.append((time_s, event))
        self._events.sort(key=lambda event: event[0], reverse=True)

    def _happen(self, now: float) -> None:
        while self._events and self._events[-1][0] <= now:
            time_s, event = self._events.pop()
            event(time_s)

    def poll(self, keda: Keda, triggers: list[tuple[Callable[[View], int], int]]) -> None:
        """Let KEDA look at its triggers again and again: totals, and the amounts above which they are active."""
        active_s = self.demand.start_s

        def look(now: float) -> None:
            nonlocal active_s
            self.view.look(now, self.current)
            rest, wakes_at = keda.rests_at or 0, max(keda.minimum, 1)
            if any(total(self.view) > limit for total, limit in triggers):
                active_s = now
                if self.current <= rest:
                    self._resize(wakes_at, now)
            elif self.current > rest and now - active_s > keda.cooldown_s:
                self._resize(rest, now)
            self._at(now + keda.polling_s, look)

        self._at(self.demand.start_s + keda.polling_s, look)

    def sync(self, index: int, now: float, keep: bool, *, ambiguous: bool) -> None:
        """One sync at `now`."""
        fleet, view = self.fleet, self.view
        self._happen(now)
        before = self.current
        if fleet.young:
            fleet.settle(now)
            fleet.count_ready(now)
        pieces = self.demand.pieces[index]
        if view.is_immediate and pieces and pieces[0].start_s == now:  # the second that begins is visible already
            capacity = fleet.serving * fleet.capacity
            view.record(now, pieces[0].value, capacity if fleet.queue else min(pieces[0].value, capacity), fleet.queue)
        view.look(now, before)
        proposals = [signal(view) for _, signal in self.named]
        wanted = combine([None if p is None else p.replicas for p in proposals], before)
        decision = self.controller.sync(now, before, wanted, ambiguous=ambiguous)
        if keep:
            self._keep(index, now, proposals, wanted, decision)
        if decision.replicas != before:
            self._resize(decision.replicas, now + self.demand.work_s)  # the size is written when the sync ends
            change = self.current - before
            self.changes += 1
            at, last = self._last_change
            self.flaps += (change > 0) != (last > 0) and now - at <= FLAP_S
            self._last_change = (now, change)

    def _keep(
        self, index: int, now: float, proposals: list[Proposal | None], wanted: int | None, decision: Decision
    ) -> None:
        pieces, hpa = self.demand.pieces[index], self.hpa
        kinds = {metric.name: metric.type for metric in hpa.metrics}
        failed = [kinds[name] for (name, _), p in zip(self.named, proposals, strict=True) if p is None]
        kind = {"has_behavior": hpa.behavior is not None, "scale_to_zero": hpa.min_replicas == 0}
        self.status = status_after(self.status, decision, self.current, wanted, failed, **kind)
        metric, value = _largest(self.named, proposals)
        self.syncs.append(
            Sync(
                time_s=now,
                demand=pieces[0].value if pieces else 0.0,
                ready=self.fleet.serving,
                current=self.current,
                proposal=wanted,
                metric=metric,
                value=value,
                stabilized=decision.stabilized,
                replicas=decision.replicas,
                reason=decision.reason,
                queue=self.fleet.queue,
                conditions=self.status,
            )
        )

    def pass_time(self, pieces: list[Span]) -> None:
        """Let time pass until the next sync, cut where pods change or somebody interferes."""
        fleet = self.fleet
        for piece in pieces:
            start, end, value = piece
            while fleet.young or self._events:
                self._happen(start)
                fleet.count_ready(start)
                cut_s = ceil(min(fleet.next_change(start), self._events[-1][0] if self._events else inf, end))
                if cut_s >= end:
                    break
                self._pass(start, cut_s, value)
                start = cut_s
            self._pass(start, end, value)

    def _pass(self, start: float, end: float, value: float) -> None:
        if end > start:
            fleet = self.fleet
            waited = fleet.queue
            if waited and end - start > 1 and (empties_s := fleet.empties_within(value)) < end - start:
                # The second in which the queue empties is neither as busy as those before nor as those after.
                cut_s = start + (empties_s // 1 or 1)
                self._pass(start, cut_s, value)
                self._pass(cut_s, end, value)
                return
            served = fleet.serve(end - start, value)
            self.view.record(start, value, served, waited)
            self.pod_s += fleet.replicas * (end - start)

    def _resize(self, size: int, now: float) -> None:
        self.fleet.resize(size, now)
        self.current = size
        self.least, self.most = min(self.least, size), max(self.most, size)

    def totals(self) -> Totals:
        """The run so far."""
        demand, fleet, price = self.demand, self.fleet, self.given.pod_hour_price
        hours = self.pod_s / 3600
        return Totals(
            seconds=demand.end_s - demand.start_s,
            syncs=len(demand.times_s),
            requests=demand.total,
            short_s=fleet.short_s,
            over_requests=fleet.over,
            peak_queue=fleet.peak_queue,
            pod_hours=hours,
            cost=None if price is None else hours * price,
            changes=self.changes,
            flaps=self.flaps,
            least_replicas=self.least,
            most_replicas=self.most,
        )


def _largest(named: list[tuple[str, Signal]], proposals: list[Proposal | None]) -> tuple[str, int] | tuple[None, None]:
    """Name and value of the first metric that asks for the largest size."""
    best: Proposal | None = None
    found: tuple[str, int] | tuple[None, None] = (None, None)
    for (name, _), proposal in zip(named, proposals, strict=True):
        if proposal is not None and (best is None or proposal.replicas > best.replicas):
            best, found = proposal, (name, proposal.value)
    return found
