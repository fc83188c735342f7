"""Stages from a recording: the arrival rates of an access log, a CSV or a Prometheus answer, played again."""

from pathlib import Path

from easymo.load.errors import ScenarioError
from easymo.load.schedule import Stage
from easymo.trace import Series, TraceError, read_trace

_LOG_STRETCH_S = 1  # as finely as an access log tells it: a burst of a second must not be spread over a minute


def stages_of(
    series: Series, *, speed: float = 1.0, scale: float = 1.0, duration_s: float | None = None
) -> list[Stage]:
    """The stages that send what the series (requests/s over time) says.

    `speed`: time passes so many times as fast, every request is still sent: 60 plays an hour in a minute, at 60 times
    the rate. `scale`: every rate is multiplied by it. `duration_s` ends the replay after so many seconds of its own
    time. Raises `ScenarioError` for numbers that are not above 0.
    """
    for name, value in (("speed", speed), ("scale", scale), ("duration", duration_s)):
        if value is not None and not 0 < value < float("inf"):
            raise ScenarioError(f"A {name} of {value:g} cannot be used: it must be a number above 0.")
    if duration_s is not None and series.start_s + duration_s * speed < series.end_s:
        series = series.cut(series.start_s, series.start_s + duration_s * speed)
    return [Stage(span.value * scale * speed, (span.end_s - span.start_s) / speed) for span in series.spans()]


def recorded(path: Path, name: str | None = None, *, hold_gaps: bool = False) -> Series:
    """The series `name` of a recording, or its only one; an access log is counted by the second.

    `hold_gaps` as for `easymo.trace.read_trace`. Raises `ScenarioError` when the file cannot be used or has no such
    series.
    """
    try:
        found = read_trace(path, hold_gaps=hold_gaps, log_stretch_s=_LOG_STRETCH_S)
    except TraceError as error:
        raise ScenarioError(str(error)) from error
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name is None or name not in found:
        wanted = "no series is chosen" if name is None else f"there is no series {name!r}"
        names = ", ".join(map(repr, found))
        raise ScenarioError(f"{path}: {wanted}, and it has {names}. Name one with --series.")
    return found[name]
