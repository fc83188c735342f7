"""The indexes that a database has, as its catalogue tells."""

import re
from collections.abc import Iterable
from typing import TypeAlias

import asyncpg
import msgspec

from easymo.indexes.definitions import Definition, parse_definition, statement_on
from easymo.indexes.errors import DeclarationError
from easymo.indexes.parser import enum_name, tokens

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_INDEX = """
select
  c.oid,
  n.nspname as schema,
  c.relname as name,
  t.relname as "table",
  pg_get_indexdef(c.oid) as definition,
  i.indisvalid as valid,
  case c.relkind when 'I' then (select coalesce(sum(pg_relation_size(relid)), 0)::bigint from pg_partition_tree(c.oid))
    else pg_relation_size(c.oid) end as size_bytes,
  coalesce(obj_description(c.oid, 'pg_class'), '') as comment,
  exists (select from pg_constraint where conindid = c.oid) as backs_constraint,
  i.indisreplident as is_identity,
  exists (select from pg_constraint k where k.contype = 'f' and k.conrelid = i.indrelid
    and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey) as serves_foreign_key,
  (select pid from pg_stat_progress_create_index where index_relid = c.oid) as builder_pid
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_class t on t.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
"""
_TABLE = """
select n.nspname as schema, c.relname as name, c.relkind::text as kind, c.oid,
  coalesce(pg_get_partkeydef(c.oid), '') as partition_key
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = to_regclass($1)
"""
_PARTITIONED, _TEMPORARY_SCHEMA, _COPY = "p", "pg_temp", "easymo_declared"
_INDEXABLE = {"r", "m", _PARTITIONED}
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


class Observed(msgspec.Struct, frozen=True):
    """One index of a database.

    What a broken-off build leaves is not `valid`: it costs writes and serves no read. So is an index that the backend
    `builder_pid` is building at this moment.
    """

    oid: int
    schema: str
    name: str
    table: str
    definition: str
    valid: bool
    size_bytes: int
    comment: str
    backs_constraint: bool
    is_identity: bool
    serves_foreign_key: bool
    builder_pid: int | None

    @property
    def is_needed_itself(self) -> bool:
        """Whether a constraint or the replica identity is this very index: no other can take its place."""
        return self.backs_constraint or self.is_identity

    @property
    def is_needed(self) -> bool:
        """Whether it does something that no count of scans shows: it is unique, or serves a DELETE of the parents."""
        return self.is_needed_itself or self.shape.unique or self.serves_foreign_key

    @property
    def shape(self) -> Definition:
        """What the index is, without its name and place."""
        return self.placed.shape

    @property
    def placed(self) -> Definition:
        """What the index is, with its name and table."""
        return parse_definition(self.definition)


class Table(msgspec.Struct, frozen=True):
    """Where a declared index goes, with the schema that the search path gives."""

    schema: str
    name: str
    oid: int
    partition_key: str = ""

    @property
    def partitioned(self) -> bool:
        return bool(self.partition_key)

    @property
    def shown(self) -> str:
        """The name for people, with its schema where that is not public."""
        return f"{self.schema}.{self.name}" if self.schema not in ("", "public") else self.name


async def observed_index(connection: Connection, schema: str, name: str) -> Observed | None:
    """The index of that name, or None."""
    rows = await connection.fetch(f"{_INDEX} where n.nspname = $1 and c.relname = $2", schema, name)
    return Observed(**rows[0]) if rows else None


async def find_index(connection: Connection, definition: Definition) -> Observed | None:
    """The index of that name, in its schema or on the search path."""
    name = ".".join(quote(part) for part in (definition.schema, definition.name) if part)
    rows = await connection.fetch(f"{_INDEX} where c.oid = to_regclass($1)", name)
    return Observed(**rows[0]) if rows else None


async def indexes_on(connection: Connection, tables: Iterable[int]) -> list[Observed]:
    """Every index of the tables with these oids, by name."""
    rows = await connection.fetch(f"{_INDEX} where t.oid = any ($1::oid[]) order by n.nspname, c.relname", [*tables])
    return [Observed(**row) for row in rows]


async def has_table(connection: Connection, definition: Definition) -> bool:
    """Whether the table of a declared index is there."""
    try:
        await find_table(connection, definition)
    except DeclarationError:
        return False
    return True


async def find_table(connection: Connection, definition: Definition) -> Table:
    """The table of a declared index. Raises DeclarationError when there is none that could have an index."""
    name = ".".join(quote(part) for part in (definition.schema, definition.table) if part)
    row = await connection.fetchrow(_TABLE, name)
    if row is None or row["kind"] not in _INDEXABLE:
        raise DeclarationError(
            definition.name, f"the database has no table {name}; run the migrations before it first."
        )
    return Table(row["schema"], row["name"], row["oid"], row["partition_key"])


async def declared_shape(connection: Connection, name: str, statement: str, table: Table) -> Definition:
    """What Postgres makes of a declaration, comparable with `Observed.shape`.

    It is tried out on an empty temporary copy of the table in a transaction that is rolled back. Raises
    DeclarationError with what Postgres says when it refuses the index.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        by = f" partition by {table.partition_key}" if table.partitioned else ""
        await connection.execute(f"create temp table {_COPY} (like {quote(table.schema)}.{quote(table.name)}){by}")
        await connection.execute(statement_on(statement, _TEMPORARY_SCHEMA, _COPY, name))
        text = await connection.fetchval(
            f"select pg_get_indexdef(indexrelid) from pg_index where indrelid = '{_TEMPORARY_SCHEMA}.{_COPY}'::regclass"
        )
    except asyncpg.LockNotAvailableError:
        raise
    except asyncpg.PostgresError as error:
        raise DeclarationError(name, f"Postgres says: {error}.") from error
    finally:
        await transaction.rollback()
    return parse_definition(text).shape


def quoted(identifier: str) -> str:
    """An identifier as people write it: in quotes only where it needs them."""
    if _PLAIN.fullmatch(identifier):
        kind = enum_name(tokens(identifier)[0], "keyword_kind")
        if kind in ("NO_KEYWORD", "UNRESERVED_KEYWORD"):
            return identifier
    return quote(identifier)


def quote(identifier: str) -> str:
    """An identifier as it may stand in a statement."""
    return '"' + identifier.replace('"', '""') + '"'
