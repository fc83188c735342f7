"""The sample data at note scale: made once per session, loaded once per session, indexed once per session."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pytest_asyncio import fixture as async_fixture

from easymo.embedded import Postgres
from easymo.indexes import apply, read_declared
from easymo_platform.operations.migrate import MIGRATIONS, migrate
from easymo_platform.sample_data.load import load, tables

NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
INDEXES = MIGRATIONS / "20251129000000_performance_optimization.sql"

Columns = dict[str, list[Any]]


@pytest.fixture(scope="session")
def rows() -> dict[str, Columns]:
    """Table, then column, then the values of all rows; seed 1, the 90 days that end at NOW."""
    return {
        table.name: dict(zip(table.columns, map(list, zip(*table.rows, strict=True)), strict=True))
        for table in tables("note", 1, NOW)
    }


@async_fixture(scope="session", loop_scope="session")
async def note_database(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a database with the baseline's schema, the note's data and the fourteen indexes."""
    name = f"note_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(postgres.url)
    await admin.execute(f"create database {name}")
    await admin.close()
    url = postgres.database_url(name)
    await migrate(url, baseline(tmp_path_factory.mktemp("baseline")))
    await load(url, "note", seed=1)
    await apply(url, read_declared(INDEXES))
    return url


def baseline(folder: Path) -> Path:
    """A folder with all migrations but the one of the indexes."""
    for file in MIGRATIONS.glob("*.sql"):
        if file != INDEXES:
            (folder / file.name).write_text(file.read_text())
    return folder
