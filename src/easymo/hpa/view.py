"""What the metrics APIs show of a simulated workload: its past, at the age and with the grid of their samples."""

from bisect import bisect_right
from math import ceil, floor

from easymo.hpa.conditions import Conditions
from easymo.hpa.fleet import Cohort, Fleet


class View:
    """The past of a workload, and what of it is visible at a sync.

    `sample_s` is the time of resource samples, `custom_s` that of all other metrics.
    """

    def __init__(self, fleet: Fleet, given: Conditions, first_demand: float) -> None:
        self.fleet, self.given = fleet, given
        self.current = 0
        self.now = self.sample_s = self.custom_s = fleet.start_s
        self._custom_lag_s = given.metric_lag_s if given.custom_lag_s is None else given.custom_lag_s
        self.is_immediate = min(self._custom_lag_s, given.metric_lag_s) < 1
        serving = fleet.serving
        served = min(first_demand, serving * fleet.capacity)
        # Steps of the past: when each begins, what arrives, what a serving pod serves, the sum of that, what waits at
        # its beginning and end, and how many pods work.
        self._times = [fleet.start_s - 1e6]
        self._arriving, self._shares = [first_demand], [served / max(serving, 1)]
        self._sums, self._waiting = [0.0], [(0.0, 0.0)]
        self._busy = [served / fleet.capacity]

    def look(self, now: float, current: int) -> None:
        """Set the time of a sync."""
        given = self.given
        self.now, self.current = now, current
        grid_s = given.scrape_interval_s or 1.0
        self.sample_s = floor((now - given.metric_lag_s) / grid_s + 1e-9) * grid_s
        self.custom_s = now - self._custom_lag_s

    def record(self, start_s: float, demand: float, served: float, waited: float) -> None:
        """Add the step that begins at `start_s`, in which `waited` became the queue that the fleet has now."""
        fleet = self.fleet
        share = served / max(fleet.serving, 1)
        still = waited == fleet.queue == 0.0 == self._waiting[-1][1]
        if still and share == self._shares[-1] and demand == self._arriving[-1]:
            return
        self._sums.append(self._sums[-1] + self._shares[-1] * (start_s - self._times[-1]))
        self._times.append(start_s)
        self._arriving.append(demand)
        self._shares.append(share)
        self._waiting.append((waited, fleet.queue))
        self._busy.append(served / fleet.capacity)

    def _step(self, time_s: float) -> int:
        return bisect_right(self._times, time_s) - 1

    def share(self, time_s: float) -> float:
        """What a pod that was serving at `time_s` served per second."""
        return self._shares[self._step(time_s)]

    def arriving(self) -> float:
        """Demand per second that custom metrics show."""
        return self._arriving[self._step(self.custom_s)]

    def waiting(self) -> float:
        """The queue that custom metrics show."""
        until_s = floor(self.custom_s) + 1
        step = self._step(until_s)
        begin, end = self._waiting[step]
        if step + 1 == len(self._times):
            return end if step else begin
        length_s = self._times[step + 1] - self._times[step]
        return begin + (end - begin) * (until_s - self._times[step]) / length_s

    def busy(self) -> float:
        """Pods' worth of work that was being done."""
        return self._busy[self._step(self.custom_s)]

    def mean_share(self) -> float:
        """What resource samples show of a pod that was serving all the time that they cover."""
        interval_s, end_s = self.given.scrape_interval_s, self.sample_s + 1
        return self._mean(end_s - interval_s, end_s) if interval_s else self.share(self.sample_s)

    def _mean(self, start_s: float, end_s: float) -> float:
        first, last = self._step(start_s), self._step(end_s)
        if first == last:
            return self._shares[last]
        done = self._sums[last] + self._shares[last] * (end_s - self._times[last])
        return (done - self._sums[first] - self._shares[first] * (start_s - self._times[first])) / (end_s - start_s)

    def share_of(self, cohort: Cohort) -> float:
        """What resource samples show of each pod of `cohort`: nothing for the time in which it was not ready."""
        interval_s = self.given.scrape_interval_s
        if not interval_s:
            return self.share(self.sample_s) if cohort.readiness(self.sample_s)[1] else 0.0
        end_s = self.sample_s + 1
        start_s, total = end_s - interval_s, 0.0
        ends = [*(time_s for time_s, _ in cohort.changes[1:]), end_s]
        for (since_s, ready), until_s in zip(cohort.changes, ends, strict=True):
            begins, ends_s = max(ceil(since_s), start_s), min(until_s, end_s)
            if ready and ends_s > begins:
                total += self._mean(begins, ends_s) * (ends_s - begins)
        return total / interval_s

    def starting_ratio(self, cohort: Cohort) -> float:
        """For which part of the time that samples cover the pods of `cohort` were starting."""
        until_s = cohort.running_s + self.given.startup_cpu_s
        interval_s = self.given.scrape_interval_s
        if not interval_s:
            return float(cohort.running_s <= self.sample_s < until_s)
        covered_s = min(until_s, self.sample_s) - max(cohort.running_s, self.sample_s - interval_s)
        return max(covered_s / interval_s, 0.0)
