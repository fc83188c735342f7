"""How often a comparison may be looked at: group-sequential looks with spent alpha, pure.

Whoever looks after every batch of pairs and stops at the first that decides is wrong far more often than in 5 % of
runs. So each look may only use what the spending function of O'Brien and Fleming's kind allows until its share of the
pairs (Lan & DeMets 1983): almost nothing early, nearly the whole 5 % at the end. The boundary of each look is found by
integrating the walk of the test statistic over a grid (Armitage, McPherson & Rowe 1969); its nominal p is then used
with Student's t.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

ALPHA = 0.05
_NORMAL = NormalDist()
_GRID = 241


def confidence_at(look: int, shares: Sequence[float]) -> float:
    """Confidence at which look `look` (from 0) decides, when it happens after `shares[look]` of the most pairs."""
    return _confidences(tuple(shares))[look]


def spent(share: float) -> float:
    """How much of alpha may be used until this share of the pairs."""
    return 2 * (1 - _NORMAL.cdf(_NORMAL.inv_cdf(1 - ALPHA / 2) / math.sqrt(share)))


@lru_cache(maxsize=64)
def _confidences(shares: tuple[float, ...]) -> list[float]:
    found: list[float] = []
    walk: list[tuple[float, float]] = [(0.0, 1.0)]  # places of the Brownian motion that has not been stopped, with mass
    used = before = 0.0
    for share in shares:
        step = math.sqrt(share - before)
        low, high = 0.0, 8.0
        for _ in range(40):
            bound = (low + high) / 2
            if _crossing(walk, step, bound * math.sqrt(share)) > spent(share) - used:
                low = bound
            else:
                high = bound
        found.append(2 * _NORMAL.cdf(high) - 1)
        walk = _going_on(walk, step, high * math.sqrt(share))
        used, before = spent(share), share
    return found


def _crossing(walk: Sequence[tuple[float, float]], step: float, bound: float) -> float:
    """Mass that leaves the band of ±`bound` in the next step."""
    cdf = _NORMAL.cdf
    return sum(mass * (cdf((-bound - at) / step) + 1 - cdf((bound - at) / step)) for at, mass in walk)


def _going_on(walk: Sequence[tuple[float, float]], step: float, bound: float) -> list[tuple[float, float]]:
    width = 2 * bound / _GRID
    places = [-bound + (n + 0.5) * width for n in range(_GRID)]
    pdf = NormalDist(0.0, step).pdf
    return [(to, width * sum(mass * pdf(to - at) for at, mass in walk)) for to in places]
