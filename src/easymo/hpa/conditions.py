"""What a simulation takes for given: pods, metrics and the flags of the controller."""

from math import inf
from typing import Literal

from msgspec import Struct

from easymo.hpa.controller import DOWNSCALE_WINDOW_S, SYNC_PERIOD_S
from easymo.hpa.errors import HpaError
from easymo.hpa.pod_rows import PodRows
from easymo.hpa.pods import CPU_INITIALIZATION_S, READINESS_DELAY_S
from easymo.hpa.spec import DEFAULT_TOLERANCE

FURTHER_METRIC = 3
"""A second metric makes a sync four times as long: 16 and 60 ms in the recordings of a real controller."""


class Stretch(Struct, frozen=True):
    """From one time to another, in seconds after the start of the demand."""

    start_s: float
    end_s: float

    def __contains__(self, after_s: float) -> bool:
        return self.start_s <= after_s < self.end_s


class Conditions(Struct, frozen=True, kw_only=True):
    """What a manifest does not say. Rates are in the unit of the trace, requests per second unless it says otherwise.

    Raises:
        HpaError: on values that nothing can be simulated with.
    """

    capacity: float
    """What one ready pod serves per second."""
    overload: Literal["queue", "shed"] = "queue"
    """What happens to demand above the capacity of the ready pods: it waits without end, or is refused."""
    full_percent: float = 100.0
    """CPU that a pod uses at that rate, in percent of its request."""
    constant_cpu_m: float = 0.0
    """CPU that every running pod uses whatever the load, in millicores: a sidecar. Metrics of a container omit it."""
    startup_cpu_percent: float = 0.0
    """The least CPU that a new pod uses while it starts, in percent of its request."""
    startup_cpu_s: float = 0.0
    """For how long after it runs."""
    startup_s: float = 20.0
    """From the decision to a running container: scheduling, pulling the image, starting."""
    readiness_delay_s: float = 10.0
    """From a running container to a ready pod."""
    metric_lag_s: float = 30.0
    """How old a sample is when the autoscaler sees it."""
    custom_lag_s: float | None = None
    """The same for Pods, Object and External metrics; None: as old as the others."""
    scrape_interval_s: float = 0.0
    """Resource samples stand on a grid of this and are means over it (metrics-server: 15 s); 0: each is of one second,
    and `metric_lag_s` is the age that a sample has on average."""
    metric_window_s: float = 15.0
    """The window that a sample claims (metrics-server: 15 s)."""
    first_sample_s: float = 0.0
    """How long a pod must have run before it has a sample."""
    sync_period_s: float = SYNC_PERIOD_S
    sync_work_s: float = 0.015
    """How long a sync of one metric takes; each further metric adds `FURTHER_METRIC` times as much. The next sync
    starts a period after the end of the one before."""
    first_sync_s: float = 0.0
    """When the first sync is, in seconds after the start of the demand."""
    downscale_window_s: float = DOWNSCALE_WINDOW_S
    tolerance: float = DEFAULT_TOLERANCE
    cpu_initialization_s: float = CPU_INITIALIZATION_S
    initial_readiness_delay_s: float = READINESS_DELAY_S
    initial_replicas: int | None = None
    """Size at the start; None: the minimum, or what the first demand needs if that is more, within the maximum."""
    resizes: tuple[tuple[float, int], ...] = ()
    """Sizes that somebody sets by hand: (seconds after the start, size)."""
    rollouts: tuple[float, ...] = ()
    """When new versions are rolled out, in seconds after the start."""
    failures: tuple[tuple[str, Stretch], ...] = ()
    """Metrics that fail for a time."""
    cluster_full: tuple[Stretch, ...] = ()
    """When no pod can be scheduled: new ones stay Pending."""
    pods: PodRows | None = None
    """What is known of single pods."""
    pod_hour_price: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.capacity < inf:
            raise HpaError(
                f"A pod's capacity is {self.capacity:g}, with which no number of pods carries any demand. Measure it "
                "(easymo prove), then pass --capacity REQUESTS_PER_SECOND or --verdict verdict.json."
            )
        if not (0 < self.full_percent < inf and 1 <= self.sync_period_s < inf):
            raise HpaError("The utilization at capacity must be greater than 0, and the sync period at least 1 s.")
        lags = (self.metric_lag_s, self.custom_lag_s or 0.0, self.scrape_interval_s, self.first_sample_s)
        windows = (self.metric_window_s, self.downscale_window_s, self.cpu_initialization_s)
        work = (self.sync_work_s, self.first_sync_s, self.initial_readiness_delay_s, self.tolerance, self.startup_cpu_s)
        used = (self.startup_cpu_percent, self.constant_cpu_m, self.startup_s)
        if not (self.readiness_delay_s >= 0 and all(0 <= x < inf for x in (*lags, *windows, *work, *used))):
            raise HpaError(
                "Start-up, CPU, readiness delay, metric lag, windows, periods and tolerance must be at least 0."
            )
        if min([self.initial_replicas or 0, *(size for _, size in self.resizes)]) < 0:
            raise HpaError("A size is at least 0.")

    def work_s(self, metrics: int) -> float:
        """How long a sync of an autoscaler with so many metrics takes."""
        return self.sync_work_s * (1 + FURTHER_METRIC * (metrics - 1))
