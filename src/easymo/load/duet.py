"""Two systems under one load at the same time: each request goes to one of them, request by request in turn.

Two requests at one moment would share a core and hide half of a true difference. So no request is sent twice: of two
neighbouring requests of one kind one goes to either system, which of them first is drawn by lot.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from easymo.load.errors import ScenarioError
from easymo.load.request import Request, Visitor
from easymo.load.schedule import Arrival, Schedule
from easymo.load.target import Target

#: What the names of the second system's requests end with in the result.
BESIDE = " (beside)"


@dataclass(frozen=True)
class Duet(Schedule):
    """One schedule of two that differ in their targets alone."""

    systems: tuple[Schedule, ...] = ()

    @property
    def requests(self) -> tuple[Request, ...]:
        """Those of the first system, then those of the second."""
        first, second = self.systems
        named = (msgspec.structs.replace(request, name=request.name + BESIDE) for request in second.requests)
        return (*first.requests, *named)

    def _build(self, memory: Mapping[str, Any], cookies: Mapping[Target, str]) -> Iterator[Arrival]:
        first, second = self.systems
        lot, first_of_two, kinds = random.Random(f"{self.seed}/duet"), dict[int, bool](), len(first.requests)
        for one, other in zip(first, second, strict=True):
            if one.kind in first_of_two:
                to_second = not first_of_two.pop(one.kind)
            else:
                to_second = first_of_two[one.kind] = lot.random() < 0.5
            other.kind += kinds
            yield other if to_second else one


def duet(first: Schedule, second: Schedule) -> Schedule:
    """Both in turn. Raises `ScenarioError` for a scenario with visitors or a setup: a capture belongs to one."""
    scenario = first.scenario
    if scenario.setup or any(isinstance(entry, Visitor) for entry in scenario.entries):
        raise ScenarioError(
            "A scenario with visitors or a setup cannot be played as a duet: leave --duet out, then both take turns."
        )
    given = {name: getattr(first, name) for name in first.__dataclass_fields__}
    return Duet(**{**given, "targets": first.targets + second.targets}, systems=(first, second))
