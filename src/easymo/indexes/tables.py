"""The tables of a database that statements can read, by qualified name."""

from collections.abc import Iterable

import msgspec

from easymo.indexes.observed import Connection, quote, quoted

_TABLES = """
select c.oid, n.nspname as schema, c.relname as name, c.relrowsecurity as row_security,
  c.relkind = 'p' as partitioned, coalesce(
    (select sum(pg_relation_size(relid)) from pg_partition_tree(c.oid)), pg_relation_size(c.oid))::bigint as bytes,
  array(select inhparent::int8 from pg_inherits where inhrelid = c.oid and not c.relispartition) as parents
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm') and not c.relispartition and c.relpersistence <> 't'
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by c.oid
"""
_ROOTS = """
select n.nspname as schema, c.relname as name, rn.nspname as root_schema, r.relname as root
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_class r on r.oid = pg_partition_root(c.oid)
  join pg_namespace rn on rn.oid = r.relnamespace where c.relispartition
"""
_TYPES = """
select n.nspname as schema, c.relname as name, a.attname as column,
  format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), null) as type
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
  join pg_type t on t.oid = a.atttypid
where c.relkind in ('r', 'p', 'm') and a.attnum > 0 and not a.attisdropped
  and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""


class CopiedTable(msgspec.Struct, frozen=True):
    """A table of the source. `bytes` is the size of its rows there, `parents` are oids of those it inherits from."""

    oid: int
    schema: str
    name: str
    bytes: int
    row_security: bool = False
    partitioned: bool = False
    parents: list[int] = []

    @property
    def qualified(self) -> str:
        """Schema and name, both in quotes."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def place(self) -> str:
        """Schema and name as people write them, by which candidates and plans name the table."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


class Tables(msgspec.Struct, frozen=True):
    """All tables of a database by place; `roots` are the tables of partitions, `types` those of columns."""

    by_place: dict[str, CopiedTable]
    roots: dict[str, str]
    types: dict[tuple[str, str], str]

    def with_parents(self, places: Iterable[str]) -> list[CopiedTable]:
        """These tables as far as they are known, and those that they inherit from, parents first."""
        by_oid = {table.oid: table for table in self.by_place.values()}
        todo, found = [self.by_place[place] for place in places if place in self.by_place], set[int]()
        while todo:
            table = todo.pop()
            found.add(table.oid)
            todo += [by_oid[oid] for oid in table.parents if oid in by_oid and oid not in found]
        return [table for table in self.by_place.values() if table.oid in found]


async def read_tables(source: Connection) -> Tables:
    """Look at the catalogue. A partition is a part of its table and not one of its own."""
    types = await source.fetch(_TYPES)
    return Tables(
        {table.place: table for row in await source.fetch(_TABLES) for table in [CopiedTable(**row)]},
        {
            f"{quoted(r['schema'])}.{quoted(r['name'])}": f"{quoted(r['root_schema'])}.{quoted(r['root'])}"
            for r in await source.fetch(_ROOTS)
        },
        {(f"{quoted(r['schema'])}.{quoted(r['name'])}", r["column"]): r["type"] for r in types},
    )


async def find_tables(source: Connection, names: Iterable[str]) -> list[CopiedTable]:
    """The tables of these names, as the search path or a schema before them says, that there are."""
    known = await read_tables(source)
    oids = {await source.fetchval("select to_regclass($1)::oid", name) for name in names}
    return [table for table in known.by_place.values() if table.oid in oids]
