"""Replay demand against an autoscaler: what it would have decided at each sync, and what that would have cost."""

from collections.abc import Mapping
from math import ceil, inf

from msgspec import Struct

from easymo.hpa.behavior import Reason
from easymo.hpa.controller import DOWNSCALE_WINDOW_S, SYNC_PERIOD_S, Controller, tolerance_of
from easymo.hpa.errors import HpaError
from easymo.hpa.fleet import Fleet
from easymo.hpa.replicas import Proposal, combine
from easymo.hpa.signals import Signal, Source, View, signals
from easymo.hpa.spec import DEFAULT_TOLERANCE, Hpa
from easymo.trace.series import Series, Span

FLAP_S = 600.0
"""A change of size that takes back one of at most so long ago is a flap."""


class Conditions(Struct, frozen=True, kw_only=True):
    """What a manifest does not say. Rates are in the unit of the trace, requests per second unless it says otherwise.

    Raises:
        HpaError: on values that nothing can be simulated with.
    """

    capacity: float
    """What one ready pod serves per second."""
    full_percent: float = 100.0
    """CPU that a pod uses at that rate, in percent of its request."""
    startup_s: float = 20.0
    """From the decision to a running container: scheduling, pulling the image, starting."""
    readiness_delay_s: float = 10.0
    """From a running container to a ready pod."""
    metric_lag_s: float = 30.0
    """How old a sample is when the autoscaler sees it."""
    metric_window_s: float = 15.0
    """Over how long a sample was taken (metrics-server: 15 s)."""
    sync_period_s: float = SYNC_PERIOD_S
    downscale_window_s: float = DOWNSCALE_WINDOW_S
    tolerance: float = DEFAULT_TOLERANCE
    initial_replicas: int | None = None
    """Size at the start; None: the minimum, or what the first demand needs if that is more, within the maximum."""
    pod_hour_price: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.capacity < inf:
            raise HpaError(
                f"A pod's capacity is {self.capacity:g}, with which no number of pods carries any demand. Measure it "
                "(easymo prove), then pass --capacity REQUESTS_PER_SECOND or --verdict verdict.json."
            )
        if not (0 < self.full_percent < inf and 1 <= self.sync_period_s < inf):
            raise HpaError("The utilization at capacity must be greater than 0, and the sync period at least 1 s.")
        times = (self.startup_s, self.readiness_delay_s, self.metric_lag_s, self.metric_window_s, self.tolerance)
        if not all(0 <= value < inf for value in (*times, self.downscale_window_s)):
            raise HpaError("Start-up, readiness delay, metric lag, windows and tolerance must be at least 0.")
        if self.initial_replicas is not None and self.initial_replicas < 1:
            raise HpaError("A size of 0 switches an autoscaler off: start with at least one pod.")


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
    """A series cut at the syncs, once for all simulations of it."""

    def __init__(self, series: Series, sync_period_s: float) -> None:
        self.start_s, self.end_s = series.start_s, series.end_s
        self.period_s = sync_period_s
        count = max(ceil((self.end_s - self.start_s) / sync_period_s - 1e-9), 1)
        self.times_s = [self.start_s + i * sync_period_s for i in range(count)]
        self.pieces: list[list[Span]] = [[] for _ in self.times_s]
        self.total = 0.0
        for start, end, value in series.spans():
            self.total += (end - start) * value
            index = int((start - self.start_s) / sync_period_s)
            while index < count and self.times_s[index] < end:
                cut = min(end, self.times_s[index] + sync_period_s)
                from_s = max(start, self.times_s[index])
                if cut > from_s:
                    self.pieces[index].append(Span(from_s, cut, value))
                index += 1


def simulate(
    hpa: Hpa,
    demand: Series | Demand,
    conditions: Conditions,
    sources: Mapping[str, Source] | None = None,
    *,
    requests_m: Mapping[str, int] | None = None,
    keep_syncs: bool = True,
) -> Simulation:
    """What ``hpa`` would have done. ``sources`` and ``requests_m`` are explained at :func:`easymo.hpa.signals.signals`.

    The controller is taken as just started: it remembers nothing but the size it finds.

    Raises:
        HpaError: for a metric that the demand does not tell and no source gives.
    """
    if isinstance(demand, Series):
        demand = Demand(demand, conditions.sync_period_s)
    tolerance = tolerance_of(hpa.behavior, conditions.tolerance)
    named, notes = signals(
        hpa,
        sources or {},
        capacity=conditions.capacity,
        full_percent=conditions.full_percent,
        tolerance=tolerance,
        requests_m=requests_m,
    )
    run = _Run(hpa, demand, conditions)
    for index, now in enumerate(demand.times_s):
        run.step(index, now, named, keep_syncs)
    return Simulation(hpa.name, conditions, run.totals(), run.syncs, notes)


class _Run:
    """The state of one simulation between two syncs."""

    def __init__(self, hpa: Hpa, demand: Demand, conditions: Conditions) -> None:
        self.demand, self.conditions = demand, conditions
        first = demand.pieces[0][0].value
        needed = max(hpa.min_replicas, min(ceil(first / conditions.capacity), hpa.max_replicas), 1)
        self.current = needed if conditions.initial_replicas is None else conditions.initial_replicas
        self.fleet = Fleet(self.current, conditions.capacity)
        self.view = View(self.fleet, conditions.metric_window_s)
        window_s = conditions.downscale_window_s
        self.controller = Controller(hpa.min_replicas, hpa.max_replicas, hpa.behavior, window_s)
        served = min(first, self.current * conditions.capacity)
        # What the samples of the past show, by time: arriving, served by each serving pod, waiting, pods at work.
        self.past: list[tuple[float, float, float, float, float]] = [
            (-inf, first, served / self.current, 0.0, served / conditions.capacity)
        ]
        self.seen = 0
        self.syncs: list[Sync] = []
        self.pod_s = 0.0
        self.changes = self.flaps = 0
        self.least = self.most = self.current
        self._last_change = (-inf, 0)

    def step(self, index: int, now: float, named: list[tuple[str, Signal]], keep: bool) -> None:
        """One sync at ``now``, and the time until the next."""
        fleet, view, pieces = self.fleet, self.view, self.demand.pieces[index]
        if fleet.young:
            fresh_after_s = self.conditions.metric_lag_s + self.conditions.metric_window_s
            fleet.settle(now, fresh_after_s)
            fleet.count_ready(now)
        view.now, view.current = now, self.current
        self._look_back(now, pieces[0].value)
        proposals = [signal(view) for _, signal in named]
        wanted = combine([None if p is None else p.replicas for p in proposals], self.current)
        before = self.current
        decision = self.controller.sync(now, before, wanted)
        if keep:
            metric, value = _largest(named, proposals)
            self.syncs.append(
                Sync(
                    time_s=now,
                    demand=pieces[0].value,
                    ready=fleet.serving,
                    current=before,
                    proposal=wanted,
                    metric=metric,
                    value=value,
                    stabilized=decision.stabilized,
                    replicas=decision.replicas,
                    reason=decision.reason,
                    queue=fleet.queue,
                )
            )
        if decision.replicas != before:
            self._resize(decision.replicas - before, now)
        for piece in pieces:
            self._serve(piece)
        self.pod_s += self.current * (pieces[-1].end_s - now)

    def _look_back(self, now: float, demand: float) -> None:
        view, past = self.view, self.past
        view.sample_s = sample_s = now - self.conditions.metric_lag_s
        if sample_s >= now:
            fleet = self.fleet
            served = fleet.serving * fleet.capacity if fleet.queue else min(demand, fleet.serving * fleet.capacity)
            view.arriving, view.served_per_pod = demand, served / max(fleet.serving, 1)
            view.waiting, view.busy = fleet.queue, served / fleet.capacity
            return
        seen = self.seen
        while seen + 1 < len(past) and past[seen + 1][0] <= sample_s:
            seen += 1
        self.seen = seen
        _, view.arriving, view.served_per_pod, view.waiting, view.busy = past[seen]

    def _serve(self, piece: Span) -> None:
        fleet = self.fleet
        start, end, value = piece
        if fleet.young:
            fleet.count_ready(start)
        while fleet.young and (ready_s := fleet.next_ready(start)) < end:
            self._pass(start, ready_s, value)
            start = ready_s
            fleet.count_ready(start)
        self._pass(start, end, value)

    def _pass(self, start: float, end: float, value: float) -> None:
        if end > start:
            fleet = self.fleet
            waiting = fleet.queue
            served = fleet.serve(end - start, value)
            self.past.append((start, value, served / max(fleet.serving, 1), waiting, served / fleet.capacity))

    def _resize(self, change: int, now: float) -> None:
        self.fleet.resize(change, now, self.conditions.startup_s, self.conditions.readiness_delay_s)
        self.current += change
        self.changes += 1
        at, before = self._last_change
        self.flaps += (change > 0) != (before > 0) and now - at <= FLAP_S
        self._last_change = (now, change)
        self.least, self.most = min(self.least, self.current), max(self.most, self.current)

    def totals(self) -> Totals:
        """The run so far."""
        demand, fleet, price = self.demand, self.fleet, self.conditions.pod_hour_price
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
