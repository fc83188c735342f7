"""What apply and rollback tell while they work."""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """Where a run is: index `position` of `total`, and what begins or has ended.

    `event` is an action of the plan (keep, build, repair, replace), `drop`, `done`, or `wait`: no lock in this attempt,
    the next one comes after `delay`.
    """

    index: str
    position: int
    total: int
    event: str
    attempt: int
    delay: timedelta


Report = Callable[[Progress], None]


class Tell(Protocol):
    """Report an event of one index."""

    def __call__(self, event: str, attempt: int = 1, delay: timedelta = timedelta(0)) -> None: ...


def teller(index: str, position: int, total: int, report: Report | None) -> Tell:
    """What one index reports through; silent without a `report`."""

    def tell(event: str, attempt: int = 1, delay: timedelta = timedelta(0)) -> None:
        if report:
            report(Progress(index, position, total, event, attempt, delay))

    return tell
