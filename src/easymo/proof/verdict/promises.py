"""What a performance note promises, as bounds on metrics.

A promise is one bound on one metric. ``change`` bounds ``after / before - 1``, ``level`` bounds ``after`` itself.
"""

import re
from typing import Literal

from msgspec import Struct

#: Half-width of "practically the same": a bound is loosened by this ratio before a promise is called broken.
DELTA = 0.05

LATENCY = re.compile(r"latency_(p50|p95|p99)(?::(.+))?$")
ERROR_RATIO = re.compile(r"error_ratio(?:@(\d+))?$")
UNITS = {
    "capacity_rps": "requests/s",
    "db_statements_per_request": "statements/request",
    "cpu_ratio": "cores",
    "rss_bytes": "bytes",
    "db_connections": "connections",
}
#: Measured once in a run, on the arm with every treatment: levels without a baseline and without an interval.
ONCE = {"apply_s": "s", "take_back_s": "s", "cache_hit_ratio": "ratio"}
METRICS = "latency_p50, latency_p95, latency_p99 (of one request: latency_p50:NAME), error_ratio, error_ratio@RATE, "
METRICS += ", ".join([*UNITS, *ONCE])


class Promise(Struct, frozen=True, forbid_unknown_fields=True):
    """One claimed number: where the note says it (``source``), which ``metric`` it is about and its bound.

    ``at_most`` and ``at_least`` are ratios for a ``change`` (-0.5 is "half") and in the metric's own unit for a
    ``level``; exactly one of them is given.
    """

    id: str
    claim: str
    source: str
    metric: str
    kind: Literal["change", "level"]
    at_most: float | None = None
    at_least: float | None = None

    def problem(self) -> tuple[str, str, str] | None:
        """Return ``(key, what is wrong, what is allowed)``, or None for a promise that can be judged."""
        if not (LATENCY.match(self.metric) or ERROR_RATIO.match(self.metric) or self.metric in UNITS | ONCE):
            return "metric", f"promise {self.id!r} names the unknown metric {self.metric!r}.", METRICS
        if (self.at_most is None) == (self.at_least is None):
            return "id", f"promise {self.id!r} needs exactly one bound.", "at_most = NUMBER or at_least = NUMBER"
        if self.metric in ONCE and self.kind == "change":
            return (
                "kind",
                f"promise {self.id!r}: {self.metric} has no value before, so no change of it exists.",
                "level",
            )
        bound = self.at_most if self.at_most is not None else self.at_least
        if self.kind == "change" and bound is not None and bound <= -1:
            return (
                "kind",
                f"promise {self.id!r} asks for a change of {bound:+.0%}, which no metric can reach.",
                "more than -1",
            )
        return None

    @property
    def unit(self) -> str:
        """Unit of ``before`` and ``after``."""
        if LATENCY.match(self.metric):
            return "ms"
        if ERROR_RATIO.match(self.metric):
            return "ratio"
        return (UNITS | ONCE)[self.metric]

    @property
    def limit(self) -> float:
        """The bound loosened by :data:`DELTA`, on the scale of the bound (a ratio for a change).

        Never past "no change": a gain smaller than the leeway would else be kept by a system that nobody changed.
        """
        if self.at_most is not None:
            factor, bound = 1 + DELTA, self.at_most
        else:
            assert self.at_least is not None
            factor, bound = 1 - DELTA, self.at_least
        if self.kind == "level":
            return bound * factor
        loosened = (1 + bound) * factor - 1
        return 0.0 if bound * loosened < 0 else loosened

    def holds(self, value: float) -> bool:
        """Whether ``value`` (a change or a level, as ``kind`` says) is on the promised side of the limit."""
        return value <= self.limit if self.at_most is not None else value >= self.limit
