"""What has to be done so that a declared index is there: read from the database, nothing is changed."""

from enum import StrEnum

import msgspec

from easymo.indexes.declared import Declared
from easymo.indexes.errors import BuildError, DeclarationError, DifferentIndexError
from easymo.indexes.observed import Connection, Observed, Table, declared_shape, find_table, observed_index


class Action(StrEnum):
    """What a step does: nothing, a first build, a rebuild of an invalid leftover, a rebuild of a different index."""

    KEEP = "keep"
    BUILD = "build"
    REPAIR = "repair"
    REPLACE = "replace"


class Step(msgspec.Struct, frozen=True):
    """One declared index, where it goes, what is there now and what follows from it."""

    declared: Declared
    table: Table
    observed: Observed | None
    action: Action


async def plan_index(connection: Connection, declared: Declared, *, replace: bool) -> Step:
    """The step for one index.

    Raises DeclarationError when Postgres would refuse it, BuildError when somebody builds it at this moment, and
    DifferentIndexError when a valid index of that name is another one, unless `replace` allows to drop it. An index
    that is not on the declared table, or that a constraint needs, is never replaced.
    """
    table = await find_table(connection, declared.definition)
    if table.partitioned:
        raise DeclarationError(
            declared.name, f"{table.name} is partitioned, and Postgres builds no index on a parent concurrently."
        )
    shape = await declared_shape(connection, declared.name, declared.statement, table)
    observed = await observed_index(connection, table.schema, declared.name)
    if observed is None:
        action = Action.BUILD
    elif observed.table != table.name or observed.backs_constraint:
        raise DifferentIndexError(declared.name, declared.statement, observed.definition)
    elif observed.builder_pid is not None:
        raise BuildError(declared.name, f"backend {observed.builder_pid} is building an index of that name now")
    elif not observed.valid:
        action = Action.REPAIR
    elif observed.shape == shape:
        action = Action.KEEP
    elif replace:
        action = Action.REPLACE
    else:
        raise DifferentIndexError(declared.name, declared.statement, observed.definition)
    return Step(declared=declared, table=table, observed=observed, action=action)
