"""What the treatments cost those who write: log, updates that need new index entries, latency, bytes of indexes."""

import contextlib
from collections.abc import Mapping, Sequence

import asyncpg
from msgspec import Struct

from easymo.load.distribution import add
from easymo.proof.system.arms import BASELINE
from easymo.proof.verdict import estimates
from easymo.proof.verdict.file import ArmWrites, TableUpdates
from easymo.proof.verdict.measurement import Measurements, Round
from easymo.proof.verdict.metrics import metric

_PERCENTILES = ("p50", "p95")


class UpdateCounters(Struct, frozen=True):
    """Counters of a database at one moment: per table ``(rows updated, of them HOT)``, and the bytes of all indexes."""

    updates: dict[str, tuple[int, int]]
    index_bytes: int


async def checkpoint(database_url: str) -> None:
    """A checkpoint before the sides are warmed.

    The first change of a page after a checkpoint writes the whole page to the log. Without this the side whose pages
    were touched last before the comparison would seem to write less. A login without the right to it goes without.
    """
    connection = await asyncpg.connect(database_url)
    try:
        with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
            await connection.execute("checkpoint")
    finally:
        await connection.close()


async def read_counters(url: str) -> UpdateCounters:
    """Read the counters of the database at ``url``. Postgres adds a session's updates within a second or so."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT relid::regclass::text AS name, n_tup_upd AS updated, n_tup_hot_upd AS hot,"
            " pg_indexes_size(relid) AS bytes FROM pg_stat_user_tables ORDER BY 1"
        )
    finally:
        await connection.close()
    return UpdateCounters(
        {row["name"]: (row["updated"], row["hot"]) for row in rows}, sum(row["bytes"] for row in rows)
    )


def write_cost(
    measured: Measurements, counters: Mapping[str, tuple[UpdateCounters, UpdateCounters]], requests: Sequence[str]
) -> dict[str, ArmWrites]:
    """Per arm what writing cost in its comparison rounds.

    ``counters`` are those of each arm before and after these rounds, ``requests`` the names of the writing requests.
    """
    return {
        arm: ArmWrites(
            wal_bytes_per_write=_wal_bytes_per_write(rounds := measured.of(arm, "compare")),
            db_writes=sum(r.resources.db_writes or 0 for r in rounds),
            index_bytes=after.index_bytes,
            updates=_updates(before, after),
            latency_ms={name: latency for name in requests if (latency := _latency_ms(rounds, name))},
            change={name: found for name in requests if (found := _changes(measured, arm, name))},
        )
        for arm, (before, after) in counters.items()
    }


def _wal_bytes_per_write(rounds: Sequence[Round]) -> float | None:
    counted = [r.resources for r in rounds if r.resources.wal_bytes is not None and r.resources.db_writes]
    writes = sum(resources.db_writes or 0 for resources in counted)
    return sum(resources.wal_bytes or 0 for resources in counted) / writes if writes else None


def _updates(before: UpdateCounters, after: UpdateCounters) -> dict[str, TableUpdates]:
    found = {}
    for table, (updated, hot) in after.updates.items():
        earlier, earlier_hot = before.updates.get(table, (0, 0))
        if rows := updated - earlier:
            found[table] = TableUpdates(rows, (hot - earlier_hot) / rows)
    return found


def _latency_ms(rounds: Sequence[Round], request: str) -> dict[str, float]:
    total = add(r.load.per_request[request].latency_ms for r in rounds if request in r.load.per_request)
    return {} if total is None else {name: getattr(total, name) for name in _PERCENTILES}


def _changes(measured: Measurements, arm: str, request: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for name in _PERCENTILES if arm != BASELINE else ():
        change = estimates.change_between(measured, BASELINE, arm, metric(f"latency_{name}:{request}"))
        if change is not None:
            found[name] = change
    return found
