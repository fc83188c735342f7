"""How long the parts of a run take: fixed beforehand, or bounded by a budget, never by what was measured."""

import math

from msgspec import Struct
from msgspec.structs import replace

from easymo.proof.session import match
from easymo.proof.session.match import Rules, looks_until
from easymo.proof.session.progress import Plan
from easymo.proof.system.acceptance import Acceptance, Grid
from easymo.proof.verdict.file import Mode

COLD_STEP = "before against after, the cache emptied before each round"
ANSWERS_STEP = "asking both sides the same"
#: Pairs that no budget exceeds: beyond it the machine's own changes are what is left to measure.
MOST_PAIRS = 120
REQUESTS_OF_A_ROUND, LONGEST_ROUND_S = 15, 20.0


class Lengths(Struct, frozen=True):
    """Seconds and counts of one run.

    `most_pairs`: until so many the comparison may go on; `searches`: for the capacity of each side, each encloses it
    between the held rate and `resolution` times it; `cold_pairs`: pairs of rounds with an emptied cache;
    `stress_rounds` of `stress_s` seconds of each side at each promised rate.
    """

    pairs: int
    most_pairs: int
    aa_pairs: int
    cold_pairs: int
    round_s: float
    step_s: float
    searches: int
    stress_s: float
    stress_rounds: int
    apply_s: float
    warm_s: float
    resolution: float

    @property
    def steps(self) -> int:
        """About how many steps a capacity search takes: some doublings, then halvings of the last one's gap."""
        return 4 + math.ceil(math.log2(math.log(2) / math.log(self.resolution)))

    def rules(self, rate_rps: float) -> Rules:
        """The match at this rate; a round lasts until a median can be told, which a slow system needs longer for."""
        looks = looks_until(self.pairs, self.most_pairs)
        round_s = max(self.round_s, min(REQUESTS_OF_A_ROUND / rate_rps, LONGEST_ROUND_S))
        return Rules(rate_rps, round_s, looks, self.aa_pairs, self.warm_s)


def lengths_of(acceptance: Acceptance, mode: Mode, budget_s: float | None = None) -> Lengths:
    """Lengths of a quick run (at most 90 s on 2 cores), a default one (at most 5 minutes) or a full one (25).

    With `budget_s` the comparison may go on for so long while more pairs could decide something.
    """
    load = acceptance.load
    stress_s = acceptance.stress.seconds
    if mode == "quick":
        return Lengths(
            pairs=min(load.pairs, 3),
            most_pairs=min(load.pairs, 3),
            aa_pairs=0,
            cold_pairs=0,
            round_s=min(load.round_s, 1.2),
            step_s=1.0,
            searches=1,
            stress_s=0.8,
            stress_rounds=1,
            apply_s=2.0,
            warm_s=1.0,
            resolution=2.0,
        )
    full = mode == "full"
    lengths = Lengths(
        pairs=load.pairs,
        most_pairs=2 * load.pairs if full else load.pairs,
        aa_pairs=load.aa_pairs,
        cold_pairs=load.cold_pairs if full else 0,
        round_s=load.round_s,
        step_s=acceptance.capacity.step_s,
        searches=2,
        stress_s=stress_s / 2,
        stress_rounds=2,
        apply_s=2 * load.round_s,
        warm_s=load.round_s / 2,
        resolution=1.2,
    )
    return lengths if budget_s is None else replace(lengths, most_pairs=pairs_within(budget_s, lengths, load.warm_up_s))


def pairs_within(budget_s: float, lengths: Lengths, warm_up_s: float, sides: int = 2) -> int:
    """How many pairs the budget has room for; never fewer than the first look has."""
    room = int(budget_s / (sides * (lengths.round_s + warm_up_s + 0.2)))
    return max(lengths.pairs, min(room, MOST_PAIRS))


def plan_of(lengths: Lengths, acceptance: Acceptance, arms: int, grid: Grid | None) -> Plan:
    """Steps with the seconds they are expected to take, for the progress line; `grid` when there is one to play."""
    between_s = acceptance.load.warm_up_s + 0.2
    round_s = lengths.round_s + between_s
    step_s = lengths.step_s + between_s + 0.7
    treated = arms - 1
    cold = (COLD_STEP, 2 * lengths.cold_pairs * round_s)
    searches_s = (lengths.searches - 1) * arms * 4 * step_s
    stress_s = arms * len(acceptance.stress.rates) * lengths.stress_rounds * (lengths.stress_s + between_s + 1)
    return [
        ("servers, data and one copy per arm", 12 + arms),
        (ANSWERS_STEP, 14),
        ("starting the system in each arm", arms * (lengths.warm_s + 2)),
        ("capacity before", lengths.steps * step_s),
        ("applying the treatments under load", treated * (lengths.apply_s + 2)),
        ("capacity after", treated * lengths.steps * step_s + searches_s),
        (match.WARM, arms * (lengths.warm_s + 2)),
        (match.ITSELF, 2 * lengths.aa_pairs * round_s),
        *look_plan(lengths.rules(1.0).looks, arms * round_s),
        *([cold] if lengths.cold_pairs else []),
        (match.STRESS, stress_s),
        ("taking everything back", 2 + 2 * treated),
        *(_grid_plan(grid, lengths, between_s) if grid is not None else []),
    ]


def look_plan(looks: list[int], pair_s: float) -> Plan:
    """A step for each look; all but the first happen only where something is left undecided."""
    ends = zip([0, *looks], looks, strict=False)
    return [(match.look_step(look), (last - first) * pair_s) for look, (first, last) in enumerate(ends)]


def _grid_plan(grid: Grid, lengths: Lengths, between_s: float) -> Plan:
    cell_s = 2 * (lengths.warm_s + between_s) + 2 * grid.pairs * (grid.round_s + between_s)
    capacities_s = 11 * (lengths.step_s + between_s + 0.7)
    return [(break_even_step(scale), 25 + capacities_s + len(grid.repeat_read) * cell_s) for scale in grid.scales]


def break_even_step(scale: str) -> str:
    """Name of the step that plays one data size of the grid."""
    return f"break-even at data size {scale}"
