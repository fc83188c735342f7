"""An index of a partitioned table: on the parent alone, concurrently on each partition, then attached.

Every step looks at what is there, so that a second run goes on where one was broken off. The parent's index becomes
valid by itself when the last partition's is attached.
"""

import hashlib

import msgspec

from easymo.indexes.definitions import MAX_NAME_BYTES, Definition, statement_on
from easymo.indexes.marks import is_marked, mark
from easymo.indexes.observed import Connection, Observed, Table, indexes_on, observed_index, quote
from easymo.indexes.plan import Step
from easymo.indexes.session import drop

_PARTITIONS = """
select c.oid, n.nspname as schema, c.relname as name, c.relkind = 'p' as partitioned
from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace
where i.inhparent = $1 order by c.relname
"""
_ATTACHED = """
select c.relname from pg_inherits i join pg_index x on x.indexrelid = i.inhrelid join pg_class c on c.oid = i.inhrelid
where i.inhparent = $1 and x.indrelid = $2
"""
_IS_PART = "select exists (select from pg_inherits where inhrelid = $1)"
_LEAVES = """
select n.nspname as schema, c.relname as name
from pg_partition_tree($1::oid::regclass) t
  join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
where t.isleaf
"""


class _Place(msgspec.Struct, frozen=True):
    oid: int
    schema: str
    name: str


async def build_partitioned(connection: Connection, step: Step) -> None:
    """One attempt to build and attach all that is missing of a step's index."""
    table = step.table
    await _parent(connection, step, _Place(table.oid, table.schema, table.name), step.declared.name)


async def drop_partitioned(connection: Connection, table: Table, index: str, shape: Definition) -> None:
    """Drop the marked parent, its attached partitions with it, and what was built but not attached yet."""
    observed = await observed_index(connection, table.schema, index)
    if observed and is_marked(observed):
        # Postgres has no concurrent form of this: a short lock on all partitions, given up after lock_timeout.
        await connection.execute(f"drop index {quote(observed.schema)}.{quote(observed.name)}")
    await _drop_unattached(connection, table.oid, index, shape)


async def adopted(connection: Connection, parent: Observed) -> str:
    """The statements of what was attached to an index of ours and is not ours: it goes with it, and must come back."""
    leaves = [await observed_index(connection, *row) for row in await connection.fetch(_LEAVES, parent.oid)]
    return ";\n".join(leaf.definition for leaf in leaves if leaf and leaf.oid != parent.oid and not is_marked(leaf))


def partition_index_name(index: str, partition: str) -> str:
    """The name of a partition's part of an index: both names, cut and told apart by a hash where they are too long."""
    name = f"{index}_{partition}"
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    tail = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: MAX_NAME_BYTES - 9].decode(errors='ignore')}_{tail}"


async def _parent(connection: Connection, step: Step, place: _Place, name: str) -> Observed:
    observed = await observed_index(connection, place.schema, name)
    if observed is None:
        statement = statement_on(step.declared.statement, place.schema, place.name, name, only=True, place=True)
        async with connection.transaction():  # so that there is no moment at which it is ours and not marked
            await connection.execute(statement)
            await mark(connection, place.schema, name, step.declared.path.name, comment=step.declared.comment)
        observed = await observed_index(connection, place.schema, name)
        assert observed is not None
    for row in await connection.fetch(_PARTITIONS, place.oid):
        part = _Place(row["oid"], row["schema"], row["name"])
        attached = await connection.fetchval(_ATTACHED, observed.oid, part.oid)
        part_name = attached or partition_index_name(step.declared.name, part.name)
        if row["partitioned"]:
            part_name = (await _parent(connection, step, part, part_name)).name
        elif not attached:
            part_name = (await _leaf(connection, step, part, part_name)).name
        if not attached:
            await connection.execute(
                f"alter index {quote(place.schema)}.{quote(name)} attach partition "
                f"{quote(part.schema)}.{quote(part_name)}"
            )
    return observed


async def _leaf(connection: Connection, step: Step, place: _Place, name: str) -> Observed:
    for equal in await indexes_on(connection, {place.oid}):
        usable = equal.valid and equal.shape == step.shape and not equal.backs_constraint and equal.name != name
        if usable and not await connection.fetchval(_IS_PART, equal.oid):
            return equal  # attached as it is: no second one is built
    observed = await observed_index(connection, place.schema, name)
    if observed and not observed.valid:
        await drop(connection, place.schema, name)
        observed = None
    if observed is None:
        await connection.execute(
            statement_on(step.declared.statement, place.schema, place.name, name, concurrent=True, place=True)
        )
        observed = await observed_index(connection, place.schema, name)
        assert observed is not None
    if not is_marked(observed):
        await mark(connection, place.schema, name, step.declared.path.name)
    return observed


async def _drop_unattached(connection: Connection, parent: int, index: str, shape: Definition) -> None:
    for row in await connection.fetch(_PARTITIONS, parent):
        name = partition_index_name(index, row["name"])
        observed = await observed_index(connection, row["schema"], name)
        if row["partitioned"]:
            if observed and is_marked(observed):
                await connection.execute(f"drop index {quote(row['schema'])}.{quote(name)}")
            await _drop_unattached(connection, row["oid"], index, shape)
        elif observed and observed.table == row["name"] and (is_marked(observed) or observed.shape == shape):
            await drop(connection, row["schema"], name)
