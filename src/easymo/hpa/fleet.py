"""The pods of a simulated target: they start, become ready, take their share of the demand, and are removed."""

from math import inf

from easymo.hpa.pods import CPU_INITIALIZATION_S, Pod, Sample, State, state_of


class Batch:
    """Pods that were asked for at the same sync and are not yet like all others to the autoscaler."""

    __slots__ = ("count", "created_s", "ready_s", "running_s")

    def __init__(self, count: int, created_s: float, startup_s: float, readiness_delay_s: float) -> None:
        self.count, self.created_s = count, created_s
        self.running_s = created_s + startup_s
        self.ready_s = self.running_s + readiness_delay_s

    def state(self, resource: str | None, now: float, sample_s: float, window_s: float) -> State:
        """How each pod of the batch counts at ``now``, when samples are those of ``sample_s``."""
        ready = now >= self.ready_s
        pod = Pod(
            name="",
            phase="Running" if now >= self.running_s else "Pending",
            ready=ready,
            start_s=self.created_s,
            ready_changed_s=self.ready_s if ready else self.created_s,
        )
        sample = Sample(0, sample_s, window_s) if sample_s >= self.running_s else None
        return state_of(pod, sample, resource, now)


class Fleet:
    """All pods of one target. ``capacity`` is what one ready pod serves per second.

    Demand above the capacity of the ready pods waits in an endless queue, first in, first out; requests that would
    have been refused or given up are in it too.
    """

    def __init__(self, replicas: int, capacity: float) -> None:
        self.capacity = capacity
        self.mature = replicas
        """Pods that the autoscaler sees as ready, without looking closer."""
        self.young: list[Batch] = []
        self.serving = replicas
        """Pods that are ready and take their share."""
        self.queue = 0.0
        self.peak_queue = 0.0
        self.short_s = 0.0
        self.over = 0.0

    @property
    def replicas(self) -> int:
        """All pods, ready or not."""
        return self.mature + sum(batch.count for batch in self.young)

    def resize(self, change: int, now: float, startup_s: float, readiness_delay_s: float) -> None:
        """Ask for ``change`` pods more or fewer. The newest go first, as a ReplicaSet prefers."""
        if change > 0:
            self.young.append(Batch(change, now, startup_s, readiness_delay_s))
        gone = -change
        while gone > 0 and self.young:
            batch = self.young[-1]
            taken = min(gone, batch.count)
            batch.count -= taken
            gone -= taken
            if batch.count == 0:
                self.young.pop()
        if gone > 0:
            self.mature -= gone
        self.count_ready(now)

    def count_ready(self, now: float) -> None:
        """Bring ``serving`` up to date."""
        self.serving = self.mature + sum(batch.count for batch in self.young if batch.ready_s <= now)

    def next_ready(self, now: float) -> float:
        """When the next pods become ready, or infinity."""
        return min((batch.ready_s for batch in self.young if batch.ready_s > now), default=inf)

    def settle(self, now: float, fresh_after_s: float) -> None:
        """Make batches mature that the initialization period is over for and that have a full sample as ready pods."""
        for batch in self.young[:]:
            if now >= max(batch.created_s + CPU_INITIALIZATION_S, batch.ready_s + fresh_after_s):
                self.mature += batch.count
                self.young.remove(batch)

    def serve(self, seconds: float, demand: float) -> float:
        """Let ``seconds`` of constant ``demand`` pass; returns what was served per second."""
        capacity = self.serving * self.capacity
        if demand <= capacity and self.queue == 0.0:
            return demand
        surplus = (demand - capacity) * seconds
        if surplus > 0:
            self.short_s += seconds
            self.over += surplus
        waiting = self.queue + surplus
        if waiting < 0:
            served = demand + self.queue / seconds
            self.queue = 0.0
            return served
        self.queue = waiting
        if waiting > self.peak_queue:
            self.peak_queue = waiting
        return capacity
