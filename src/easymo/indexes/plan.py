"""What has to be done so that declared indexes are there: read from the database, nothing is changed."""

import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

import asyncpg
import msgspec

from easymo.indexes.declared import Declared, Verb
from easymo.indexes.definitions import Definition
from easymo.indexes.errors import BuildError, DeclarationError, DifferentIndexError, IndexesError
from easymo.indexes.estimate import Estimate, estimate, free_bytes
from easymo.indexes.journal import Journal, open_journal
from easymo.indexes.observed import (
    Connection,
    Observed,
    Table,
    declared_shape,
    find_index,
    find_table,
    has_table,
    indexes_on,
    observed_index,
)
from easymo.indexes.session import open_transactions, reader
from easymo.indexes.state import IndexState, Usage, index_states, usage


class Action(StrEnum):
    """What a step does.

    KEEP nothing, MARK an index that a run of ours built before it was killed, BUILD a first time, REPAIR an invalid
    leftover by building it again (on a partitioned table: by going on), REPLACE a different index; DROP and REINDEX
    where the file says so.
    """

    KEEP = "keep"
    MARK = "mark"
    BUILD = "build"
    REPAIR = "repair"
    REPLACE = "replace"
    DROP = "drop"
    REINDEX = "reindex"


class Step(msgspec.Struct, frozen=True):
    """One declared index, what Postgres makes of it, where it goes, what is there now and what follows from it."""

    declared: Declared
    table: Table
    shape: Definition
    observed: Observed | None
    action: Action

    @property
    def builds(self) -> bool:
        return self.action in (Action.BUILD, Action.REPAIR, Action.REPLACE)


class PlannedStep(msgspec.Struct, frozen=True):
    """A step for people and scripts. `refused` says why `apply` would not do it; then `action` is empty."""

    index: str
    table: str
    action: str
    statement: str
    estimate: Estimate | None
    refused: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What `apply` would do, and what it would meet.

    `digest` changes with the steps and with any index of their tables; `blocked_by` are open transactions that a build
    would wait for; `free_bytes` is None where the server's disk cannot be seen. `usage` says since when scans are
    counted, and why nothing may be called unused, if so. `left` are indexes of tables that their own file makes and
    that are not there yet: the migration builds them.
    """

    digest: str
    steps: list[PlannedStep]
    indexes: list[IndexState]
    usage: Usage
    blocked_by: list[str]
    free_bytes: int | None
    left: list[str]


async def plan(
    database_url: str,
    declared: Sequence[Declared],
    *,
    replace: bool = False,
    replicas: Sequence[str] = (),
    journal: Path | None = None,
) -> Plan:
    """Compare what is declared with what is there; nothing is changed.

    `replicas` are addresses of all its streaming replicas, whose scans count too. Raises ConnectError and VersionError.
    """
    async with reader(database_url) as connection:
        book = await open_journal(journal, connection)
        steps, shown = [], []
        here, left = await on_tables_that_are_there(connection, declared)
        for index in here:
            try:
                step = await plan_index(connection, index, replace=replace, journal=book)
            except IndexesError as error:
                shown.append(PlannedStep(index.name, index.definition.table, "", index.statement, None, str(error)))
            else:
                steps.append(step)
                shown.append(await _shown(connection, step))
        observed = await indexes_on(connection, {step.table.oid for step in steps})
        counted = await usage(connection, replicas)
        return Plan(
            digest=digest(steps, observed),
            steps=shown,
            indexes=index_states(observed, {step.declared.name: step.shape for step in steps}, counted),
            usage=counted,
            blocked_by=await open_transactions(connection),
            free_bytes=await free_bytes(connection),
            left=[f"{index.path}:{index.line}: {index.name}, on a table that this file makes" for index in left],
        )


async def on_tables_that_are_there(
    connection: Connection, declared: Sequence[Declared]
) -> tuple[list[Declared], list[Declared]]:
    """Those to be planned, and those on tables that their own file makes and that the database does not have."""
    left = [index for index in declared if index.on_new_table and not await has_table(connection, index.definition)]
    return [index for index in declared if index not in left], left


def digest(steps: Iterable[Step], observed: Iterable[Observed]) -> str:
    """A short name of a plan: equal while its steps, and all indexes of the tables they touch, are the same."""
    parts = [(step.declared.name, step.action, step.shape) for step in steps]
    there = [(index.schema, index.name, index.definition, index.valid) for index in observed]
    return hashlib.sha256(msgspec.json.encode([parts, there])).hexdigest()[:12]


async def plan_index(
    connection: Connection, declared: Declared, *, replace: bool, journal: Journal | None = None
) -> Step:
    """The step for one index.

    Raises DeclarationError when Postgres would refuse it, BuildError when somebody builds it at this moment, and
    DifferentIndexError when a valid index of that name is another one, unless `replace` allows to drop it. An index
    that is not on the declared table, that a constraint needs or that has partitions is never replaced.
    """
    if declared.verb is not Verb.CREATE:
        return await _plan_change(connection, declared)
    table = await find_table(connection, declared.definition)
    shape = await declared_shape(connection, declared.name, declared.statement, table)
    observed = await observed_index(connection, table.schema, declared.name)
    if observed is None:
        action = Action.BUILD
    elif observed.table != table.name or observed.backs_constraint:
        raise DifferentIndexError(declared.name, declared.statement, observed.definition)
    elif observed.builder_pid is not None:
        raise BuildError(declared.name, f"backend {observed.builder_pid} is building an index of that name now")
    elif observed.shape == shape and observed.valid:
        ours = journal is not None and journal.began(table.schema, declared.name, shape) and not observed.comment
        action = Action.MARK if ours else Action.KEEP
    elif not observed.valid and (not table.partitioned or observed.shape == shape):
        action = Action.REPAIR
    elif (replace or declared.replaces) and not table.partitioned:
        action = Action.REPLACE
    else:
        raise DifferentIndexError(declared.name, declared.statement, observed.definition)
    return Step(declared=declared, table=table, shape=shape, observed=observed, action=action)


async def _plan_change(connection: Connection, declared: Declared) -> Step:
    """The step for a DROP INDEX or REINDEX of the file."""
    observed = await find_index(connection, declared.definition)
    if observed is None:
        if declared.verb is Verb.REINDEX:
            raise DeclarationError(declared.name, "there is no index of that name to be built again.")
        return Step(declared, Table(declared.definition.schema, "", 0), declared.definition, None, Action.KEEP)
    table = await find_table(connection, observed.placed)
    if table.partitioned:
        reason = f"{table.name} is partitioned, and Postgres has no concurrent form there; leave it to the migration."
        raise DeclarationError(declared.name, reason)
    if declared.verb is Verb.DROP and observed.backs_constraint:
        raise DeclarationError(declared.name, "a constraint needs it; drop the constraint in a migration instead.")
    return Step(declared, table, observed.shape, observed, Action(declared.verb))


async def _shown(connection: Connection, step: Step) -> PlannedStep:
    declared, cost = step.declared, None
    if step.builds:
        try:
            cost = await estimate(connection, step.table, declared.definition)
        except asyncpg.PostgresError as error:
            raise DeclarationError(declared.name, f"its size cannot be estimated: {error}") from error
    return PlannedStep(declared.name, step.table.shown, step.action, declared.statement, cost)
