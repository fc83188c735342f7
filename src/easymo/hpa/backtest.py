"""A simulation beside what really happened: where the two sizes differ, when and by how much."""

from msgspec import Struct

from easymo.hpa.errors import HpaError
from easymo.hpa.simulate import Simulation
from easymo.trace.series import Series


class Difference(Struct, frozen=True):
    """A stretch in which the sizes differ. ``simulated`` and ``actual`` are those where they are furthest apart."""

    start_s: float
    end_s: float
    simulated: int
    actual: int


class Backtest(Struct, frozen=True):
    """How well a simulation agrees with reality over its syncs.

    ``agree_ratio``: share of the syncs with equal sizes; ``within_one_ratio``: with sizes at most one pod apart.
    ``differences`` are in the order of time.
    """

    syncs: int
    agree_ratio: float
    within_one_ratio: float
    mean_difference: float
    simulated_pod_hours: float
    actual_pod_hours: float
    differences: list[Difference]


def overlap(demand: Series, actual: Series) -> tuple[float, float]:
    """From when to when both series have values.

    Raises:
        HpaError: when they have no minute in common.
    """
    start_s, end_s = max(demand.start_s, actual.start_s), min(demand.end_s, actual.end_s)
    if end_s - start_s < 60:
        raise HpaError(
            f"The trace ({demand.start_s:.0f} to {demand.end_s:.0f}) and the actual replicas ({actual.start_s:.0f} to "
            f"{actual.end_s:.0f}, Unix seconds) do not overlap. Export both over the same time."
        )
    return start_s, end_s


def backtest(simulation: Simulation, actual: Series) -> Backtest:
    """Compare the size before each sync, which is what a metrics system would have recorded then.

    The simulation must have kept its syncs and have started from the actual size.
    """
    period_h = simulation.conditions.sync_period_s / 3600
    apart: list[int] = []
    differences: list[Difference] = []
    actual_hours = simulated_hours = 0.0
    for sync in simulation.syncs:
        real = round(actual.at(sync.time_s))
        apart.append(abs(sync.current - real))
        actual_hours += real * period_h
        simulated_hours += sync.current * period_h
        if not apart[-1]:
            continue
        end_s = sync.time_s + simulation.conditions.sync_period_s
        found = Difference(sync.time_s, end_s, sync.current, real)
        if len(apart) > 1 and apart[-2] and differences:
            last = differences.pop()
            worst = found if apart[-1] > abs(last.simulated - last.actual) else last
            found = Difference(last.start_s, end_s, worst.simulated, worst.actual)
        differences.append(found)
    return Backtest(
        syncs=len(apart),
        agree_ratio=sum(not a for a in apart) / len(apart),
        within_one_ratio=sum(a <= 1 for a in apart) / len(apart),
        mean_difference=sum(apart) / len(apart),
        simulated_pod_hours=simulated_hours,
        actual_pod_hours=actual_hours,
        differences=differences,
    )
