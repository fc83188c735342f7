"""The pods of a simulated workload: they start, become ready, take their share of the demand, and are removed."""

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil, floor, inf

from easymo.hpa.conditions import Conditions
from easymo.hpa.pod_rows import NO_SAMPLE, PodRow
from easymo.hpa.pods import Pod, Sample, State, state_of

SURGE, UNAVAILABLE = 0.25, 0.25
"""`maxSurge` and `maxUnavailable` of a Deployment that sets none."""


class Cohort:
    """Pods that were created at the same moment and live alike. `changes` are (time, ready from then on)."""

    __slots__ = ("changes", "count", "created_s", "rows", "running_s", "settled_s", "version")

    def __init__(
        self, count: int, created_s: float, running_s: float, ready_s: float, version: int, rows: Sequence[PodRow] = ()
    ) -> None:
        self.count, self.created_s, self.running_s, self.version, self.rows = count, created_s, running_s, version, rows
        self.changes = [(created_s, False), (ready_s, True)]
        self.settled_s = inf
        if rows:
            self.changes = [(created_s, False)]
            for time_s in sorted({created_s, running_s, ready_s, *(row.at_s for row in rows)}):
                known = self.row(time_s)
                ready = time_s >= ready_s if known is None or known.ready is None else known.ready
                if (ready and time_s >= running_s) != self.changes[-1][1] and created_s <= time_s < inf:
                    self.changes.append((time_s, not self.changes[-1][1]))

    def row(self, time_s: float) -> PodRow | None:
        """What is known of the pod at `time_s`, if anything."""
        place = bisect_right(self.rows, time_s, key=lambda row: row.at_s) - 1
        return self.rows[place] if place >= 0 else None

    def readiness(self, time_s: float) -> tuple[float, bool]:
        """Since when the pods have been ready, or not ready, at `time_s`."""
        found = self.changes[0]
        for change in self.changes:
            if change[0] > time_s:
                break
            found = change
        return found

    def state(self, resource: str | None, now: float, sample_s: float, given: Conditions) -> State:
        """How each pod counts at `now`, when samples are those of `sample_s`. Kubernetes keeps whole seconds."""
        changed_s, ready = self.readiness(now)
        pod = Pod(
            name="",
            phase="Running" if now >= self.running_s else "Pending",
            ready=ready,
            start_s=floor(self.created_s),
            ready_changed_s=floor(changed_s),
        )
        sample = Sample(0, sample_s, given.metric_window_s) if self.is_sampled(resource, now, sample_s, given) else None
        return state_of(pod, sample, resource, now, given.cpu_initialization_s, given.initial_readiness_delay_s)

    def is_sampled(self, resource: str | None, now: float, sample_s: float, given: Conditions) -> bool:
        """Whether a metrics API shows at `now` a sample of the pods as they were at `sample_s`."""
        row = self.row(now) if self.rows else None
        absent = row is not None and NO_SAMPLE in (row.memory_m if resource == "memory" else row.cpu_m,)
        return not absent and sample_s >= self.running_s + (given.first_sample_s if resource else 0)


class Fleet:
    """All pods of one workload. Demand above the capacity of the ready ones waits in an endless queue, first in, first
    out, or is refused."""

    def __init__(self, replicas: int, given: Conditions, start_s: float = 0.0) -> None:
        self.given, self.start_s, self.capacity = given, start_s, given.capacity
        self.sheds = given.overload == "shed"
        self.mature = 0
        """Pods that the autoscaler sees as ready, without looking closer."""
        self.young: list[Cohort] = []
        self.version, self.numbered, self.wanted = 0, 0, replicas
        rows = given.pods.by_number if given.pods else {}
        for number in range(replicas):
            if number in rows:
                long_ago_s = start_s - 3600
                self.young.append(Cohort(1, long_ago_s, long_ago_s, long_ago_s, 0, rows[number]))
            else:
                self.mature += 1
        self.numbered = self.replicas = replicas
        self.removals: list[tuple[float, float, int]] = []
        """Pods that are no more: removed when, running since when, how many."""
        self.queue = self.peak_queue = self.short_s = self.over = 0.0
        self.count_ready(start_s)

    def resize(self, wanted: int, now: float) -> None:
        """Ask for `wanted` pods. The ones that are not ready go first, then the newest, as a ReplicaSet prefers."""
        before, self.wanted = self.wanted, wanted
        if any(cohort.version < self.version for cohort in self.young):
            self._spread(before, now)
            self._roll(now)
        elif wanted > self.replicas:
            self._create(wanted - self.replicas, now, self.version)
        else:
            self._remove(self.replicas - wanted, now)
        self.count_ready(now)

    def roll_out(self, now: float) -> None:
        """Begin to replace every pod by one of a new version, as a Deployment does by default."""
        self.version += 1
        if self.mature:
            long_ago_s = self.start_s - 3600
            self.young.insert(0, Cohort(self.mature, long_ago_s, long_ago_s, long_ago_s, self.version - 1))
            self.mature = 0
        self._roll(now)
        self.count_ready(now)

    def _create(self, count: int, now: float, version: int) -> None:
        given = self.given
        running_s = now + given.startup_s
        for full in given.cluster_full:
            if now - self.start_s in full or running_s - self.start_s in full:
                running_s = max(running_s, self.start_s + full.end_s)
        ready_s = running_s + given.readiness_delay_s
        if given.pods is None:
            cohort = Cohort(count, now, running_s, ready_s, version)
            fresh_s = given.metric_lag_s + given.scrape_interval_s + given.metric_window_s + 1
            busy_s = running_s + max(given.startup_cpu_s, given.first_sample_s)
            cohort.settled_s = max(now + given.cpu_initialization_s, fresh_s + max(ready_s, busy_s)) + 1
            self.young.append(cohort)
        else:
            for number in range(self.numbered, self.numbered + count):
                rows = given.pods.of(number, now)
                self.young.append(Cohort(1, now, running_s, ready_s, version, rows))
        self.numbered += count
        self.replicas += count

    def _remove(self, count: int, now: float, *, old: bool | None = None, ready: bool | None = None) -> None:
        def rank(cohort: Cohort) -> tuple[bool, bool, float, float]:
            changed_s, is_ready = cohort.readiness(now)
            return now >= cohort.running_s, is_ready, -changed_s if is_ready else 0, -cohort.created_s

        for cohort in sorted(self.young, key=rank):
            if old in (None, cohort.version < self.version) and ready in (None, cohort.readiness(now)[1]):
                taken = min(count, cohort.count)
                cohort.count -= taken
                count -= taken
                self._removed(taken, now, cohort.running_s)
        self.young = [cohort for cohort in self.young if cohort.count]
        if not old and count:
            self.mature -= count
            self._removed(count, now, -inf)

    def _removed(self, count: int, now: float, running_s: float) -> None:
        self.replicas -= count
        if count:
            self.removals.append((now, running_s, count))

    def running(self, time_s: float) -> int:
        """Pods that were running at `time_s`, since removed or not."""
        there = self.mature + sum(cohort.count for cohort in self.young if cohort.running_s <= time_s)
        return there + sum(count for at_s, ran_s, count in self.removals if ran_s <= time_s < at_s)

    def _roll(self, now: float) -> None:
        """What a Deployment's controller does in a rolling update whenever something changed."""
        most = self.wanted + ceil(SURGE * self.wanted)
        least = self.wanted - floor(UNAVAILABLE * self.wanted)
        while True:
            before = self.replicas
            old = [cohort for cohort in self.young if cohort.version < self.version]
            new = self.replicas - sum(cohort.count for cohort in old)
            self._create(max(min(most - self.replicas, self.wanted - new), 0), now, self.version)
            created = self.replicas - before
            unavailable_new = sum(c.count for c in self.young if c.version == self.version and not c.readiness(now)[1])
            allowed = max(self.replicas - least - unavailable_new, 0)
            unready_old = sum(c.count for c in old if not c.readiness(now)[1])
            ready_old = sum(c.count for c in old) - unready_old
            self._remove(min(allowed, unready_old), now, old=True, ready=False)
            available = ready_old + self.replicas - (ready_old + max(unready_old - allowed, 0)) - unavailable_new
            self._remove(max(min(available - least, ready_old), 0), now, old=True, ready=True)
            if self.replicas == before and not created:
                return

    def _spread(self, before: int, now: float) -> None:
        """A resize in the middle of a rollout: old and new pods change in proportion."""
        old = sum(cohort.count for cohort in self.young if cohort.version < self.version)
        sizes = {self.version: self.replicas - old, self.version - 1: old}
        scale = (self.wanted + ceil(SURGE * self.wanted)) / max(before + ceil(SURGE * before), 1)
        left = self.wanted + ceil(SURGE * self.wanted) - self.replicas
        grows = left > 0
        changes = {}
        for version in sorted(sizes, key=lambda version: sizes[version], reverse=grows):
            share = floor(sizes[version] * scale + 0.5) - sizes[version]
            changes[version] = max(min(share, left), 0) if grows else min(max(share, left), 0)
            left -= changes[version]
        first = max(sizes, key=lambda version: sizes[version])
        changes[first] += left
        for version, change in changes.items():
            if change > 0:
                self._create(change, now, version)
            else:
                self._remove(min(-change, sizes[version]), now, old=version < self.version)

    def count_ready(self, now: float) -> None:
        """Bring `serving` up to date, and let a rollout go on."""
        if self.version and any(cohort.version < self.version for cohort in self.young):
            self._roll(max(cohort.readiness(now)[0] for cohort in self.young))
        self.serving = self.mature + sum(cohort.count for cohort in self.young if cohort.readiness(now)[1])

    def next_change(self, now: float) -> float:
        """When the readiness of some pod changes next, or infinity."""
        return min((t for cohort in self.young for t, _ in cohort.changes if t > now), default=inf)

    def settle(self, now: float) -> None:
        """Make cohorts mature that the initialization period is over for and that have a full sample as ready pods."""
        for cohort in self.young[:]:
            if now >= cohort.settled_s and cohort.version == self.version:
                self.mature += cohort.count
                self.young.remove(cohort)

    def empties_within(self, demand: float) -> float:
        """Seconds until the queue is empty under constant `demand`, or infinity."""
        spare = self.serving * self.capacity - demand
        return self.queue / spare if spare > 0 else inf

    def serve(self, seconds: float, demand: float) -> float:
        """Let `seconds` of constant `demand` pass; returns what was served per second."""
        capacity = self.serving * self.capacity
        if demand <= capacity and self.queue == 0.0:
            return demand
        surplus = (demand - capacity) * seconds
        if surplus > 0:
            self.short_s += seconds
            self.over += surplus
        if self.sheds:
            return min(demand, capacity)
        waiting = self.queue + surplus
        if waiting < 0:
            served = demand + self.queue / seconds
            self.queue = 0.0
            return served
        self.queue = waiting
        if waiting > self.peak_queue:
            self.peak_queue = waiting
        return capacity
