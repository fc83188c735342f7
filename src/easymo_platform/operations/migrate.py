"""`python -m easymo_platform migrate`: applies supabase/migrations in order, with the history of the Supabase CLI."""

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import asyncpg

from easymo.indexes import IndexesError, Progress, apply, default_journal
from easymo.indexes.declared import INDEX_KIND, declared_indexes
from easymo.indexes.sqlfile import Statement, read_statements
from easymo_platform.operations.errors import OperationError
from easymo_platform.operations.roles import ROLES, apply_roles
from easymo_platform.runtime.addresses import POSTGRES, address_problem

MIGRATIONS = Path(__file__).parents[3] / "supabase" / "migrations"

_FILE_NAME = re.compile(r"(?P<version>[0-9]+)_(?P<name>.*)\.sql")
_TRANSACTION_KIND = "transaction_stmt"
# The table as the Supabase CLI makes it, also where an older one left it without the later columns.
_CREATE_HISTORY = (
    "create schema if not exists supabase_migrations",
    "create table if not exists supabase_migrations.schema_migrations (version text not null primary key)",
    "alter table supabase_migrations.schema_migrations add column if not exists statements text[]",
    "alter table supabase_migrations.schema_migrations add column if not exists name text",
)
_RECORD = "insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)"
_RUN_LOCK = int.from_bytes(b"migrates")

Connection = asyncpg.Connection


class Migration(NamedTuple):
    """One file. `alone` when a statement of it cannot run in a transaction, so that none of them does."""

    path: Path
    version: str
    name: str
    statements: list[Statement]

    @property
    def alone(self) -> bool:
        return any(statement.concurrent for statement in self.statements)


def read_migrations(folder: Path) -> list[Migration]:
    """The migrations of a folder by version. Raises OperationError where the Supabase CLI would skip a file."""
    migrations: dict[str, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise OperationError(
                f"{path.name} is not named <version>_<name>.sql and would never be applied: rename it."
            )
        version = match["version"]
        if version in migrations:
            raise OperationError(
                f"{migrations[version].path.name} and {path.name} have the same version, so that one would be taken "
                "for the other: give the later one a version of its own."
            )
        statements = read_statements(path)
        for statement in statements:
            if statement.kind == _TRANSACTION_KIND:
                raise OperationError(
                    f"{path.name}:{statement.line}: a migration is one transaction already: remove {statement.text!r}."
                )
        migrations[version] = Migration(path, version, match["name"], statements)
    if not migrations:
        raise OperationError(f"There are no migrations in {folder}: name their folder with --migrations.")
    return sorted(migrations.values(), key=lambda migration: migration.version)


async def migrate(database_url: str, folder: Path = MIGRATIONS, journal: Path | None = None) -> list[str]:
    """Apply what the database's history does not hold yet; returns the names of the files, in order.

    A file is one transaction, or, with a CONCURRENTLY in it, one statement after the other. Indexes of such a file are
    built by `easymo.indexes`, so that a broken-off run can be repeated, and those that are there already are checked;
    `journal` is the file that covers the moment between a build and its mark.
    Raises OperationError and IndexesError; files before the failing one stay applied.
    """
    migrations = read_migrations(folder)
    connection = await asyncpg.connect(database_url)
    try:
        if not await connection.fetchval("select pg_try_advisory_lock($1)", _RUN_LOCK):
            raise OperationError("Another migrate is at work on this database: nothing was done; try again after it.")
        async with connection.transaction():
            for statement in _CREATE_HISTORY:
                await connection.execute(statement)
        pending = await _pending(connection, migrations)
        for migration in pending:
            started = time.perf_counter()
            if migration.alone:
                await _apply_alone(connection, database_url, migration, journal)
            else:
                await _apply_at_once(connection, migration)
            _say(f"{migration.path.name}: applied in {time.perf_counter() - started:.2f} s")
        return [migration.path.name for migration in pending]
    finally:
        await connection.close()


async def pending_migrations(database_url: str, folder: Path = MIGRATIONS) -> list[Migration]:
    """What `migrate` would apply; reads only."""
    migrations = read_migrations(folder)
    connection = await asyncpg.connect(database_url)
    try:
        return await _pending(connection, migrations)
    finally:
        await connection.close()


async def _pending(connection: "Connection[asyncpg.Record]", migrations: Iterable[Migration]) -> list[Migration]:
    try:
        rows = await connection.fetch("select version from supabase_migrations.schema_migrations")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        rows = []
    done = {row["version"] for row in rows}
    return [migration for migration in migrations if migration.version not in done]


async def _apply_at_once(connection: "Connection[asyncpg.Record]", migration: Migration) -> None:
    async with connection.transaction():
        for statement in migration.statements:
            await _execute(connection, migration, statement)
        await _record(connection, migration)


async def _apply_alone(
    connection: "Connection[asyncpg.Record]", database_url: str, migration: Migration, journal: Path | None
) -> None:
    for is_index, statements in groupby(migration.statements, key=_is_concurrent_index):
        if is_index:
            declared = declared_indexes(migration.path, statements)
            await apply(database_url, declared, journal=journal, report=_print_progress)
        else:
            for statement in statements:
                await _execute(connection, migration, statement)
    await _record(connection, migration)


def _is_concurrent_index(statement: Statement) -> bool:
    return statement.concurrent and statement.kind == INDEX_KIND


async def _execute(connection: "Connection[asyncpg.Record]", migration: Migration, statement: Statement) -> None:
    try:
        await connection.execute(statement.text)
    except asyncpg.PostgresError as error:
        left = "the statements before it stay" if migration.alone else "nothing of this file was applied"
        raise OperationError(
            f"{migration.path.name}:{statement.line}: Postgres says: {error}; {left}. "
            "Mend the file and run migrate again."
        ) from error


async def _record(connection: "Connection[asyncpg.Record]", migration: Migration) -> None:
    sources = [statement.source for statement in migration.statements]
    await connection.execute(_RECORD, migration.version, migration.name, sources)


def main(arguments: list[str]) -> int:
    """Parse, migrate, print a line per file. Returns 0, 1 when it failed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m easymo_platform migrate",
        description="Apply the files of supabase/migrations that the database does not have yet.",
        epilog="Example: python -m easymo_platform migrate --dry-run",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be applied, and change nothing")
    parser.add_argument(
        "--roles", action="store_true", help="then give each service its role and rights (supabase/roles.sql)"
    )
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"), help="default: $DATABASE_URL")
    parser.add_argument(
        "--migrations", type=Path, default=MIGRATIONS, metavar="DIR", help="default: supabase/migrations"
    )
    options = parser.parse_args(arguments)
    if not options.database_url:
        parser.error("no database: pass --database-url or set DATABASE_URL")
    if problem := address_problem("DATABASE_URL", options.database_url, POSTGRES):
        parser.error(problem)
    try:
        if options.dry_run:
            _print_pending(asyncio.run(pending_migrations(options.database_url, options.migrations)))
            if options.roles:
                _say(f"{ROLES.name}: would be applied in one transaction")
            return 0
        if not asyncio.run(migrate(options.database_url, options.migrations, _journal(options.database_url))):
            _say("Nothing to do: every migration is applied.")
        if options.roles:
            made = asyncio.run(apply_roles(options.database_url))
            _say(f"{ROLES.name}: applied; " + (f"new roles: {', '.join(made)}" if made else "every role was there"))
    except (OperationError, IndexesError, asyncpg.PostgresError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: files that were reported stay applied; run migrate again for the rest.\n")
        return 130
    return 0


def _journal(database_url: str) -> Path | None:
    """The default journal, or none where the folder is read-only, as in a Pod: its files would not outlive it."""
    journal = default_journal(database_url)
    try:
        journal.parent.mkdir(exist_ok=True)
    except OSError as error:
        _say(
            f"No journal: {error}. A run that is killed between the build of an index and its mark leaves an index "
            "that rollback does not know for ours."
        )
        return None
    return journal


def _print_pending(migrations: list[Migration]) -> None:
    for migration in migrations:
        how = "one by one" if migration.alone else "in one transaction"
        _say(f"{migration.path.name}: would run {len(migration.statements)} statements {how}")
    if not migrations:
        _say("Nothing to do: every migration is applied.")


def _print_progress(progress: Progress) -> None:
    if progress.event == "wait":
        _say(f"  {progress.index}: no lock yet, tried {progress.attempt} times")
    elif progress.event != "done":
        _say(f"  {progress.position}/{progress.total} {progress.event} {progress.index}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
