"""The plan's last step: the indexes that the performance migration built, and its line in the history."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg

from easymo.indexes import IndexesError, read_declared, rollback, rollback_preview
from easymo_platform.operations.errors import OperationError
from easymo_platform.operations.migrate import MIGRATIONS
from easymo_platform.operations.rollback.plan import Action

MIGRATION = MIGRATIONS / "20251129000000_performance_optimization.sql"

_VERSION = MIGRATION.name.partition("_")[0]
_FORGET = f"delete from supabase_migrations.schema_migrations where version = '{_VERSION}'"


def indexes(database_url: str) -> list[Action]:
    """Drop what was built, concurrently; then let the history forget it, so that a later migrate builds it again.

    Raises OperationError when the database cannot be asked.
    """
    try:
        preview = asyncio.run(rollback_preview(database_url, read_declared(MIGRATION)))
    except (IndexesError, asyncpg.PostgresError, OSError) as error:
        raise OperationError(f"The database cannot be asked which indexes it has: {error}") from error
    drop = sum(index.dropped for index in preview)
    return [
        Action(
            "indexes",
            "drop",
            (f"easymo indexes rollback {_from_here(MIGRATION)} --yes",),
            lambda: _drop(database_url),
            remark=f"{drop} of {len(preview)} indexes are there and ours to drop",
        ),
        Action("indexes", "forget", (f'psql "$DATABASE_URL" -c "{_FORGET}"',), _forget(database_url)),
    ]


def _drop(database_url: str) -> str:
    try:
        done = asyncio.run(rollback(database_url, read_declared(MIGRATION)))
    except (IndexesError, asyncpg.PostgresError, OSError) as error:
        raise OperationError(str(error)) from error
    kept = [f"{index.index}: {index.kept_because}" for index in done if not index.dropped]
    return f"{len(done) - len(kept)} dropped" + (f"; kept {'; '.join(kept)}" if kept else "")


def _forget(database_url: str) -> Callable[[], str]:
    async def forget() -> str:
        connection = await asyncpg.connect(database_url)
        try:
            return await connection.execute(_FORGET)
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            return "there is no history"
        finally:
            await connection.close()

    def perform() -> str:
        try:
            return asyncio.run(forget())
        except (asyncpg.PostgresError, OSError) as error:
            raise OperationError(f"The history of the migrations cannot be changed: {error}") from error

    return perform


def _from_here(path: Path) -> str:
    """The path as one would type it in the root of the repository."""
    return str(path.relative_to(MIGRATIONS.parents[1]))
