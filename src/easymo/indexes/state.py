"""The indexes that are there, and what each is worth: scans on the server and its replicas, size, who covers whom."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations

import asyncpg
import msgspec

from easymo.indexes.definitions import Definition
from easymo.indexes.errors import ConnectError
from easymo.indexes.observed import Connection, Observed
from easymo.indexes.session import reader

# pg_stat_user_indexes calls its columns relname and indexrelname.
_SCANS = "select schemaname, indexrelname, idx_scan, {last} as last_scan from pg_stat_user_indexes"
# From 15 on a database has a time of its own only once somebody has reset it; until then it counts since the server
# does, which forgets its counters in a crash, not in a restart.
COUNTED_SINCE = """
select coalesce(d.stats_reset, least(a.stats_reset, w.stats_reset))
from pg_stat_database d, pg_stat_archiver a, pg_stat_bgwriter w where d.datname = current_database()
"""
# One that catches up is a replica, too; and who may not see the state must not take it for none.
_STANDBYS = "select count(*) from pg_stat_replication where state is distinct from 'backup'"
_LAST_SCAN_SINCE = 16
LEAST_DAYS = 7.0  # of counted use: a weekly report must have run once before its index is called unused


class Usage(msgspec.Struct, frozen=True):
    """Scans of every index on all servers asked, since `since`.

    `unknown_because` is empty when a scan count of 0 means that nobody uses the index; `last_scan_unknown_because` is
    empty when Postgres keeps the time of the last one.
    """

    scans: dict[str, int]
    last_scan: dict[str, datetime]
    since: datetime
    unknown_because: str
    last_scan_unknown_because: str

    def unused_unknown_because(self, least_days: float) -> str:
        """Why no index can be called unused; empty when one can."""
        days = (datetime.now(UTC) - self.since) / timedelta(days=1)
        if self.unknown_because or days >= least_days:
            return self.unknown_because
        return (
            f"use has been counted for {days:.1f} days, since a reset, a restore or a failover, and {least_days:g} are "
            "needed (--least-days)"
        )


class IndexState(msgspec.Struct, frozen=True):
    """An index of a table that the plan touches.

    `remark` is `declared`, `different from the declared one`, `invalid`, `duplicate of …`, `covered by …`, `unused`, or
    empty.
    """

    index: str
    table: str
    definition: str
    size_bytes: int
    scans: int
    last_scan: datetime | None
    remark: str


async def usage(connection: Connection, replicas: Sequence[str]) -> Usage:
    """Count scans here and on the replicas. A replica that cannot be asked makes `unknown_because`, no error."""
    scans, last_scan = await _counts(connection)
    standbys = await connection.fetchval(_STANDBYS)
    unknown = ""
    if standbys > len(replicas):
        unknown = (
            f"{standbys} replicas stream from this server and {len(replicas)} were named: reads there are not seen"
        )
    for url in replicas:
        try:
            async with reader(url) as replica:
                if not await replica.fetchval("select pg_is_in_recovery()"):
                    unknown = "an address given as a replica's is not one"
                    continue
                more, later = await _counts(replica)
        except (ConnectError, asyncpg.PostgresError) as error:
            unknown = f"a replica could not be asked: {error}"
            continue
        scans = {name: count + more.get(name, 0) for name, count in scans.items()}
        last_scan |= {name: max(at, last_scan.get(name, at)) for name, at in later.items()}
    version = connection.get_server_version().major
    return Usage(
        scans=scans,
        last_scan=last_scan,
        since=await connection.fetchval(COUNTED_SINCE),
        unknown_because=unknown,
        last_scan_unknown_because=""
        if version >= _LAST_SCAN_SINCE
        else f"PostgreSQL {version} does not keep it, {_LAST_SCAN_SINCE} does",
    )


def index_states(
    observed: Iterable[Observed], declared: Mapping[str, Definition], counted: Usage, least_days: float | None = None
) -> list[IndexState]:
    """What is there, each with the one remark that matters most.

    Nothing is unused before its use was counted for `least_days`, 7 by default.
    """
    least_days = LEAST_DAYS if least_days is None else least_days
    indexes = list(observed)
    covered = _covered(indexes)
    return [
        IndexState(
            index=index.name,
            table=index.table,
            definition=index.definition,
            size_bytes=index.size_bytes,
            scans=counted.scans.get(f"{index.schema}.{index.name}", 0),
            last_scan=counted.last_scan.get(f"{index.schema}.{index.name}"),
            remark=_remark(index, declared, covered, counted, least_days),
        )
        for index in indexes
    ]


def _remark(
    index: Observed, declared: Mapping[str, Definition], covered: Mapping[str, str], counted: Usage, least_days: float
) -> str:
    if not index.valid:
        return "invalid"
    if index.name in declared and declared[index.name] != index.shape:
        return "different from the declared one"
    if index.name in covered:
        return covered[index.name]
    if index.name in declared:
        return "declared"
    known = not counted.unused_unknown_because(least_days)
    unread = known and not counted.scans.get(f"{index.schema}.{index.name}")
    return "unused" if unread and not index.is_needed else ""


def _covered(indexes: Sequence[Observed]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one, other in permutations(indexes, 2):
        if (one.schema, one.table) != (other.schema, other.table) or one.is_needed_itself or not other.valid:
            continue
        if other.shape.covers(one.shape):
            found[one.name] = f"covered by {other.name}"
        elif _equal(one.shape, other.shape) and (other.shape.unique, -other.oid) > (one.shape.unique, -one.oid):
            found[one.name] = f"duplicate of {other.name}"
    return found


def _equal(one: Definition, other: Definition) -> bool:
    """Whether both find the same rows in the same order, unique or not."""
    return msgspec.structs.replace(one, unique=False) == msgspec.structs.replace(other, unique=False)


async def _counts(connection: Connection) -> tuple[dict[str, int], dict[str, datetime]]:
    has_last = connection.get_server_version().major >= _LAST_SCAN_SINCE
    rows = await connection.fetch(_SCANS.format(last="last_idx_scan" if has_last else "null::timestamptz"))
    names = [f"{row['schemaname']}.{row['indexrelname']}" for row in rows]
    scans = {name: row["idx_scan"] or 0 for name, row in zip(names, rows, strict=True)}
    return scans, {name: row["last_scan"] for name, row in zip(names, rows, strict=True) if row["last_scan"]}
