"""What the planner of a server knows of its tables, taken over by a copy: it then plans as the server would."""

from collections.abc import Sequence

import asyncpg

from easymo.indexes.observed import Connection, quote
from easymo.indexes.tables import CopiedTable

_TAKES_STATISTICS_SINCE = 18

# Of a partitioned table those with its partitions' rows, since the copy has no partitions.
_COLUMNS = """
select attname, null_frac, avg_width, n_distinct, most_common_vals::text as common,
  most_common_freqs as frequencies, histogram_bounds::text as bounds, correlation, most_common_elems::text as elements,
  most_common_elem_freqs as element_frequencies, elem_count_histogram as counts
from pg_stats where schemaname = $1 and tablename = $2 and inherited = $3 order by attname
"""
_TAKE_COLUMN = """
select pg_restore_attribute_stats('schemaname', $1::text, 'relname', $2::text, 'inherited', false,
  'attname', $3::text, 'null_frac', $4::real, 'avg_width', $5::int, 'n_distinct', $6::real,
  'most_common_vals', $7::text, 'most_common_freqs', $8::real[], 'histogram_bounds', $9::text,
  'correlation', $10::real, 'most_common_elems', $11::text, 'most_common_elem_freqs', $12::real[],
  'elem_count_histogram', $13::real[])
"""
_RELATION = """
select sum(relpages)::float8 as pages, sum(relallvisible)::float8 as visible, sum(reltuples)::float8 as rows
from pg_class where oid in (select coalesce(relid, $1::oid) from pg_partition_tree($1::oid) where isleaf
  union select $1::oid where not exists (select from pg_partition_tree($1::oid))) and reltuples >= 0
"""
# Pages are the copy's own: it has no bloat, and the planner takes rows for a density. What is visible to all decides
# the cost of an index-only scan, so that its share is taken over.
_TAKE_RELATION = """
select pg_restore_relation_stats('schemaname', $1::text, 'relname', $2::text, 'relpages', c.relpages,
  'reltuples', greatest(1, $3::float8 * $4::float8)::real, 'relallvisible', (c.relpages * $5::float8)::int)
from pg_class c where c.oid = to_regclass($6::text)
"""


def takes_statistics(target: Connection) -> bool:
    """Whether this server can be given statistics: PostgreSQL 18 can."""
    return bool(target.get_server_version().major >= _TAKES_STATISTICS_SINCE)


async def analyze_as(
    source: Connection, target: Connection, tables: Sequence[CopiedTable], ratio: float = 1.0
) -> list[str]:
    """Analyze copies of `ratio` of the rows, then give them what the source knows of its tables.

    Expressions of indexes are always counted on the copy; so is everything before PostgreSQL 18, which cannot be given
    statistics. Returns what could not be taken over, in words.
    """
    for table in tables:
        await target.execute(f"analyze {table.qualified}")
    if not takes_statistics(target):
        return []
    return [problem for table in tables for problem in await _take(source, target, table, ratio)]


async def _take(source: Connection, target: Connection, table: CopiedTable, ratio: float) -> list[str]:
    problems = []
    for row in await source.fetch(_COLUMNS, table.schema, table.name, table.partitioned):
        try:
            await target.execute(_TAKE_COLUMN, table.schema, table.name, *row.values())
        except asyncpg.PostgresError as error:
            problems.append(f"statistics of {table.place}.{quote(row['attname'])} ({error})")
    oid = await source.fetchval("select to_regclass($1)::oid", table.qualified)
    known = await source.fetchrow(_RELATION, oid)
    if known and known["pages"]:
        visible = min(1.0, known["visible"] / known["pages"])
        await target.execute(_TAKE_RELATION, table.schema, table.name, ratio, known["rows"], visible, table.qualified)
    return problems
