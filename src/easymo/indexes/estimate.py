"""How large an index will be, how long it will take and whether the disk has room: estimates before a build."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec

from easymo.indexes.definitions import Definition
from easymo.indexes.errors import DiskError
from easymo.indexes.observed import Connection, Table, quote

# Of a B-tree page that a build fills to 90 %: the tuple's header and line pointer, and a row of a posting list.
_FILL, _TUPLE_BYTES, _POSTED_BYTES, _UNKNOWN_WIDTH = 0.9, 12, 6, 16
# Order of magnitude on two cores with data in memory: 14 indexes of 300 MB in 11 s. Disks and load make it longer.
_INDEX_BYTES_PER_S, _HEAP_BYTES_PER_S = 40e6, 400e6
_SCANS = 2  # a concurrent build reads the table twice

_IS_HERE = "select inet_server_addr() is null or inet_server_addr() = inet_client_addr()"
_COLUMNS = """
select attname, max(avg_width) as width, max(n_distinct) as distinct_values
from pg_stats where schemaname = $1 and tablename = $2 group by attname
"""


class Estimate(msgspec.Struct, frozen=True):
    """What a build is expected to cost."""

    size_bytes: int
    seconds: float


async def estimate(connection: Connection, table: Table, definition: Definition) -> Estimate:
    """Size and time for an index, from the statistics of its table; rough where that was never analysed."""
    name = f"{quote(table.schema)}.{quote(table.name)}"
    rows = await _rows(connection, name, definition.predicate)
    columns = {row["attname"]: row for row in await connection.fetch(_COLUMNS, table.schema, table.name)}
    texts = [*(key.text for key in definition.keys), *definition.include]
    widths = [columns[text.strip('"')]["width"] if text.strip('"') in columns else _UNKNOWN_WIDTH for text in texts]
    size = rows * (_TUPLE_BYTES + -(-sum(widths) // 8) * 8)
    if len(texts) == 1 and definition.method == "btree" and not definition.unique and texts[0] in columns:
        values = columns[texts[0]]["distinct_values"]
        distinct = values if values > 0 else -values * rows
        size = min(size, distinct * (_TUPLE_BYTES + widths[0] + 8) + rows * _POSTED_BYTES)
    size_bytes = int(size / _FILL) + 16384
    heap = await connection.fetchval("select sum(pg_relation_size(relid)) from pg_partition_tree($1::regclass)", name)
    heap = heap or await connection.fetchval("select pg_relation_size($1::regclass)", name)
    return Estimate(size_bytes, round(_SCANS * int(heap) / _HEAP_BYTES_PER_S + size_bytes / _INDEX_BYTES_PER_S, 1))


async def free_bytes(connection: Connection) -> int | None:
    """Free space on the server's data disk; None when that is another machine's, or hidden from us."""
    try:
        if not await connection.fetchval(_IS_HERE):
            return None
        return shutil.disk_usage(Path(await connection.fetchval("select current_setting('data_directory')"))).free
    except (asyncpg.InsufficientPrivilegeError, OSError):
        return None


def check_room(estimates: Sequence[Estimate], free: int | None) -> None:
    """Raise DiskError unless all indexes and the sort of the largest one fit; nothing is known where `free` is None."""
    sizes = [estimate.size_bytes for estimate in estimates]
    needed = sum(sizes) + max(sizes, default=0)
    if free is not None and needed > free:
        raise DiskError(needed, free)


async def _rows(connection: Connection, name: str, predicate: str) -> float:
    where = f" where {predicate}" if predicate else ""
    plan = json.loads(await connection.fetchval(f"explain (format json) select from {name}{where}"))
    return float(plan[0]["Plan"]["Plan Rows"])
