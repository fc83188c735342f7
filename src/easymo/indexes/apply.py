"""Build declared indexes concurrently, one after the other, so that a second run always finishes the first."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import asyncpg
import msgspec

from easymo.indexes.declared import Declared
from easymo.indexes.definitions import concurrent_statement
from easymo.indexes.errors import BuildError, LockError
from easymo.indexes.observed import Connection, Observed, observed_index, quote
from easymo.indexes.plan import Action, Step, plan_index
from easymo.indexes.progress import Report, Tell, teller
from easymo.indexes.session import LOCK_TIMEOUT, Retry, drop, only_run, with_retries

MARK = "Built by easymo indexes"


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
    report: Report | None = None,
) -> list[Applied]:
    """Build what is missing, rebuild what is invalid, keep what is right; every build is marked for `rollback`.

    Everything is planned before the first change, so that a refusal leaves the database as it was. Raises ConnectError,
    AnotherRunError, DeclarationError, DifferentIndexError (without `replace`), LockError and BuildError, all of them
    IndexesError. Finished indexes stay after an error; applying again does the rest.
    """
    async with only_run(database_url, lock_timeout) as connection:
        tells = [teller(index.name, at, len(declared), report) for at, index in enumerate(declared, start=1)]
        steps = [
            await _plan(connection, index, retry, tell, replace=replace)
            for index, tell in zip(declared, tells, strict=True)
        ]
        return [await _execute(connection, step, retry, tell) for step, tell in zip(steps, tells, strict=True)]


def is_marked(observed: Observed) -> bool:
    """Whether `apply` built this index."""
    return observed.comment.startswith(MARK)


async def _plan(connection: Connection, declared: Declared, retry: Retry, tell: Tell, *, replace: bool) -> Step:
    steps: list[Step] = []

    async def attempt_once() -> None:
        steps.append(await plan_index(connection, declared, replace=replace))

    await with_retries(connection, declared.name, retry, attempt_once, tell)
    return steps[0]


async def _execute(connection: Connection, step: Step, retry: Retry, tell: Tell) -> Applied:
    name, schema = step.declared.name, step.table.schema
    if step.action is Action.KEEP and step.observed:
        tell(step.action)
        return Applied(name, step.action, attempts=0, seconds=0.0, size_bytes=step.observed.size_bytes)
    tell(step.action)
    started = time.perf_counter()
    build = _Build(connection, step)
    try:
        attempts = await with_retries(connection, name, retry, build, tell)
    except LockError:
        await build.give_up()
        raise
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        await build.give_up()
        raise BuildError(name, str(error)) from error
    built = await observed_index(connection, schema, name)
    if built is None or not built.valid:
        raise BuildError(name, "it was dropped or broken by another session while it was built")
    tell("done", attempts)
    return Applied(name, step.action, attempts, time.perf_counter() - started, built.size_bytes)


class _Build:
    """One attempt: away with what is in the way, build, mark. A later attempt goes on where the last one stopped."""

    def __init__(self, connection: Connection, step: Step) -> None:
        self._connection, self._step, self._built = connection, step, False

    async def __call__(self) -> None:
        step = self._step
        if not self._built:
            await self._make_room()
            await self._connection.execute(concurrent_statement(step.declared.statement))
            self._built = True
        comment = f"{MARK} from {step.declared.path.name}".replace("'", "''")
        await self._connection.execute(
            f"comment on index {quote(step.table.schema)}.{quote(step.declared.name)} is '{comment}'"
        )

    async def give_up(self) -> None:
        """Drop an invalid leftover, so that nobody pays for it until the next run, which would repair it anyway."""
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            present = await self._present()
            if present and _is_leftover(present):
                await drop(self._connection, present.schema, present.name)

    async def _make_room(self) -> None:
        """Drop the leftover of an earlier attempt or run, and the different index that the plan replaces."""
        present, planned = await self._present(), self._step.observed
        if present and (_is_leftover(present) or (planned and planned.oid == present.oid)):
            await drop(self._connection, present.schema, present.name)

    async def _present(self) -> Observed | None:
        return await observed_index(self._connection, self._step.table.schema, self._step.declared.name)


def _is_leftover(index: Observed) -> bool:
    return not index.valid and index.builder_pid is None
