"""`python -m easymo_platform sample-data`: fills an empty, migrated database by binary COPY, all or nothing."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from struct import Struct
from typing import NamedTuple

import asyncpg

from easymo_platform.sample_data.accounts import transactions, users
from easymo_platform.sample_data.calls import voice
from easymo_platform.sample_data.keys import sizes
from easymo_platform.sample_data.messages import dead_letters, messages
from easymo_platform.sample_data.sessions import sessions
from easymo_platform.sample_data.table import Table, people

_SESSIONS_PER_USER = 0.1
_DEAD_LETTERS = 200
_INT64 = Struct("!q")


class SampleDataError(Exception):
    """The sample data cannot be loaded into this database; the message says why and what to do."""


class Loaded(NamedTuple):
    """One table after its COPY; `heap_bytes` is without indexes."""

    table: str
    rows: int
    seconds: float
    heap_bytes: int


def tables(scale: str, seed: int, now: datetime) -> Iterator[Table]:
    """Every table of the sample data, parents before children. The same scale, seed and `now` give the same rows."""
    wanted = sizes(scale)
    everyone = people(wanted.users)
    yield users(wanted.users, everyone, now, Random(f"{seed} users"))
    yield from voice(scale, everyone, now, Random(f"{seed} calls"))
    yield messages(wanted.messages, everyone, now, Random(f"{seed} messages"))
    yield transactions(wanted.transactions, everyone, now, Random(f"{seed} transactions"))
    yield dead_letters(_DEAD_LETTERS, now, Random(f"{seed} dead letters"))
    yield from sessions(int(wanted.users * _SESSIONS_PER_USER), everyone, now, Random(f"{seed} sessions"))


async def load(
    database_url: str,
    scale: str,
    seed: int,
    *,
    now: datetime | None = None,
    report: Callable[[Loaded], None] | None = None,
) -> list[Loaded]:
    """Fill the database and `VACUUM (ANALYZE)` it; `report` is called after each table.

    Everything but the vacuum is one transaction: an interrupted load leaves an empty database. `now` is where the 90
    days end, by default the present. Raises SampleDataError when the tables are missing or hold users already.
    """
    connection = await asyncpg.connect(database_url)
    try:
        await _refuse_unless_empty(connection)
        await _send_raw_values(connection)
        loaded = []
        async with connection.transaction(), _foreign_keys_checked_afterwards(connection):
            for table in tables(scale, seed, now or datetime.now(UTC)):
                loaded.append(await _copy(connection, table))
                if report:
                    report(loaded[-1])
        await connection.execute("vacuum (analyze)")
        return loaded
    finally:
        await connection.close()


async def _refuse_unless_empty(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    try:
        occupied = await connection.fetchval("select exists (select from users)")
    except asyncpg.UndefinedTableError as error:
        raise SampleDataError(
            "The database has no table users: run `python -m easymo_platform migrate` before loading sample data."
        ) from error
    if occupied:
        name = await connection.fetchval("select current_database()")
        raise SampleDataError(
            f"The database {name} already holds users, and sample data would mix with them: name an empty database."
        )


async def _send_raw_values(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Make COPY take uuids as 16 bytes and times as microseconds: twice as fast as UUID and datetime objects."""
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_INT64.pack, decoder=_INT64.unpack, format="binary"
    )


@asynccontextmanager
async def _foreign_keys_checked_afterwards(connection: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[None]:
    """Drop the foreign keys and add them again, as a restore does: one join instead of a look-up per row."""
    keys = await connection.fetch(
        """
        select conrelid::regclass::text as table_name, quote_ident(conname) as name, pg_get_constraintdef(oid) as text
        from pg_constraint
        where contype = 'f' and connamespace = 'public'::regnamespace
        order by table_name, name
        """
    )
    for key in keys:
        await connection.execute(f"alter table {key['table_name']} drop constraint {key['name']}")
    yield
    for key in keys:
        await connection.execute(f"alter table {key['table_name']} add constraint {key['name']} {key['text']}")


async def _copy(connection: "asyncpg.Connection[asyncpg.Record]", table: Table) -> Loaded:
    started = time.perf_counter()
    status = await connection.copy_records_to_table(table.name, columns=table.columns, records=table.rows)
    seconds = time.perf_counter() - started
    heap_bytes: int = await connection.fetchval("select pg_relation_size($1::text::regclass)", table.name)
    return Loaded(table.name, int(status.split()[1]), seconds, heap_bytes)


def main(arguments: list[str]) -> int:
    """Parse, load, print a line per table. Returns 0, 1 when it failed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m easymo_platform sample-data",
        description="Fill an empty, migrated database with seeded, skewed data of the 90 days that end now.",
        epilog="Example: python -m easymo_platform sample-data --scale note --seed 1",
    )
    parser.add_argument(
        "--scale", type=_scale, default="note", help="note, ci, production or a multiple of ci (default: note)"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same rows (default: 1)")
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"), help="default: $DATABASE_URL")
    options = parser.parse_args(arguments)
    if not options.database_url:
        parser.error("no database: pass --database-url or set DATABASE_URL")
    started = time.perf_counter()
    try:
        loaded = asyncio.run(load(options.database_url, options.scale, options.seed, report=_print_table))
    except (SampleDataError, OSError, asyncpg.PostgresError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: the database is as empty as it was.\n")
        return 130
    seconds = time.perf_counter() - started
    rows, heap_bytes = sum(table.rows for table in loaded), sum(table.heap_bytes for table in loaded)
    sys.stdout.write(f"{'total, vacuumed and analysed':<29} {_figures(rows, heap_bytes, seconds)}\n")
    return 0


def _scale(text: str) -> str:
    try:
        sizes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _print_table(loaded: Loaded) -> None:
    sys.stdout.write(f"{loaded.table:<29} {_figures(loaded.rows, loaded.heap_bytes, loaded.seconds)}\n")
    sys.stdout.flush()


def _figures(rows: int, heap_bytes: int, seconds: float) -> str:
    return f"{rows:>11,} rows {heap_bytes / 1e6:>8.1f} MB {seconds:>6.2f} s"
