"""Access logs in the common or combined format of nginx and Apache: requests counted per stretch of time."""

import re
from collections import Counter
from datetime import datetime
from pathlib import Path

from easymo.trace.errors import TraceError
from easymo.trace.series import Series

STRETCH_S = 15
"""Seconds of a stretch by default: how often an autoscaler looks."""

_LINE = re.compile(r"\S+ \S+ .*?\[(\d{2}/\w{3}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\] \"")


def is_access_log(text: str) -> bool:
    """Whether the first line looks like one of an access log."""
    return _LINE.match(text.lstrip().split("\n", 1)[0]) is not None


def read_access_log(path: Path, text: str, stretch_s: int = STRETCH_S) -> Series:
    """Requests per second, in stretches of ``stretch_s``, at least a second. A stretch without a line had no request.

    Lines need not be in order: servers write a line when a request ends.

    Raises:
        TraceError: for a line of another form, or a log of less than two stretches.
    """
    counts: Counter[int] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found = _LINE.match(line)
        if found is None:
            wanted = "Every line must be in the common or combined format"
            raise TraceError(path, number, f"this is no line of an access log. {wanted}.")
        moment = datetime.strptime(found[1], "%d/%b/%Y:%H:%M:%S %z")
        counts[int(moment.timestamp()) // stretch_s] += 1
    first, last = min(counts), max(counts)
    if first == last:
        raise TraceError(path, None, f"all lines are of the same {stretch_s} s. Take a longer piece of the log.")
    stretches = range(first, last + 1)
    return Series(tuple(float(s * stretch_s) for s in stretches), tuple(counts[s] / stretch_s for s in stretches))
