"""One row of a trace before it is checked."""

from datetime import UTC, datetime
from typing import NamedTuple


class Row(NamedTuple):
    """``place`` is the line of the row, or where else in the file it stands."""

    time_s: float
    value: float
    place: int | str


def clock(time_s: float) -> str:
    """``time_s`` as a person writes it: a date and time, or seconds where it is too small to be one."""
    if time_s < 1e8:
        return f"{time_s:g} s"
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def seconds(text: str) -> float:
    """Unix seconds of an ISO 8601 time (UTC where it names no zone) or of a number.

    Raises:
        ValueError: for anything else.
    """
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
