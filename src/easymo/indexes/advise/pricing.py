"""What writes pay for an index, in ms a minute, beside what reads gain."""

import math
from collections.abc import Collection, Mapping

import msgspec

from easymo.indexes.advise import judgement
from easymo.indexes.definitions import Definition
from easymo.indexes.observed import quoted
from easymo.indexes.price import columns_of


class Updates(msgspec.Struct, frozen=True):
    """Updates that set the same columns, a minute. `by` is the statement, or says that it was guessed."""

    columns: frozenset[str]
    per_minute: float
    by: str


class EndedHot(msgspec.Struct, frozen=True):
    """An update that an index keeps from being HOT: which columns of it the update sets, and what its writes then cost.

    `ms_per_minute` is an estimate: an entry in every index of the table for each update.
    """

    statement: str
    calls_per_minute: float
    columns: list[str]
    ms_per_minute: float


class Writes(msgspec.Struct, frozen=True):
    """Writes to a table; rates a minute."""

    inserts: float
    updates: tuple[Updates, ...]


class Prices:
    """Prices of indexes on tables that are written as `writes` says and have the indexes `there` already.

    `index_pages` is the size of one index of each table.
    """

    def __init__(
        self,
        writes: Mapping[str, Writes],
        there: Mapping[str, Collection[Definition]],
        index_pages: Mapping[str, float] | None = None,
    ) -> None:
        self.writes, self._there, self._index_pages = writes, there, index_pages or {}

    def of(self, definition: Definition, chosen: Collection[Definition], entries_ratio: float = 1.0) -> float:
        """What an index costs when `chosen` are built, too.

        Each insert and each update that is not HOT writes an entry, for the share of rows that the predicate lets in;
        an update that was HOT until now writes one to every index of the table.
        """
        table = place(definition)
        writes = self.writes.get(table)
        if writes is None:
            return 0.0
        others = [*self._there.get(table, ()), *(d for d in chosen if place(d) == table)]
        price = writes.inserts * entries_ratio * judgement.ENTRY_MS
        for update in writes.updates:
            if _blocked(update, others):
                price += update.per_minute * entries_ratio * judgement.ENTRY_MS
            elif update.columns & columns_of(definition):
                price += update.per_minute * (len(others) + entries_ratio) * self.entry_ms(table, update)
        return price

    def entry_ms(self, table: str, update: Updates) -> float:
        """An entry for an update that was HOT: besides the entry a page image, if its page is the first time dirty.

        Of n entries on P pages between two checkpoints, P (1 - exp(-n / P)) are the first of their page: nearly all
        where updates are rare, hardly one where they are many. A HOT update only writes to a page that is dirty anyway.
        """
        entries = update.per_minute * judgement.CHECKPOINT_MINUTES
        pages = self._index_pages.get(table, 1.0)
        first = pages * -math.expm1(-entries / pages) / entries if entries else 1.0
        return judgement.ENTRY_MS + judgement.PAGE_IMAGE_MS * first

    @property
    def updates(self) -> list[tuple[str, Updates]]:
        """Table and updates that can be HOT, the most frequent first."""
        found = [(table, update) for table, writes in self.writes.items() for update in writes.updates]
        can = [pair for pair in found if not _blocked(pair[1], self._there.get(pair[0], ()))]
        return sorted(can, key=lambda pair: -pair[1].per_minute)

    def ends_hot_for(self, definition: Definition, chosen: Collection[Definition] = ()) -> list[Updates]:
        """Updates that are no longer HOT with this index but are with those that are there and the `chosen` ones."""
        chosen = [other for other in chosen if place(other) == place(definition)]
        on_table = [update for table, update in self.updates if table == place(definition)]
        return [u for u in on_table if not _blocked(u, chosen) and u.columns & columns_of(definition)]

    def ended_ms(self, table: str, update: Updates, chosen: Collection[Definition]) -> float:
        """What an update costs a minute that is not HOT: an entry in every index, those there and the `chosen` ones."""
        there = [*self._there.get(table, ()), *(d for d in chosen if place(d) == table)]
        return update.per_minute * len(there) * self.entry_ms(table, update)

    def ended_by(self, definition: Definition, chosen: Collection[Definition]) -> list[EndedHot]:
        """The updates that this index keeps from being HOT, once all the `chosen` ones are there."""
        return [
            EndedHot(
                update.by,
                update.per_minute,
                sorted(update.columns & columns_of(definition)),
                round(self.ended_ms(place(definition), update, chosen), 3),
            )
            for update in self.ends_hot_for(definition)
        ]

    def hot_kept_ratio(self, chosen: Collection[Definition]) -> float | None:
        """The share of updates which can be HOT without `chosen` that still can with them; None without updates."""
        before = sum(update.per_minute for _, update in self.updates)
        kept = (u.per_minute for table, u in self.updates if not _blocked(u, [d for d in chosen if place(d) == table]))
        return sum(kept) / before if before else None


def place(definition: Definition) -> str:
    """The table of a definition, with its schema."""
    return f"{quoted(definition.schema)}.{quoted(definition.table)}"


def _blocked(update: Updates, indexes: Collection[Definition]) -> bool:
    return any(update.columns & columns_of(index) for index in indexes)
