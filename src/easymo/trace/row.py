"""One row of a trace before it is checked, and the clocks that people write."""

from datetime import UTC, datetime
from typing import NamedTuple

UNITS = ((1e17, "nanoseconds", 1e9), (1e14, "microseconds", 1e6), (1e11, "milliseconds", 1e3), (-1e19, "seconds", 1.0))
"""From which number on a Unix time is in which unit: 1e11 is the year 5138 in seconds, and 1973 in milliseconds."""


class Row(NamedTuple):
    """`place` is the line of the row, or where else in the file it stands; `clock` how its time is written."""

    time_s: float
    value: float
    place: int | str
    clock: str = "seconds"
    """The unit of a Unix time, `zoned`, or `local` for a time that names no zone."""


def clock(time_s: float) -> str:
    """`time_s` as a person writes it: a date and time, or seconds where it is too small to be one."""
    if time_s < 1e8:
        return f"{time_s:g} s"
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def moment(text: str) -> tuple[float, str]:
    """Unix seconds of a Unix time in any unit or of an ISO 8601 time (UTC where it names no zone), and its clock.

    Raises:
        ValueError: for anything else.
    """
    try:
        number = float(text)
    except ValueError:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp(), "zoned" if found.tzinfo else "local"
    if not abs(number) < 1e19:
        raise ValueError(f"{text} is no time")
    return next((number / per_s, unit) for least, unit, per_s in UNITS if number >= least)
