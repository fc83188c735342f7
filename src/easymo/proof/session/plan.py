"""How long the parts of a run take: fixed beforehand, never by what was measured."""

import math

from msgspec import Struct

from easymo.proof.session.progress import Plan
from easymo.proof.system.acceptance import Acceptance, Grid
from easymo.proof.verdict.file import Mode

COLD_STEP = "before against after, the cache emptied before each round"


class Lengths(Struct, frozen=True):
    """Seconds and counts of one run.

    ``looks``: after how many sets of ``pairs`` it may be decided (1 or 2); ``cold_pairs``: pairs of rounds with an
    emptied cache; ``resolution``: a capacity is enclosed between the held rate and this multiple of it.
    """

    pairs: int
    looks: int
    aa_pairs: int
    cold_pairs: int
    round_s: float
    step_s: float
    stress_s: float
    apply_s: float
    warm_s: float
    resolution: float

    @property
    def confidence(self) -> float:
        """Confidence at which each look decides: with two looks each has half of the 5 % to be wrong in."""
        return 0.95 if self.looks == 1 else 0.975

    @property
    def steps(self) -> int:
        """About how many steps a capacity search takes: some doublings, then halvings of the last one's gap."""
        return 5 + math.ceil(math.log2(math.log(2) / math.log(self.resolution)))


def lengths_of(acceptance: Acceptance, mode: Mode) -> Lengths:
    """Lengths of a quick run (at most 90 s on 2 cores), a default one (at most 5 minutes) or a full one (25)."""
    load = acceptance.load
    if mode == "quick":
        return Lengths(
            pairs=min(load.pairs, 3),
            looks=1,
            aa_pairs=0,
            cold_pairs=0,
            round_s=min(load.round_s, 1.5),
            step_s=1.0,
            stress_s=1.0,
            apply_s=2.5,
            warm_s=1.0,
            resolution=1.5,
        )
    full = mode == "full"
    return Lengths(
        pairs=load.pairs,
        looks=2 if full else 1,
        aa_pairs=load.aa_pairs,
        cold_pairs=load.cold_pairs if full else 0,
        round_s=load.round_s,
        step_s=acceptance.capacity.step_s,
        stress_s=acceptance.stress.seconds,
        apply_s=2 * load.round_s,
        warm_s=load.round_s / 2,
        resolution=1.2,
    )


def plan_of(lengths: Lengths, acceptance: Acceptance, arms: int, grid: Grid | None) -> Plan:
    """Steps with the seconds they are expected to take, for the progress line; ``grid`` when there is one to play."""
    between_s = acceptance.load.warm_up_s + 0.2
    round_s = lengths.round_s + between_s
    step_s = lengths.step_s + between_s + 0.7
    treated = arms - 1
    second_look = ("before against after, second look", arms * lengths.pairs * round_s)
    cold = (COLD_STEP, 2 * lengths.cold_pairs * round_s)
    return [
        ("servers, data and one copy per arm", 12 + arms),
        ("starting the system in each arm", arms * (lengths.warm_s + 2)),
        ("capacity before", lengths.steps * step_s),
        ("applying the treatments under load", treated * (lengths.apply_s + 2)),
        ("capacity after", treated * (lengths.steps - 1) * step_s),
        ("the same arm against itself", 2 * lengths.aa_pairs * round_s),
        ("before against after", arms * lengths.pairs * round_s + arms * lengths.warm_s),
        *([second_look] if lengths.looks == 2 else []),
        *([cold] if lengths.cold_pairs else []),
        ("stress at the promised rates", arms * len(acceptance.stress.rates) * (lengths.stress_s + 3)),
        ("taking everything back", 2 + 2 * treated),
        *(_grid_plan(grid, lengths, between_s) if grid is not None else []),
    ]


def _grid_plan(grid: Grid, lengths: Lengths, between_s: float) -> Plan:
    cell_s = 2 * (lengths.warm_s + between_s) + 2 * grid.pairs * (grid.round_s + between_s)
    capacities_s = 11 * (lengths.step_s + between_s + 0.7)
    return [(break_even_step(scale), 25 + capacities_s + len(grid.repeat_read) * cell_s) for scale in grid.scales]


def break_even_step(scale: str) -> str:
    """Name of the step that plays one data size of the grid."""
    return f"break-even at data size {scale}"
