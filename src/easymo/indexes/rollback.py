"""Drop exactly the declared indexes that `apply` built, concurrently; running it again finishes a broken-off run."""

import time
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import msgspec

from easymo.indexes.apply import is_marked
from easymo.indexes.declared import Declared
from easymo.indexes.errors import BuildError, DeclarationError
from easymo.indexes.observed import Connection, Observed, declared_shape, find_table, observed_index
from easymo.indexes.progress import Report, Tell, teller
from easymo.indexes.session import LOCK_TIMEOUT, Retry, drop, only_run, with_retries


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
    report: Report | None = None,
) -> list[RolledBack]:
    """Drop, last one first, what `apply` built: marked indexes, and invalid ones that a broken-off apply left.

    An index that somebody else made stays, whatever its name. Raises ConnectError, AnotherRunError, LockError and
    BuildError; what was dropped before stays dropped, and rolling back again does the rest.
    """
    async with only_run(database_url, lock_timeout) as connection:
        return [
            await _roll_back(connection, index, retry, teller(index.name, position, len(declared), report))
            for position, index in enumerate(reversed(declared), start=1)
        ]


async def _roll_back(connection: Connection, declared: Declared, retry: Retry, tell: Tell) -> RolledBack:
    kept_because = ""

    async def attempt_once() -> None:
        nonlocal kept_because
        found = await _ours(connection, declared)
        if isinstance(found, Observed):
            await drop(connection, found.schema, found.name)
        else:
            kept_because = found

    started = time.perf_counter()
    tell("drop")
    try:
        attempts = await with_retries(connection, declared.name, retry, attempt_once, tell)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise BuildError(declared.name, f"it could not be dropped: {error}") from error
    tell("keep" if kept_because else "done", attempts)
    return RolledBack(declared.name, kept_because, time.perf_counter() - started)


async def _ours(connection: Connection, declared: Declared) -> Observed | str:
    """The index if it is ours to drop, else the reason why not."""
    try:
        table = await find_table(connection, declared.definition)
    except DeclarationError:
        return "its table is not there"
    observed = await observed_index(connection, table.schema, declared.name)
    if observed is None:
        return "it is not there"
    if is_marked(observed):
        return observed
    if observed.valid:
        return "apply did not build it"
    if observed.builder_pid is not None:
        return f"backend {observed.builder_pid} is building it now"
    # A build that broke off before it could be marked: only the name and the shape tell.
    if observed.shape != await declared_shape(connection, declared.name, declared.statement, table):
        return "it is invalid, but not the declared index"
    return observed
