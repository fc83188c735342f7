"""Requirements: bounds that a run must keep, written like `p95<150ms`."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from easymo.load.distribution import at_shares
from easymo.load.errors import ScenarioError
from easymo.load.result import LoadResult

_FORM = re.compile(r"\s*([a-z0-9_.]+)\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)\s*(\S*)\s*")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LATENCIES = ("max", "mean")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|999)")
_RATES = ("rate", "goodput")
# by metric: what its units are worth in milliseconds, as a ratio, in requests per second
_UNITS = {
    **{metric: {"ms": 1.0, "s": 1000.0} for metric in _LATENCIES},
    "error_ratio": {"%": 0.01, "": 1.0},
    **{metric: {"": 1.0, "/s": 1.0} for metric in _RATES},
}


@dataclass(frozen=True)
class Requirement:
    """A bound on one metric of a `LoadResult`: milliseconds, a ratio, or requests per second."""

    text: str
    metric: str
    comparison: str
    bound: float

    def value(self, result: LoadResult) -> float | None:
        """The metric in this result; None for a latency when nothing was answered."""
        if percentile := _PERCENTILE.fullmatch(self.metric):
            share = 0.999 if percentile[1] == "999" else float(percentile[1]) / 100
            return at_shares(result.latency_ms, [share])[0] if result.latency_ms else None
        if self.metric in _LATENCIES:
            return float(getattr(result.latency_ms, self.metric)) if result.latency_ms else None
        return {"error_ratio": result.error_ratio, "rate": result.rate_rps, "goodput": result.goodput_rps}[self.metric]

    def met_by(self, result: LoadResult) -> bool:
        """Whether the result keeps the bound; a latency that could not be measured does not."""
        value = self.value(result)
        return value is not None and _COMPARE[self.comparison](value, self.bound)


def parse_requirement(text: str) -> Requirement:
    """`p95<150ms`, `p99<=0.5s`, `error_ratio<1%`, `rate>=300`, `goodput>=290/s`. Raises `ScenarioError`."""
    match = _FORM.fullmatch(text)
    if not match:
        raise ScenarioError(
            f"The requirement {text!r} cannot be read: write METRIC<BOUND, like p95<150ms or error_ratio<1%."
        )
    metric, comparison, number, unit = match.groups()
    units = _UNITS.get("mean" if _PERCENTILE.fullmatch(metric) else metric)
    if units is None:
        raise ScenarioError(
            f"The requirement {text!r} names no metric of a run: there are p50, p99.9 (any percentile), "
            f"{', '.join(_UNITS)}."
        )
    if unit not in units:
        allowed = " or ".join(repr(known) if known else "no unit" for known in units)
        raise ScenarioError(f"The requirement {text!r} has the wrong unit for {metric}: it takes {allowed}.")
    return Requirement(text=text.strip(), metric=metric, comparison=comparison, bound=float(number) * units[unit])
