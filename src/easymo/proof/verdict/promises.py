"""What a performance note promises, as bounds on metrics.

A promise is one bound on one metric. `change` bounds `after / before - 1`, `level` bounds `after` itself. The bound is
the limit: only a claim that says "about" (`about`), and "no worse than before" (a margin), loosen it, and every table
prints by how much.
"""

from typing import Literal

from msgspec import Struct

from easymo.proof.verdict import metrics
from easymo.proof.verdict.metrics import Metric

#: Half-width of "practically the same": how much worse "no worse than before" may be when the promise says nothing.
MARGIN = 0.05


class Promise(Struct, frozen=True, forbid_unknown_fields=True):
    """One claimed number: where the note says it (`source`), which `metric` it is about and its bound.

    `at_most` and `at_least` are ratios for a `change` (-0.5 is "half") and in the metric's own unit for a `level`;
    exactly one of them is given. `about` loosens the bound by this ratio of what was before (0.05: five percent).
    """

    id: str
    claim: str
    source: str
    metric: str
    kind: Literal["change", "level"]
    at_most: float | None = None
    at_least: float | None = None
    about: float | None = None

    def problem(self) -> tuple[str, str, str] | None:
        """Return `(key, what is wrong, what is allowed)`, or None for a promise that can be judged."""
        found = metrics.find(self.metric)
        if found is None:
            return "metric", f"promise {self.id!r} names the unknown metric {self.metric!r}.", metrics.WRITTEN
        if (self.at_most is None) == (self.at_least is None):
            return "id", f"promise {self.id!r} needs exactly one bound.", "at_most = NUMBER or at_least = NUMBER"
        if self.about is not None and not 0 <= self.about < 1:
            return "about", f"promise {self.id!r}: about = {self.about:g} is no ratio from 0 to 1.", "about = 0.05"
        if self.kind == "change" and found.how == "once":
            return "kind", f"promise {self.id!r}: {self.metric} has no value before, so it has no change.", "level"
        if self.kind == "change" and self.bound <= -1:
            wrong = f"promise {self.id!r} asks for a change of {self.bound:+.0%}, which no metric can reach."
            return "kind", wrong, "more than -1"
        return None

    @property
    def of(self) -> Metric:
        """The metric."""
        return metrics.metric(self.metric)

    @property
    def unit(self) -> str:
        """Unit of `before` and `after`."""
        return self.of.unit

    @property
    def bound(self) -> float:
        """The claimed number."""
        bound = self.at_most if self.at_most is not None else self.at_least
        assert bound is not None
        return bound

    @property
    def guard(self) -> bool:
        """Whether it says that something gets no worse (by more than so much), and not that something gets better."""
        return self.kind == "change" and (self.bound >= 0 if self.at_most is not None else self.bound <= 0)

    @property
    def margin(self) -> float:
        """By how much the bound is loosened: `about`, or :data:`MARGIN` for "no worse than before"."""
        if self.about is not None:
            return self.about
        return MARGIN if self.kind == "change" and self.bound == 0 else 0.0

    @property
    def limit(self) -> float:
        """The bound loosened by :attr:`margin`, on the scale of the bound; a gain never past "no change"."""
        factor = 1 + self.margin if self.at_most is not None else 1 - self.margin
        if self.kind == "level":
            return self.bound * factor
        loosened = (1 + self.bound) * factor - 1
        return 0.0 if self.bound * loosened < 0 else loosened

    def holds(self, value: float) -> bool:
        """Whether `value` (a change or a level, as `kind` says) is on the promised side of the limit."""
        return value <= self.limit if self.at_most is not None else value >= self.limit
