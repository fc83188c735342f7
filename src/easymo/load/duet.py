"""Two systems under one load at the same time: each request goes to one of them, request by request in turn.

Two requests at one moment would share a core and hide half of a true difference. So no request is sent twice: of two
neighbouring requests of one kind one goes to either system, which of them first is drawn by lot.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from easymo.load.schedule import Schedule

#: What the names of the second system's requests end with in the result.
BESIDE = " (beside)"


def duet(first: Schedule, second: Schedule) -> Schedule:
    """One schedule of two that differ in their targets alone."""
    kinds_of_one = len(first.requests)
    to_second = _coins(first.kinds, random.Random(f"{first.seed}/duet"))
    named = tuple(msgspec.structs.replace(request, name=request.name + BESIDE) for request in second.requests)
    return replace(
        first,
        requests=first.requests + named,
        targets=first.targets + second.targets,
        kinds=[kind + kinds_of_one * coin for kind, coin in zip(first.kinds, to_second, strict=True)],
        payloads=[(b if coin else a) for a, b, coin in zip(first.payloads, second.payloads, to_second, strict=True)],
    )


def _coins(kinds: Sequence[int], lot: random.Random) -> list[bool]:
    """For each request whether the second system gets it: balanced within each kind."""
    first_of_two: dict[int, bool] = {}
    coins = []
    for kind in kinds:
        if kind in first_of_two:
            coins.append(not first_of_two.pop(kind))
        else:
            first_of_two[kind] = lot.random() < 0.5
            coins.append(first_of_two[kind])
    return coins
