"""What a rollback consists of: actions in the order of the performance note's plan, and what became of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

STEPS = ("application", "autoscaler", "cache", "indexes")
"""The note's order: what serves first, then what could make it worse, the database last."""


@dataclass(frozen=True)
class Attempt:
    """What an action is told when it runs: what an attempt that broke off has noted, and where to note something."""

    noted: str
    note: Callable[[str], None]


@dataclass(frozen=True)
class Action:
    """One thing to do. ``commands`` are what a person would type for it; ``perform`` does it, says what came out.

    ``perform`` may run again after it broke off, and must then bring about the same end.
    """

    step: str
    name: str
    commands: tuple[str, ...]
    perform: Callable[[Attempt], str]
    remark: str = ""


State = Literal["planned", "done", "done before", "failed", "not reached"]


class Outcome(msgspec.Struct, frozen=True):
    """An action and what became of it: ``planned`` in a dry run, ``done before`` by a run that broke off."""

    step: str
    name: str
    commands: tuple[str, ...]
    state: State
    seconds: float
    said: str
