"""The answer of Prometheus to ``/api/v1/query_range``."""

from pathlib import Path
from typing import Any

from easymo.trace.errors import TraceError
from easymo.trace.row import Row, moment


def read_prometheus(path: Path, document: Any) -> dict[str, list[Row]]:
    """Rows by series. With several series, each is named by the values of the labels in which they differ."""
    results = _results(path, document)
    names = _names([result.get("metric") or {} for result in results])
    rows: dict[str, list[Row]] = {}
    for index, (name, result) in enumerate(zip(names, results, strict=True)):
        if name in rows:
            raise TraceError(path, f"result[{index}]", f"two series are called {name!r}. Sum them in the query.")
        rows[name] = [
            _row(path, f"result[{index}].values[{number}]", pair) for number, pair in enumerate(result["values"])
        ]
    return rows


def _results(path: Path, document: Any) -> list[dict[str, Any]]:
    wanted = "Ask /api/v1/query_range, with start, end and step"
    answer = document if isinstance(document, dict) else {}
    said = answer.get("error") or answer.get("message")
    if said or answer.get("status") == "error":
        raise TraceError(
            path, None, f"the query failed, Prometheus says: {said or 'nothing more'}. Fix it and ask again."
        )
    if not isinstance(answer.get("data"), dict):
        raise TraceError(path, None, f"this JSON is not an answer of Prometheus. {wanted}.")
    data = answer["data"]
    if data.get("resultType") != "matrix":
        found = data.get("resultType")
        raise TraceError(path, None, f"the result is a {found}, not a matrix over time. {wanted}.")
    results = data.get("result") or []
    if not results:
        raise TraceError(path, None, "the query found nothing. Check the metric's name and labels, and the time range.")
    if not all(isinstance(result, dict) and result.get("values") for result in results):
        raise TraceError(path, None, f"a series has no values. {wanted}.")
    return results


def _names(labels: list[dict[str, str]]) -> list[str]:
    if len(labels) == 1:
        return [""]
    keys = sorted({key for one in labels for key in one})
    differing = [key for key in keys if len({one.get(key) for one in labels}) > 1]
    return [",".join(one.get(key, "") for key in differing) for one in labels]


def _row(path: Path, place: str, pair: Any) -> Row:
    try:
        time_s, value = pair
        return Row(moment(str(time_s))[0], float(value), place)
    except (TypeError, ValueError) as error:
        raise TraceError(path, place, f"{pair!r} is no [time, value]. Export the trace again.") from error
