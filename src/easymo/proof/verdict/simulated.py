"""What an autoscaler would make of the measured capacities: simulated, never measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from easymo.chart import Line
from easymo.hpa import Conditions, HpaError, Simulation, Totals, simulate
from easymo.hpa.inputs import read_autoscalers
from easymo.hpa.report import lines
from easymo.proof.errors import ProofError
from easymo.trace.shapes import shape


class Autoscaling(Struct, frozen=True, forbid_unknown_fields=True):
    """Which autoscaler of which manifest is simulated, and on what demand (requests/s, see :mod:`easymo.trace.shapes`).

    One pod of it is taken to serve what an arm was measured to hold.
    """

    manifests: list[str]
    name: str
    base_rps: float
    peak_rps: float
    shape: Literal["spike", "day", "step", "sawtooth"] = "spike"


class Simulated(Struct, frozen=True):
    """One arm's capacity under the autoscaler: what it came to, and the two lines of its chart."""

    autoscaler: str
    shape: str
    capacity_rps: float
    totals: Totals
    end_s: float
    lines: list[Line]


def simulate_arms(asked: Autoscaling, root: Path, capacities: Mapping[str, float]) -> dict[str, Simulated]:
    """The autoscaler with each arm's capacity (requests/s) as that of one pod.

    Raises :class:`ProofError` when the manifest cannot be used.
    """
    demand = shape(asked.shape, asked.base_rps, asked.peak_rps)
    try:
        [scaled] = read_autoscalers([root / name for name in asked.manifests], [asked.name])
        found = {
            arm: simulate(scaled.hpa, demand, Conditions(capacity=capacity), requests_m=scaled.requests_m)
            for arm, capacity in capacities.items()
            if capacity > 0
        }
    except HpaError as error:
        raise ProofError(f"The autoscaler {asked.name!r} of acceptance.toml cannot be simulated: {error}") from error
    return {arm: _shown(one, asked) for arm, one in found.items()}


def _shown(one: Simulation, asked: Autoscaling) -> Simulated:
    end_s = one.syncs[0].time_s + one.totals.seconds
    drawn = [_changes_only(line) for line in lines(one)]
    return Simulated(one.name, asked.shape, one.conditions.capacity, one.totals, end_s, drawn)


def _changes_only(line: Line) -> Line:
    kept = [n for n, value in enumerate(line.values) if n == 0 or value != line.values[n - 1]]
    return Line(line.name, line.look, [line.times_s[n] for n in kept], [line.values[n] for n in kept])
