"""Traces from files: one place that looks at the content and checks what every form must keep."""

import json
import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from easymo.trace.access_log import STRETCH_S, is_access_log, read_access_log
from easymo.trace.csv import read_csv
from easymo.trace.errors import TraceError
from easymo.trace.prometheus import read_prometheus
from easymo.trace.row import Row, clock
from easymo.trace.series import Series

HOUR_S = 3600
REGULAR_ROWS, REGULAR_SHARE, GAP_STEPS = 10, 0.9, 2.5
"""A trace is regular when it has so many rows and this share of its steps are equal; then a step that is so many times
the usual one is a gap. A trace written by hand, with steps of any length, has none."""


def read_trace(path: Path, *, hold_gaps: bool = False, log_stretch_s: int = STRETCH_S) -> dict[str, Series]:
    """The series of a CSV (``time,value[,series]``), a Prometheus range answer (JSON) or an access log.

    ``hold_gaps``: let a value hold over rows that are missing from a regular trace instead of refusing it.
    ``log_stretch_s``: the requests of an access log are counted per so many seconds.

    Raises:
        TraceError: for a file that is none of these, or that has no rows, gaps, times out of order, or values that are
            negative or no numbers; with file, line and what to do.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(path, None, f"it cannot be read ({error}). Name another trace.") from error
    if not text.strip():
        raise TraceError(path, None, "it is empty. A trace is a CSV with the header time,value and at least two rows.")
    if text.lstrip().startswith(("{", "[")):
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise TraceError(path, error.lineno, f"not valid JSON: {error.msg}. Export the trace again.") from error
        rows = read_prometheus(path, document)
    elif is_access_log(text):
        return {"": read_access_log(path, text, log_stretch_s)}
    else:
        rows = read_csv(path, text)
    return {name: _series(path, name, found, hold_gaps) for name, found in rows.items()}


def _series(path: Path, name: str, rows: list[Row], hold_gaps: bool) -> Series:
    called = f"series {name!r}" if name else "the trace"
    if len(rows) < 2:
        raise TraceError(path, rows[0].place if rows else None, f"{called} has fewer than two rows. Export more of it.")
    for row in rows:
        _check_value(path, row)
    if len(units := sorted({row.clock for row in rows} - {"zoned", "local"})) > 1:
        raise TraceError(path, rows[0].place, f"{called} has times in {' and '.join(units)}. Write all in one unit.")
    note = f"times are read as {units[0]}" if units and units[0] != "seconds" else ""
    rows, note = _one_clock(rows, note)
    for before, row in pairwise(rows):
        if row.time_s <= before.time_s:
            what = "has this time twice" if row.time_s == before.time_s else "goes back in time here"
            wanted = "Sort its rows by time, one of each time"
            if row.clock == "local":
                wanted += "; if clocks were set back here, export it with UTC times"
            raise TraceError(path, row.place, f"{called} {what}. {wanted}.")
    if not hold_gaps:
        _check_gaps(path, called, rows)
    return Series(tuple(row.time_s for row in rows), tuple(row.value for row in rows), note=note)


def _one_clock(rows: list[Row], note: str) -> tuple[list[Row], str]:
    """Rows whose local times repeat an hour, because clocks were set back, moved apart in the order of the file."""
    usual = Counter(after.time_s - before.time_s for before, after in pairwise(rows)).most_common(1)[0][0]
    for index, (before, row) in enumerate(pairwise(rows), 1):
        step = row.time_s + HOUR_S - before.time_s
        if row.clock == "local" and row.time_s <= before.time_s and 0 < step < GAP_STEPS * usual:
            later = [row._replace(time_s=row.time_s + HOUR_S) for row in rows[index:]]
            return [
                *rows[:index],
                *later,
            ], f"clocks were set back at line {row.place}: the rows after it are an hour later"
    return rows, note


def _check_value(path: Path, row: Row) -> None:
    if not math.isfinite(row.value):
        wanted = "Fill it in from a neighbour, or cut the trace there"
        raise TraceError(path, row.place, f"the value is {row.value}, which is no amount of demand. {wanted}.")
    if row.value < 0:
        wanted = "Take rate() of a counter, not its difference, or remove the row"
        raise TraceError(path, row.place, f"the value is {row.value:g}: demand is never negative. {wanted}.")


def _check_gaps(path: Path, called: str, rows: list[Row]) -> None:
    steps = [round(after.time_s - before.time_s, 3) for before, after in pairwise(rows)]
    usual = _usual(steps)
    if usual is None:
        return
    for step, before, after in zip(steps, rows, rows[1:], strict=False):
        if step >= GAP_STEPS * usual:
            wanted = "Fill them in, cut the trace there, or pass --hold-gaps to let the last value hold"
            if after.clock == "local" and step == HOUR_S + usual:
                wanted = "If clocks were set forward here, nothing is missing: export it with UTC times"
            missing = f"has a row every {usual:g} s but none between {clock(before.time_s)} and {clock(after.time_s)}"
            raise TraceError(path, after.place, f"{called} {missing}. {wanted}.")


def _usual(steps: Iterable[float]) -> float | None:
    counted = Counter(steps)
    step, times = counted.most_common(1)[0]
    regular = counted.total() >= REGULAR_ROWS and times >= REGULAR_SHARE * counted.total()
    return step if regular else None
