"""Drop exactly the declared indexes that `apply` built, concurrently; running it again finishes a broken-off run."""

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import asyncpg
import msgspec

from easymo.indexes.declared import Declared, Verb
from easymo.indexes.definitions import Definition, concurrent_statement, parse_definition
from easymo.indexes.errors import BuildError, DeclarationError
from easymo.indexes.journal import Journal, open_journal
from easymo.indexes.marks import is_marked, replaced_by
from easymo.indexes.observed import Connection, Observed, Table, declared_shape, find_table, observed_index
from easymo.indexes.partitions import adopted, drop_partitioned
from easymo.indexes.progress import Report, Tell, teller
from easymo.indexes.session import LOCK_TIMEOUT, Retry, drop, only_run, with_retries
from easymo.indexes.sqlfile import split


class RolledBack(msgspec.Struct, frozen=True):
    """One declared index after rollback. `kept_because` is empty when it was dropped."""

    index: str
    kept_because: str
    seconds: float

    @property
    def dropped(self) -> bool:
        return not self.kept_because


async def rollback(
    database_url: str,
    declared: Sequence[Declared],
    *,
    lock_timeout: timedelta = LOCK_TIMEOUT,
    retry: Retry = Retry(),  # noqa: B008 - frozen
    journal: Path | None = None,
    report: Report | None = None,
) -> list[RolledBack]:
    """Drop, last one first, what `apply` built: marked indexes, and what a broken-off apply left.

    An index that `apply` replaced is built again. One that somebody else made stays, whatever its name. Raises
    ConnectError, VersionError, PoolerError, AnotherRunError, LockError and BuildError; what was dropped before stays
    dropped, and rolling back again does the rest.
    """
    async with only_run(database_url, lock_timeout) as connection:
        book = await open_journal(journal, connection)
        return [
            await _roll_back(connection, book, index, retry, teller(index.name, position, len(declared), report))
            for position, index in enumerate(reversed(declared), start=1)
        ]


async def rollback_preview(
    database_url: str, declared: Sequence[Declared], *, journal: Path | None = None
) -> list[RolledBack]:
    """What `rollback` would drop and keep; nothing is changed. Raises what `only_run` does."""
    async with only_run(database_url, LOCK_TIMEOUT) as connection:
        book = await open_journal(journal, connection)
        looks = [(index.name, await _Removal(connection, book, index).look()) for index in reversed(declared)]
        return [RolledBack(name, found if isinstance(found, str) else "", 0.0) for name, found in looks]


async def _roll_back(
    connection: Connection, journal: Journal, declared: Declared, retry: Retry, tell: Tell
) -> RolledBack:
    removal = _Removal(connection, journal, declared)
    started = time.perf_counter()
    tell("drop")
    try:
        attempts = await with_retries(connection, declared.name, retry, removal, tell)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise BuildError(declared.name, f"it could not be dropped: {error}") from error
    tell("keep" if removal.kept_because else "done", attempts)
    return RolledBack(declared.name, removal.kept_because, time.perf_counter() - started)


class _Ours(msgspec.Struct, frozen=True):
    """What is to be taken away (None when an earlier run has), where, and the statement of what stood there before."""

    table: Table
    shape: Definition
    observed: Observed | None
    replaced: str


class _Removal:
    """One attempt to take an index back. A later attempt, or run, goes on where the last one stopped."""

    def __init__(self, connection: Connection, journal: Journal, declared: Declared) -> None:
        self._connection, self._journal, self._declared = connection, journal, declared
        self.kept_because = ""

    async def __call__(self) -> None:
        found = await self.look()
        if isinstance(found, str):
            self.kept_because = found
            return
        schema, name = found.table.schema, self._declared.name
        self._journal.write("drop", schema, name, found.shape, found.replaced)
        if self._declared.verb is Verb.DROP:
            pass
        elif found.table.partitioned:
            await drop_partitioned(self._connection, found.table, self._declared.name, found.shape)
        elif found.observed:
            await drop(self._connection, schema, found.observed.name)
        for statement in split(found.replaced):
            await self._build_again(statement.text)
        self._journal.write("dropped", schema, name)

    async def _build_again(self, statement: str) -> None:
        definition = parse_definition(statement)
        present = await observed_index(self._connection, definition.schema, definition.name)
        if present and present.valid:
            return
        await drop(self._connection, definition.schema, definition.name)
        await self._connection.execute(concurrent_statement(statement))

    async def _removed(self) -> _Ours | str:
        """The way back of a DROP INDEX: only the journal knows what was dropped."""
        if self._declared.verb is Verb.REINDEX:
            return "an index that was built again is the same"
        entry = self._journal.removed(self._declared.definition)
        if entry is None:
            return "its journal does not say that apply has dropped it"
        placed = parse_definition(entry.replaced)
        return _Ours(await find_table(self._connection, placed), placed.shape, None, entry.replaced)

    async def look(self) -> _Ours | str:
        """The index if it is ours to drop, else the reason why not."""
        declared = self._declared
        if declared.verb is not Verb.CREATE:
            return await self._removed()
        try:
            table = await find_table(self._connection, declared.definition)
        except DeclarationError:
            return "its table is not there"
        observed = await observed_index(self._connection, table.schema, declared.name)
        entry = self._journal.unfinished(table.schema, declared.name)
        replaced = entry.replaced if entry else ""
        if observed is None and not replaced and not table.partitioned:
            return "it is not there"
        if observed and is_marked(observed):
            beside = replaced or await adopted(self._connection, observed) if table.partitioned else ""
            return _Ours(table, observed.shape, observed, replaced_by(observed) or beside)
        shape = await declared_shape(self._connection, declared.name, declared.statement, table)
        if observed and observed.builder_pid is not None:
            return f"backend {observed.builder_pid} is building it now"
        if observed and observed.valid and not self._journal.began(table.schema, declared.name, shape):
            return "apply did not build it"
        # A build that broke off before it could be marked: only the name and the shape tell.
        if observed and observed.shape != shape:
            return "it is invalid, but not the declared index"
        return _Ours(table, shape, observed, replaced)
