"""Autoscalers from files under demand from a file or a shape."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from easymo.hpa.backtest import Backtest, backtest, overlap
from easymo.hpa.conditions import Conditions
from easymo.hpa.errors import HpaError
from easymo.hpa.inputs import Scaled, demand_of, read_sources
from easymo.hpa.signals import Source
from easymo.hpa.simulate import Simulation, simulate
from easymo.hpa.spec import Hpa
from easymo.trace import SHAPES, Series, read_trace, shape


class Replay(Struct, frozen=True, kw_only=True):
    """Where demand comes from: a ``trace``, or a ``shape`` between ``base`` and ``peak``.

    ``metrics`` are the words of ``--metric``. A peak that is not given is 80 % of what ``maxReplicas`` pods serve, a
    base that is not given a fifth of the peak.
    """

    trace: Mapping[str, Series] | None
    shape: str | None
    base: float | None
    peak: float | None
    metrics: Sequence[str]

    def demand(self, hpa: Hpa, conditions: Conditions) -> Series:
        """The demand of one autoscaler."""
        if self.trace is not None:
            return demand_of(hpa, self.trace)
        peak = 0.8 * hpa.max_replicas * conditions.capacity if self.peak is None else self.peak
        base = peak / 5 if self.base is None else self.base
        return shape(self.shape or "", base, peak)

    def sources(self, scaled: Sequence[Scaled]) -> dict[str, Source]:
        """The sources that ``metrics`` names."""
        return read_sources(self.metrics, self.trace or {}, scaled)

    def run(self, scaled: Sequence[Scaled], conditions: Conditions) -> list[Simulation]:
        """Simulate every autoscaler."""
        sources = self.sources(scaled)
        return [self._one(one, self.demand(one.hpa, conditions), conditions, sources) for one in scaled]

    def run_against(
        self, scaled: Sequence[Scaled], conditions: Conditions, actual: Mapping[str, Series]
    ) -> tuple[list[Simulation], list[Backtest]]:
        """Simulate every autoscaler over the time in which ``actual`` replicas are known, and compare.

        Raises:
            HpaError: when the demand is a shape, or the times do not overlap.
        """
        if self.trace is None:
            raise HpaError("A made-up shape has no past: pass the --trace of the time that --actual is from.")
        sources = self.sources(scaled)
        simulations, tested = [], []
        for one in scaled:
            demand, real = self.demand(one.hpa, conditions), demand_of(one.hpa, actual)
            cut = demand.cut(*overlap(demand, real))
            started = replace(conditions, initial_replicas=round(real.at(cut.start_s)))
            simulation = self._one(one, cut, started, sources)
            simulations.append(simulation)
            tested.append(backtest(simulation, real))
        return simulations, tested

    @staticmethod
    def _one(one: Scaled, demand: Series, conditions: Conditions, sources: Mapping[str, Source]) -> Simulation:
        return simulate(
            one.hpa,
            demand,
            conditions,
            one.sources(sources, demand.start_s, demand.end_s),
            requests_m=one.requests_m,
            ambiguous_from=one.ambiguous_from,
            keda=one.keda,
        )


def replay_of(
    trace: Path | None,
    shape_name: str | None,
    base: float | None,
    peak: float | None,
    metrics: Sequence[str],
    *,
    hold_gaps: bool,
) -> Replay:
    """Read and check where demand comes from.

    Raises:
        HpaError: unless there is either a trace or a known shape, with 0 <= base <= peak.
        TraceError: for a trace that cannot be used.
    """
    if (trace is None) == (shape_name is None):
        raise HpaError(f"Say what the demand is: either --trace FILE or --shape {'|'.join(SHAPES)}.")
    if shape_name is not None and shape_name not in SHAPES:
        raise HpaError(f"There is no shape {shape_name!r}. The shapes: {', '.join(SHAPES)}.")
    if trace is not None and (base is not None or peak is not None):
        raise HpaError("A trace has its own lowest and highest demand: --base and --peak are for a --shape.")
    if peak is not None and not (0 <= (base or 0) <= peak and peak > 0):
        raise HpaError("--base must be at least 0 and at most --peak, and --peak greater than 0.")
    if base is not None and base < 0:
        raise HpaError("--base must be at least 0: demand is never negative.")
    traces = None if trace is None else read_trace(trace, hold_gaps=hold_gaps)
    return Replay(trace=traces, shape=shape_name, base=base, peak=peak, metrics=metrics)
