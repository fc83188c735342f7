"""CSV: a header `time,value` with an optional `series`, or `time` and one column per series, as Grafana exports it.

The columns stand in any order, separated by commas, semicolons (then a decimal comma is one) or tabs.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from easymo.trace.errors import TraceError
from easymo.trace.row import Row, moment

TIMES = ("time", "timestamp", "@timestamp", "datetime", "date", "ts")
"""Names of the column of times."""


def read_csv(path: Path, text: str) -> dict[str, list[Row]]:
    """Rows by series, in the order of the file."""
    if text.lower().startswith("sep="):  # a hint for Excel
        text = "\n" + text.partition("\n")[2]
    delimiter = max(",;\t", key=text.lstrip().partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = next((record for record in reader if record), [])
    names = ["time" if name.strip().lower() in TIMES else name.strip().lower() for name in header]
    if names.count("time") != 1 or len(names) < 2:
        raise TraceError(
            path, 1, "the first line must be the header time,value[,series], or time and a name per series."
        )
    rows: dict[str, list[Row]] = {}
    for record in reader:
        cells = [cell.strip() for cell in record] + [""] * (len(names) - len(record))
        for name, value in _values(header, names, cells):
            number = value.replace(",", ".") if delimiter == ";" else value
            rows.setdefault(name, []).append(_row(path, reader.line_num, cells[names.index("time")], number))
    if not rows:
        raise TraceError(path, 1, "there is a header and no row. Export at least two rows.")
    return rows


def _values(header: list[str], names: list[str], cells: list[str]) -> Iterator[tuple[str, str]]:
    """Series and value of one record; in a column per series an empty cell is no value."""
    if not any(cells):
        return
    if "value" in names:
        yield cells[names.index("series")] if "series" in names else "", cells[names.index("value")]
        return
    columns = [i for i, name in enumerate(names) if name != "time"]
    for column in columns:
        if cells[column]:
            yield header[column].strip() if len(columns) > 1 else "", cells[column]


def _row(path: Path, line: int, time: str, value: str) -> Row:
    try:
        time_s, clock = moment(time)
    except ValueError as error:
        wanted = "Write ISO 8601, like 2026-11-24T08:00:00Z, or Unix seconds"
        raise TraceError(path, line, f"{time!r} is no time. {wanted}.") from error
    try:
        return Row(time_s, float(value), line, clock)
    except ValueError as error:
        wanted = "Fill the gap, or remove the row so that the value before it holds; export numbers without units"
        raise TraceError(path, line, f"{value!r} is no number. {wanted}.") from error
