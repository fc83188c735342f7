"""What a rollback consists of: actions in the order of the performance note's plan, and what became of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

STEPS = ("application", "autoscaler", "cache", "indexes")
"""The note's order: what serves first, then what could make it worse, the database last."""


@dataclass(frozen=True)
class Action:
    """One thing to do. `commands` are what a person would type for it; `perform` does it and returns what came out.

    `perform` is safe to repeat: run again, after a failure or after success, it brings about the same end.
    """

    step: str
    name: str
    commands: tuple[str, ...]
    perform: Callable[[], str]
    remark: str = ""


State = Literal["planned", "done", "failed", "not reached"]


class Outcome(msgspec.Struct, frozen=True):
    """An action and what became of it: `planned` in a dry run."""

    step: str
    name: str
    commands: tuple[str, ...]
    state: State
    seconds: float
    said: str
