"""What was measured: rounds and capacity steps, as they are written to disk."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from easymo.load.distribution import Distribution
from easymo.load.result import LoadResult
from easymo.proof.verdict.answers import AnswersCompared
from easymo.proof.verdict.metrics import Metric

Phase = Literal["warm", "capacity", "apply", "aa-1", "aa-2", "compare", "cold", "stress"]

#: The two sets of rounds in which the baseline meets itself.
AA_PHASES: tuple[Phase, Phase] = ("aa-1", "aa-2")


class Resources(Struct, frozen=True):
    """What the system used during a round. None: the server cannot tell (another machine, no pg_stat_statements).

    `cpu_ratio`: CPU seconds per second of all parts (1.0 = one core), with its `cpu_parts`; `rss_bytes`: peak of
    the system's processes and the arm's cache server; `db_connections`: the peak; `wal_bytes`: write-ahead log of
    the arm's own statements, `db_writes` of which were of the kind that writes rows.
    """

    db_statements_per_request: float | None
    cpu_ratio: float | None
    rss_bytes: int | None
    db_connections: int | None
    cpu_parts: dict[str, float] = {}
    wal_bytes: int | None = None
    db_writes: int | None = None


class Round(Struct, frozen=True):
    """One measured stretch of one arm; rounds of one pair play the same seeded schedule."""

    arm: str
    phase: Phase
    pair: int
    rate_rps: float
    load: LoadResult
    resources: Resources

    def value(self, metric: Metric) -> float | None:
        """The metric in this round, above 0; None where it has none, or too few requests for it."""
        if metric.share is not None:
            if self.timed(metric) < metric.least_requests:
                return None
            found = self.latency_ms(metric.name.split(":")[0].removeprefix("latency_"), metric.request)
        elif (used := getattr(self.resources, metric.name)) is None:
            return None
        elif metric.name == "db_statements_per_request":
            found = max(float(used), 0.5 / max(self.requests(), 1))  # the log needs more than 0
        else:
            found = float(used)
        return found if 0 < found < float("inf") else None

    def timed(self, metric: Metric) -> int:
        """Requests of the metric's kind whose latency is known."""
        found = self.latency_of(metric.request)
        return 0 if found is None else found.count

    def latency_of(self, request: str | None) -> Distribution | None:
        """Latencies of one kind of request, or of all."""
        if request is None:
            return self.load.latency_ms
        return self.load.per_request[request].latency_ms if request in self.load.per_request else None

    def latency_ms(self, percentile: str, request: str | None = None) -> float:
        """`p50`, `p95` or `p99` in ms from the intended send time; infinite when nothing was answered."""
        found = self.latency_of(request)
        return float("inf") if found is None else float(getattr(found, percentile))

    def requests(self, request: str | None = None) -> int:
        """Requests started in the round, of one kind or in all."""
        if request is None:
            return self.load.requests
        return self.load.per_request[request].requests if request in self.load.per_request else 0


def read_rounds(path: Path) -> list[Round]:
    """The rounds of a `rounds.jsonl`, in the order they were played; none without the file."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return [msgspec.json.decode(line, type=Round) for line in lines]


class CapacityStep(Struct, frozen=True):
    """One offered rate, whether it held, and if not why not."""

    rate_rps: float
    held: bool
    why: str
    p95_ms: float
    error_ratio: float


class ArmCapacity(Struct, frozen=True):
    """The highest rate that held and the lowest above it that failed (None: the top of the search held)."""

    held_rps: float
    failed_rps: float | None
    steps: list[CapacityStep]


class Measurements(Struct):
    """Everything that verdicts are made from.

    `capacity`: per side its searches; `once`: what was measured once, by its metric; `answers`: what came of asking
    both sides the same before the rounds.
    """

    rounds: list[Round] = []
    capacity: dict[str, list[ArmCapacity]] = {}
    once: dict[str, float] = {}
    answers: AnswersCompared | None = None

    def of(self, arm: str, phase: Phase, rate_rps: float | None = None) -> list[Round]:
        """Rounds of one arm and phase (and offered rate) that are not void, in the order of their pairs."""
        found = [
            r
            for r in self.rounds
            if r.arm == arm and r.phase == phase and not r.load.void and (rate_rps is None or r.rate_rps == rate_rps)
        ]
        return sorted(found, key=lambda r: r.pair)

    def pairs(self, before: str, after: str, phase: Phase = "compare") -> list[tuple[Round, Round]]:
        """Complete pairs of rounds of two sides, in the order in which they were played."""
        firsts, seconds = ({r.pair: r for r in self.of(arm, phase)} for arm in (before, after))
        return [(firsts[pair], seconds[pair]) for pair in sorted(firsts.keys() & seconds.keys())]

    def against_itself(self, *arms: str) -> list[tuple[Round, Round]]:
        """Pairs of rounds in which a side met itself."""
        first, second = AA_PHASES
        found = []
        for arm in arms:
            ones, others = ({r.pair: r for r in self.of(arm, phase)} for phase in (first, second))
            found += [(ones[pair], others[pair]) for pair in sorted(ones.keys() & others.keys())]
        return found
