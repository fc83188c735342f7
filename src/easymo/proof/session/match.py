"""One match: how any two sides (or more) meet, whatever they are.

The order, and why:

1. *Alike.* Every side begins anew and is warmed with the same requests, right before the first pair: whoever has served
   more requests has the warmer caches, and the difference would look like a change.
2. *Against itself.* The sides take turns in meeting themselves. A machine on which they differ for certain then decides
   nothing.
3. *Pairs.* A pair is one round of each side with one seeded schedule, so the same requests at the same distances. Which
   side plays first is drawn by lot in each pair: a disturbance that comes every few rounds then hits both alike. A
   round whose generator was late is void and is played again. In a duet the two rounds of a pair run at the same time,
   request by request in turn.
4. *Looks.* After each stretch of pairs the judge is asked at the confidence that this look may use
   (:mod:`easymo.proof.verdict.looks`); while more pairs could decide something, the match goes on to the next stretch.
5. *Stress.* The promised rates, several rounds of each side, in drawn order.
"""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from easymo.proof.errors import RunVoid
from easymo.proof.session.progress import StepProgress
from easymo.proof.session.rounds import Player
from easymo.proof.session.sides import Side
from easymo.proof.verdict.judge import Verdict
from easymo.proof.verdict.looks import confidence_at
from easymo.proof.verdict.measurement import AA_PHASES, Measurements, Phase

_T = TypeVar("_T")
#: Share of the pairs that must be complete (no void round) for the match to say anything.
COMPLETE_PAIRS = 0.6
#: From this share of errors on a stress round leaves work behind that would be part of the next one.
BACKLOG = 0.01
WARM, ITSELF, COMPARE, STRESS = (
    "warming both sides alike",
    "each side against itself",
    "before against after",
    "stress at the promised rates",
)
#: Judges what was measured so far, at a confidence.
Judge = Callable[[Measurements, float], list[Verdict]]


class Rules(Struct, frozen=True):
    """How a match is played. `looks`: after how many pairs each look is taken, the last one being the end."""

    rate_rps: float
    round_s: float
    looks: list[int]
    aa_pairs: int = 0
    warm_s: float = 2.0
    duet: bool = False

    def confidence(self, look: int) -> float:
        """Confidence at which this look decides."""
        return confidence_at(look, [pairs / self.looks[-1] for pairs in self.looks])


def looks_until(pairs: int, most: int) -> list[int]:
    """Looks after `pairs` and then in up to three equal steps until `most`."""
    steps = min(3, max(0, most - pairs) // 2)
    return [pairs, *(pairs + round((most - pairs) * step / steps) for step in range(1, steps + 1))]


def look_step(look: int) -> str:
    """Name of the step that plays the pairs of a look."""
    return COMPARE if look == 0 else f"{COMPARE}, look {look + 1}"


class Match:
    """One match; `sides[0]` is the one before and `sides[-1]` the one after."""

    def __init__(self, player: Player, sides: Sequence[Side], rules: Rules) -> None:
        self._player, self._sides, self._rules = player, list(sides), rules
        self._lot = random.Random(f"{player.load.seed}/order")
        self.confidence = 0.95

    async def warm_alike(self) -> None:
        """Restart every side and warm it as long as the others."""
        for side in self._sides:
            await side.restart()
        await self._player.warm(self._sides, self._rules.rate_rps, self._rules.warm_s)

    async def against_itself(self) -> None:
        """The A/A pairs, in turns on the side before and the one after."""
        ends = [self._sides[0], self._sides[-1]]
        for pair in range(self._rules.aa_pairs):
            for phase in self._drawn(AA_PHASES):
                await self._play(ends[pair % 2], phase, pair, 10_000 + pair)

    async def compare(self, judge: Judge, progress: StepProgress) -> None:
        """Play the pairs of one look after the other until nothing is left that more pairs could decide."""
        played = 0
        for look, pairs in enumerate(self._rules.looks):
            with progress.step(look_step(look)):
                await self.play_pairs(range(played, pairs))
            self._refuse_void_pairs(pairs)
            played, self.confidence = pairs, self._rules.confidence(look)
            if not any(_more_would_decide(v) for v in judge(self._player.measured, self.confidence)):
                return

    async def play_pairs(self, pairs: range, phase: Phase = "compare", sides: Sequence[Side] | None = None) -> None:
        """One round of every side per pair, in drawn order, all with the pair's schedule."""
        for pair in pairs:
            if self._rules.duet and phase == "compare":
                rate, seconds = self._rules.rate_rps, self._rules.round_s
                await self._player.play_both(self._sides, rate, seconds, pair=pair, seed=20_000 + pair)
                continue
            for side in self._drawn(sides or self._sides):
                await self._play(side, phase, pair, 20_000 + pair)

    async def stress(self, rates: Sequence[int], seconds: float, rounds: int) -> None:
        """The promised rates, in `rounds` rounds of each side; a side begins each one without a backlog."""
        for rate in rates:
            for number in range(rounds):
                for side in self._drawn(self._sides):
                    played = await self._player.play(
                        side, "stress", float(rate), seconds, pair=number, seed=30_000 + rate + number
                    )
                    if played.load.error_ratio > BACKLOG:
                        await side.restart()

    def _drawn(self, given: Sequence[_T]) -> list[_T]:
        return self._lot.sample(list(given), len(given))

    async def _play(self, side: Side, phase: Phase, pair: int, seed: int) -> None:
        rules = self._rules
        await self._player.play(side, phase, rules.rate_rps, rules.round_s, pair=pair, seed=seed)

    def _refuse_void_pairs(self, pairs: int) -> None:
        complete = len(self._player.measured.pairs(self._sides[0].name, self._sides[-1].name))
        if complete < COMPLETE_PAIRS * pairs:
            raise RunVoid(
                f"Only {complete} of {pairs} pairs count: in the others the load generator could not send in time, so"
                " its numbers would be wrong. Lower the rate, or run it on a quieter machine."
            )


def _more_would_decide(verdict: Verdict) -> bool:
    return verdict.verdict == "inconclusive" and verdict.interval is not None and verdict.next_step.endswith("decide")
