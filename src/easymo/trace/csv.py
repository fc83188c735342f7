"""CSV: a header ``time,value`` with an optional ``series``, in any order; other columns are ignored."""

import csv
import io
import math
from pathlib import Path

from easymo.trace.errors import TraceError
from easymo.trace.row import Row, seconds


def read_csv(path: Path, text: str) -> dict[str, list[Row]]:
    """Rows by series, in the order of the file."""
    reader = csv.DictReader(io.StringIO(text))
    header = [name.strip().lower() for name in reader.fieldnames or []]
    if "time" not in header or "value" not in header:
        raise TraceError(path, 1, "the first line must be the header time,value or time,value,series.")
    reader.fieldnames = header
    rows: dict[str, list[Row]] = {}
    for record in reader:
        row = _row(path, reader.line_num, record.get("time"), record.get("value"))
        rows.setdefault((record.get("series") or "").strip(), []).append(row)
    if not rows:
        raise TraceError(path, 1, "there is a header and no row. Export at least two rows.")
    return rows


def _row(path: Path, line: int, time: str | None, value: str | None) -> Row:
    try:
        time_s = seconds((time or "").strip())
    except ValueError as error:
        wanted = "Write ISO 8601, like 2026-11-24T08:00:00Z, or Unix seconds"
        raise TraceError(path, line, f"{time!r} is no time. {wanted}.") from error
    if not math.isfinite(time_s):
        raise TraceError(path, line, f"{time!r} is no time. Write ISO 8601 or Unix seconds.")
    try:
        return Row(time_s, float((value or "").strip()), line)
    except ValueError as error:
        wanted = "Fill the gap, or remove the row so that the value before it holds"
        raise TraceError(path, line, f"{value!r} is no number. {wanted}.") from error
