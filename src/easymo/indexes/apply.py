"""Build declared indexes concurrently, one after the other, so that a second run always finishes the first."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import asyncpg
import msgspec

from easymo.indexes.declared import Declared, Verb
from easymo.indexes.definitions import concurrent_statement
from easymo.indexes.errors import BuildError, LockError, MovedError
from easymo.indexes.estimate import check_room, estimate, free_bytes
from easymo.indexes.journal import Journal, open_journal
from easymo.indexes.marks import mark, replaced_by
from easymo.indexes.observed import Connection, Observed, indexes_on, observed_index, quote
from easymo.indexes.partitions import build_partitioned
from easymo.indexes.plan import Action, Step, digest, on_tables_that_are_there, plan_index
from easymo.indexes.progress import Report, Tell, teller
from easymo.indexes.session import LOCK_TIMEOUT, Retry, drop, only_run, with_retries
from easymo.indexes.watch import Watch, watching


class Applied(msgspec.Struct, frozen=True):
    """One index after apply. `seconds` includes waiting for locks and is 0 for an index that was kept."""

    index: str
    action: Action
    attempts: int
    seconds: float
    size_bytes: int


async def apply(
    database_url: str,
    declared: Sequence[Declared],
    *,
    lock_timeout: timedelta = LOCK_TIMEOUT,
    retry: Retry = Retry(),  # noqa: B008 - frozen
    replace: bool = False,
    planned_digest: str | None = None,
    journal: Path | None = None,
    report: Report | None = None,
    watch: Watch | None = None,
) -> list[Applied]:
    """Build what is missing, rebuild what is invalid, keep what is right; every build is marked for `rollback`.

    Everything is planned before the first change, so that a refusal leaves the database as it was. `planned_digest` is
    the digest of a plan that must still hold. `journal` is a file that covers the moment between a build and its mark.
    `report` hears of steps, `watch` of the progress within one.

    Raises ConnectError, VersionError, PoolerError, AnotherRunError, MovedError, DiskError, DeclarationError,
    DifferentIndexError (without `replace`), LockError and BuildError, all of them IndexesError. Finished indexes stay
    after an error; applying again does the rest.
    """
    async with only_run(database_url, lock_timeout) as connection:
        book = await open_journal(journal, connection)
        declared, _ = await on_tables_that_are_there(connection, declared)
        tells = [teller(index.name, at, len(declared), report) for at, index in enumerate(declared, start=1)]
        steps = [
            await _plan(connection, index, retry, tell, replace=replace, journal=book)
            for index, tell in zip(declared, tells, strict=True)
        ]
        if planned_digest is not None:
            now = digest(steps, await indexes_on(connection, {step.table.oid for step in steps}))
            if now != planned_digest:
                raise MovedError(planned_digest, now)
        await _check_room(connection, steps)
        run = _Run(database_url, connection, book, retry, watch)
        return [await run.execute(step, tell) for step, tell in zip(steps, tells, strict=True)]


async def _plan(
    connection: Connection, declared: Declared, retry: Retry, tell: Tell, *, replace: bool, journal: Journal
) -> Step:
    steps: list[Step] = []

    async def attempt_once() -> None:
        steps.append(await plan_index(connection, declared, replace=replace, journal=journal))

    await with_retries(connection, declared.name, retry, attempt_once, tell)
    return steps[0]


async def _check_room(connection: Connection, steps: Sequence[Step]) -> None:
    free = await free_bytes(connection)
    if free is not None:
        sizes = [await estimate(connection, s.table, s.declared.definition) for s in steps if s.builds]
        check_room(sizes, free)


class _Run:
    """What the steps of one run share."""

    def __init__(
        self, database_url: str, connection: Connection, journal: Journal, retry: Retry, watch: Watch | None
    ) -> None:
        self._url, self._connection, self._journal = database_url, connection, journal
        self._retry, self._watch = retry, watch

    async def execute(self, step: Step, tell: Tell) -> Applied:
        """Do one step and look at what came of it."""
        name, schema = step.declared.name, step.table.schema
        tell(step.action)
        if step.action is Action.KEEP:
            size_bytes = step.observed.size_bytes if step.observed else 0
            return Applied(name, step.action, attempts=0, seconds=0.0, size_bytes=size_bytes)
        started = time.perf_counter()
        attempts = await self._attempt(step, tell)
        built = await observed_index(self._connection, schema, name)
        if (built is None) is not (step.action is Action.DROP) or (built and not built.valid):
            raise BuildError(name, "another session has dropped, built or broken it meanwhile")
        tell("done", attempts)
        size_bytes = built.size_bytes if built else 0
        return Applied(name, step.action, attempts, time.perf_counter() - started, size_bytes)

    async def _attempt(self, step: Step, tell: Tell) -> int:
        build = _Build(self._connection, self._journal, step)
        once: Callable[[], Awaitable[None]] = build
        if step.action in (Action.DROP, Action.REINDEX):
            once = partial(self._change, step)
        elif step.table.partitioned:
            once = partial(build_partitioned, self._connection, step)
        name = step.declared.name
        try:
            async with watching(self._url, self._connection, name, self._watch):
                return await with_retries(self._connection, name, self._retry, once, tell)
        except LockError:
            await build.give_up()
            raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            await build.give_up()
            raise BuildError(name, str(error)) from error

    async def _change(self, step: Step) -> None:
        """One attempt at what the file says of an index that is there."""
        assert step.observed is not None
        schema, name, definition = step.observed.schema, step.observed.name, step.observed.definition
        if step.action is Action.DROP:
            self._journal.write("remove", schema, name, replaced=definition)
            await drop(self._connection, schema, name)
            self._journal.write("removed", schema, name, replaced=definition)
            return
        for left in await indexes_on(self._connection, {step.table.oid}):
            if left.name.startswith(f"{name}_ccnew") and not left.valid:  # of an attempt that broke off
                await drop(self._connection, left.schema, left.name)
        await self._connection.execute(f"reindex index concurrently {quote(schema)}.{quote(name)}")


class _Build:
    """One attempt: away with what is in the way, build, mark. A later attempt goes on where the last one stopped."""

    def __init__(self, connection: Connection, journal: Journal, step: Step) -> None:
        self._connection, self._journal, self._step = connection, journal, step
        self._built = step.action is Action.MARK
        self._replaced = self._statement_in_place()

    async def __call__(self) -> None:
        step, schema, name = self._step, self._step.table.schema, self._step.declared.name
        if not self._built:
            self._journal.write("build", schema, name, step.shape, self._replaced)
            await self._make_room()
            await self._connection.execute(concurrent_statement(step.declared.statement))
            self._built = True
        await mark(
            self._connection, schema, name, step.declared.path.name, self._replaced, comment=step.declared.comment
        )
        self._journal.write("built", schema, name)

    async def give_up(self) -> None:
        """Drop an invalid leftover, so that nobody pays for it until the next run, which would repair it anyway."""
        if self._step.table.partitioned or self._step.declared.verb is not Verb.CREATE:
            return  # what is built stays: the next run attaches it
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            present = await self._present()
            if present and _is_leftover(present):
                await drop(self._connection, present.schema, present.name)

    def _statement_in_place(self) -> str:
        """How to make the index again that this build takes the place of, or took when it was broken off."""
        step = self._step
        if step.action is Action.REPLACE and step.observed:
            return replaced_by(step.observed) or step.observed.definition
        entry = self._journal.unfinished(step.table.schema, step.declared.name)
        return entry.replaced if entry else ""

    async def _make_room(self) -> None:
        """Drop the leftover of an earlier attempt or run, and the different index that the plan replaces."""
        present, planned = await self._present(), self._step.observed
        if present and (_is_leftover(present) or (planned and planned.oid == present.oid)):
            await drop(self._connection, present.schema, present.name)

    async def _present(self) -> Observed | None:
        return await observed_index(self._connection, self._step.table.schema, self._step.declared.name)


def _is_leftover(index: Observed) -> bool:
    return not index.valid and index.builder_pid is None
