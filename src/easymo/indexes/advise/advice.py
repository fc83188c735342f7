"""What advise says: indexes to build, each with its gain and price, what to drop, and what no index helps."""

from collections.abc import Iterator
from datetime import date
from enum import StrEnum

import msgspec

from easymo.indexes.advise.pricing import EndedHot
from easymo.indexes.advise.selection import Gain
from easymo.indexes.scratch import Copy

_WIDTH = 116


class AdvisedIndex(msgspec.Struct, frozen=True):
    """An index worth building.

    `gain_ms_per_minute` is what the workload loses when this one alone is hidden, measured; `price_ms_per_minute` what
    writes pay, estimated from `write_us_per_row`, which is measured. `ends_hot_for` are updates that stop being HOT.
    """

    name: str
    statement: str
    serves: list[Gain]
    gain_ms_per_minute: float
    price_ms_per_minute: float
    size_bytes: int
    write_us_per_row: float | None
    ends_hot_for: list[EndedHot]
    partitioned: bool = False


class Kind(StrEnum):
    """What became of a statement."""

    HELPED = "helped"
    FAST = "fast enough"
    UNHELPED = "no index helps"
    UNTRIED = "not tried"


class Outcome(msgspec.Struct, frozen=True):
    """A statement of the workload: every one has exactly one outcome. `why` is its share, what was tried, or why not.

    `ms` is None where nothing was measured.
    """

    statement: str
    text: str
    calls_per_minute: float
    kind: Kind
    why: str
    before_ms: float | None = None
    after_ms: float | None = None


class Advice(msgspec.Struct, frozen=True):
    """The result. Totals are calls a minute times ms, all queries together.

    `queries` are the readings that were measured: of a DELETE also the searches of its foreign keys.

    `dropped` are candidates that the search chose and the measurement did not bear out, with the reason; `to_drop` are
    indexes that are there and worth nothing. `hot_kept_ratio` is None when no updates are known.
    """

    indexes: list[AdvisedIndex]
    statements: list[Outcome]
    queries: list[Gain]
    before_ms_per_minute: float
    after_ms_per_minute: float
    size_bytes: int
    hot_kept_ratio: float | None
    dropped: dict[str, str]
    to_drop: dict[str, str]
    notes: list[str]
    copied: Copy
    seconds: float

    def of(self, kind: Kind) -> dict[str, str]:
        """Statements with this outcome, and why."""
        return {outcome.statement: outcome.why for outcome in self.statements if outcome.kind is kind}

    @property
    def counts(self) -> dict[str, int]:
        """Statements of each kind; the sum is the workload's."""
        return {kind: len(self.of(kind)) for kind in Kind}


def migration(advice: Advice) -> str:
    """The advice as a file for `easymo indexes apply`, which passes our lint."""
    return "\n".join(_lines(advice)) + "\n"


def _lines(advice: Advice) -> Iterator[str]:
    yield from _comment(
        f"Advised by easymo indexes on {date.today():%Y-%m-%d}. Measured on a copy: "
        f"{advice.before_ms_per_minute:,.0f} ms a minute before, {advice.after_ms_per_minute:,.0f} after, "
        f"{advice.size_bytes / 1e6:.0f} MB of indexes."
        + (
            ""
            if advice.hot_kept_ratio is None
            else f" Of the updates that can be HOT, {advice.hot_kept_ratio:.0%} still can."
        )
    )
    for index in advice.indexes:
        yield ""
        for gain in index.serves:
            times = f"{gain.before_ms:.2f} -> {gain.after_ms:.2f} ms"
            yield from _comment(f"{gain.query}: {times}, {gain.calls_per_minute:g} calls a minute.")
        price = "" if index.write_us_per_row is None else f", {index.write_us_per_row:.1f} us for each row written"
        yield from _comment(
            f"Gain {index.gain_ms_per_minute:,.0f} ms a minute; price {index.size_bytes / 1e6:.1f} MB{price}, "
            f"{index.price_ms_per_minute:,.0f} ms a minute."
        )
        if " using hnsw " in index.statement:
            yield from _comment("HNSW is approximate: a query that uses it can miss rows.")
        if " where " in index.statement:
            why = f"it gains {index.gain_ms_per_minute:,.0f} ms a minute and costs {index.price_ms_per_minute:,.0f}"
            yield f"-- easymo:ignore predicate-ends-hot {why}"
        for ended in index.ends_hot_for:
            yield from _comment(
                f"Ends HOT for {ended.statement} ({ended.calls_per_minute:g} a minute), which sets "
                f"{', '.join(ended.columns)}: with an entry in every index of the table, its writes cost about "
                f"{ended.ms_per_minute:,.0f} ms a minute. Advised because without it the queries above lose more: "
                f"{index.gain_ms_per_minute:,.0f} ms a minute."
            )
        if index.partitioned:
            yield from _comment(
                "The table is partitioned, where Postgres refuses CONCURRENTLY: build it with easymo indexes apply, "
                "which goes partition by partition."
            )
        yield f"{index.statement};"
    for name, reason in advice.to_drop.items():
        yield ""
        yield from _comment(f"Worth nothing ({reason}). To drop it: drop index concurrently {name};")


def _comment(text: str) -> Iterator[str]:
    line = ""
    for word in text.split():
        if len(line) + len(word) > _WIDTH:
            yield f"-- {line}"
            line = ""
        line = f"{line} {word}".strip()
    yield f"-- {line}"
