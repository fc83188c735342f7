"""How long the parts of a run take: fixed beforehand, never by what was measured."""

from msgspec import Struct

from easymo.proof.acceptance import Acceptance
from easymo.proof.progress import Plan
from easymo.proof.verdict_file import Mode


class Lengths(Struct, frozen=True):
    """Seconds and counts of one run.

    ``looks``: after how many sets of ``pairs`` it may be decided (1 or 2); ``resolution``: a capacity is enclosed
    between the held rate and this multiple of it.
    """

    pairs: int
    looks: int
    aa_pairs: int
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


def lengths_of(acceptance: Acceptance, mode: Mode) -> Lengths:
    """Lengths of a quick run (at most 90 s on 2 cores), a default one (at most 5 minutes) or a full one."""
    load = acceptance.load
    if mode == "quick":
        return Lengths(min(load.pairs, 3), 1, 0, min(load.round_s, 1.5), 1.0, 1.0, 2.5, 1.0, 1.5)
    looks = 2 if mode == "full" else 1
    step_s, stress_s = acceptance.capacity.step_s, acceptance.stress.seconds
    return Lengths(load.pairs, looks, load.aa_pairs, load.round_s, step_s, stress_s, 8.0, 2.0, 1.2)


def plan_of(lengths: Lengths, acceptance: Acceptance, arms: int) -> Plan:
    """Steps with the seconds they are expected to take, for the progress line."""
    round_s = lengths.round_s + acceptance.load.warm_up_s + 0.5
    step_s = lengths.step_s + acceptance.load.warm_up_s + 1.2
    treated = arms - 1
    return [
        ("servers, data and one copy per arm", 12 + arms),
        ("starting the system in each arm", arms * (lengths.warm_s + 2)),
        ("capacity before", 7 * step_s),
        ("applying the treatments under load", treated * (lengths.apply_s + 2)),
        ("capacity after", treated * 6 * step_s),
        ("the same arm against itself", 2 * lengths.aa_pairs * round_s),
        ("before against after", arms * lengths.pairs * round_s + arms * lengths.warm_s),
        *([("before against after, second look", arms * lengths.pairs * round_s)] if lengths.looks == 2 else []),
        ("stress at the promised rates", arms * len(acceptance.stress.rates) * (lengths.stress_s + 3)),
        ("taking everything back", 2 + 2 * treated),
    ]
