"""The tables that statements name, as far as there are such."""

from collections.abc import Iterable

import msgspec

from easymo.indexes.observed import Connection, quote

_TABLE = """
select c.oid, n.nspname as schema, c.relname as name, coalesce(
    (select sum(pg_relation_size(relid)) from pg_partition_tree(c.oid)), pg_relation_size(c.oid))::bigint as bytes
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'm')
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""


class CopiedTable(msgspec.Struct, frozen=True):
    """A table of the source. `bytes` is the size of its rows there."""

    oid: int
    schema: str
    name: str
    bytes: int

    @property
    def qualified(self) -> str:
        return f"{quote(self.schema)}.{quote(self.name)}"


async def find_tables(source: Connection, names: Iterable[str]) -> list[CopiedTable]:
    """The tables of these names that there are (a WITH query has a name, too)."""
    rows = [await source.fetchrow(_TABLE, quote(name)) for name in sorted(set(names))]
    return [CopiedTable(row["oid"], row["schema"], row["name"], row["bytes"]) for row in rows if row]
