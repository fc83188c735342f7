"""Sample data go into an empty, migrated database, all of them or none."""

from pathlib import Path

import asyncpg
import pytest

from easymo.indexes import difference, snapshot
from easymo_platform.operations.migrate import migrate
from easymo_platform.sample_data.keys import sizes
from easymo_platform.sample_data.load import Loaded, SampleDataError, load, main
from tests.sample_data.conftest import baseline


async def test_database_holds_what_was_made_and_knows_its_statistics(note_database: str) -> None:
    connection = await asyncpg.connect(note_database)
    try:
        for table, count in zip(
            ("users", "voice_calls", "whatsapp_messages", "transactions"), sizes("note"), strict=True
        ):
            assert await connection.fetchval(f"select count(*) from {table}") == count
            assert await connection.fetchval(f"select reltuples from pg_class where relname = '{table}'") == count
        recent = "select count(*) from voice_calls where created_at > now() - interval '23 hours'"
        assert await connection.fetchval(recent) > 1_000
    finally:
        await connection.close()


async def test_database_that_holds_users_is_left_as_it_is(database_url: str, tmp_path: Path) -> None:
    await migrate(database_url, baseline(tmp_path))
    connection = await asyncpg.connect(database_url)
    await connection.execute("insert into users (phone_number) values ('+250700000001')")
    with pytest.raises(SampleDataError, match="already holds users"):
        await load(database_url, "note", seed=1)
    assert await connection.fetchval("select count(*) from users") == 1
    await connection.close()


async def test_database_without_tables_is_told_to_migrate(database_url: str) -> None:
    with pytest.raises(SampleDataError, match="python -m easymo_platform migrate"):
        await load(database_url, "note", seed=1)


async def test_interrupted_load_leaves_an_empty_database_and_the_same_schema(database_url: str, tmp_path: Path) -> None:
    await migrate(database_url, baseline(tmp_path))
    connection = await asyncpg.connect(database_url)
    before = await snapshot(connection)

    def interrupt(loaded: Loaded) -> None:
        raise KeyboardInterrupt(loaded.table)

    with pytest.raises(KeyboardInterrupt, match="users"):
        await load(database_url, "note", seed=1, report=interrupt)
    assert await connection.fetchval("select count(*) from users") == 0
    assert difference(before, await snapshot(connection)) == []
    await connection.close()


async def test_load_leaves_the_schema_of_the_migrations(note_database: str, database_url: str, tmp_path: Path) -> None:
    await migrate(database_url)
    fresh, filled = await asyncpg.connect(database_url), await asyncpg.connect(note_database)
    try:
        changes = difference(await snapshot(fresh), await snapshot(filled))
        assert changes == []
    finally:
        await fresh.close()
        await filled.close()


def test_command_without_a_database_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(SystemExit, match="2"):
        main(["--scale", "note"])
    assert "set DATABASE_URL" in capsys.readouterr().err


def test_command_tells_why_it_did_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--database-url", f"postgresql:///none?host={tmp_path}"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
