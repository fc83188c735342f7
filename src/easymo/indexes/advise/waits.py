"""What a buffer costs when it is not in memory: how often, and what a read takes, as the server has observed."""

from collections.abc import Sequence

from easymo.indexes.advise import judgement
from easymo.indexes.observed import Connection
from easymo.indexes.state import COUNTED_SINCE
from easymo.indexes.tables import CopiedTable

_BUFFERS = """
select sum(coalesce(heap_blks_read, 0) + coalesce(idx_blks_read, 0))::float8 as missed,
  sum(coalesce(heap_blks_hit, 0) + coalesce(idx_blks_hit, 0))::float8 as hit
from pg_statio_all_tables where relid = $1 or relid in (select relid from pg_partition_tree($1))
"""
# Without track_io_timing nobody has measured a read.
_READ = "select blk_read_time / nullif(blks_read, 0) from pg_stat_database where datname = current_database()"


async def read_waits(connection: Connection, tables: Sequence[CopiedTable]) -> dict[str, float]:
    """Mean ms that a buffer of each table takes besides its memory; 0 where the counters are too young to tell."""
    seconds = await connection.fetchval(f"select extract(epoch from now() - ({COUNTED_SINCE}))::float8")
    if seconds < judgement.LEAST_COUNTED_S:
        return {}
    read_ms = await connection.fetchval(_READ) or judgement.READ_MS
    found = {}
    for table in tables:
        row = await connection.fetchrow(_BUFFERS, table.oid)
        if row and row["missed"]:
            found[table.place] = read_ms * row["missed"] / (row["missed"] + row["hit"])
    return found
