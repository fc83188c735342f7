"""Migrations are applied once, in order, and recorded as the Supabase CLI records them."""

import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from easymo.indexes import IndexesError, apply, difference, read_declared, rollback, snapshot
from easymo_platform.operations.errors import OperationError
from easymo_platform.operations.migrate import MIGRATIONS, main, migrate, read_migrations
from tests.sample_data.conftest import INDEXES, baseline

HISTORY = "select version, name, statements from supabase_migrations.schema_migrations order by version"
OUR_INDEXES = "select count(*) from pg_index where indexrelid::regclass::text like 'idx_%' and indisvalid"

Write = Callable[..., Path]


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write migrations, given as name=text, into a folder, where the command is run, too."""
    monkeypatch.chdir(tmp_path)

    def write_files(**files: str) -> Path:
        for name, text in files.items():
            (tmp_path / f"{name.removeprefix('v')}.sql").write_text(text)
        return tmp_path

    return write_files


async def test_platform_migrates_from_nothing_and_a_second_run_does_nothing(
    connection: asyncpg.Connection, database_url: str
) -> None:
    files = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
    assert await migrate(database_url) == files
    assert await connection.fetchval(OUR_INDEXES) == 14
    before = await snapshot(connection), await connection.fetch(HISTORY)
    assert await migrate(database_url) == []
    assert (await snapshot(connection), await connection.fetch(HISTORY)) == before


async def test_history_is_what_the_supabase_cli_writes(
    connection: asyncpg.Connection, database_url: str, write: Write
) -> None:
    folder = write(
        v20250101000000_first_table="-- Ours.\ncreate table t (a int);\n\ninsert into t values (1), (2);\n",
        v20250102000000_index="create index concurrently t_a on t (a);",
    )
    await migrate(database_url, folder)
    assert [tuple(row) for row in await connection.fetch(HISTORY)] == [
        ("20250101000000", "first_table", ["-- Ours.\ncreate table t (a int)", "insert into t values (1), (2)"]),
        ("20250102000000", "index", ["create index concurrently t_a on t (a)"]),
    ]
    columns = await connection.fetch(
        """
        select column_name, data_type, is_nullable from information_schema.columns
        where table_name = 'schema_migrations' order by ordinal_position
        """
    )
    assert [tuple(column) for column in columns] == [
        ("version", "text", "NO"),
        ("statements", "ARRAY", "YES"),
        ("name", "text", "YES"),
    ]


async def test_history_of_another_migrator_is_honoured(
    connection: asyncpg.Connection, database_url: str, write: Write
) -> None:
    await connection.execute("create schema supabase_migrations")
    await connection.execute("create table supabase_migrations.schema_migrations (version text not null primary key)")
    await connection.execute("insert into supabase_migrations.schema_migrations values ('1'), ('20240101000000')")
    assert await migrate(database_url, write(v1_old="create table old ()", v2_new="create table new ()")) == [
        "2_new.sql"
    ]
    assert await connection.fetchval("select to_regclass('old') is null and to_regclass('new') is not null")


async def test_migrate_after_apply_checks_the_indexes_and_only_records(
    connection: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    await migrate(database_url, baseline(tmp_path))
    await apply(database_url, read_declared(INDEXES))
    before = await snapshot(connection)
    assert await migrate(database_url) == [INDEXES.name]
    assert difference(before, await snapshot(connection)) == []
    assert "20251129000000" in {row["version"] for row in await connection.fetch(HISTORY)}


async def test_index_that_is_not_the_declared_one_stops_migrate_and_nothing_is_recorded(
    connection: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    await migrate(database_url, baseline(tmp_path))
    await connection.execute("create index idx_voice_calls_status on voice_calls (status)")
    with pytest.raises(IndexesError, match="not the declared one"):
        await migrate(database_url)
    assert await connection.fetchval(OUR_INDEXES) == 1
    assert INDEXES.name[:14] not in [row["version"] for row in await connection.fetch(HISTORY)]


async def test_interrupted_run_is_finished_by_the_next_one(
    connection: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    await migrate(database_url, baseline(tmp_path))
    declared = read_declared(INDEXES)
    await apply(database_url, declared[:5])
    # What a build leaves when its session is lost.
    await connection.execute(
        "update pg_index set indisvalid = false where indexrelid = 'idx_voice_calls_phone'::regclass"
    )
    assert await migrate(database_url) == [INDEXES.name]
    assert await connection.fetchval(OUR_INDEXES) == 14


async def test_what_migrate_built_can_be_rolled_back(
    connection: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    await migrate(database_url, baseline(tmp_path))
    before = await snapshot(connection)
    await migrate(database_url)
    await rollback(database_url, read_declared(INDEXES))
    assert difference(before, await snapshot(connection)) == []


async def test_failing_file_leaves_nothing_of_itself_and_the_files_before_it(
    connection: asyncpg.Connection, database_url: str, write: Write
) -> None:
    folder = write(v1_good="create table good ()", v2_bad="create table half ();\n\ncreate table half ();", v3_late="")
    with pytest.raises(OperationError, match=r"2_bad\.sql:3: Postgres says: relation \"half\" already exists"):
        await migrate(database_url, folder)
    assert await connection.fetchval("select to_regclass('good') is not null and to_regclass('half') is null")
    assert [row["version"] for row in await connection.fetch(HISTORY)] == ["1"]


async def test_file_with_concurrently_runs_its_statements_alone_and_in_order(
    connection: asyncpg.Connection, database_url: str, write: Write
) -> None:
    folder = write(
        v1_table="create table t (a int); create index old on t (a);",
        v2_swap="""
        insert into t select generate_series(1, 100);
        create index concurrently new on t (a) where a > 50;
        drop index concurrently old;
        vacuum (analyze) t;
        """,
    )
    assert await migrate(database_url, folder) == ["1_table.sql", "2_swap.sql"]
    assert await connection.fetchval(
        "select array_agg(indexrelid::regclass::text) from pg_index where indrelid = 't'::regclass"
    ) == ["new"]
    assert await connection.fetchval("select reltuples from pg_class where relname = 't'") == 100


async def test_second_migrate_is_refused_while_one_is_at_work(
    connection: asyncpg.Connection, database_url: str, write: Write
) -> None:
    await connection.fetchval("select pg_advisory_lock($1)", int.from_bytes(b"migrates"))
    with pytest.raises(OperationError, match="Another migrate"):
        await migrate(database_url, write(v1_a="create table a ()"))
    assert await connection.fetchval("select to_regclass('a') is null")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"v1_a": "select 1", "v1_b": "select 2"}, r"1_a\.sql and 1_b\.sql have the same version"),
        ({"v1-a": "select 1"}, r"1-a\.sql is not named <version>_<name>\.sql"),
        ({"v1_a": "begin;\ncreate table t ();\ncommit;"}, r"1_a\.sql:1: a migration is one transaction already"),
        ({}, "There are no migrations in"),
    ],
)
def test_folder_that_would_be_misread_is_refused(write: Write, files: dict[str, str], message: str) -> None:
    with pytest.raises(OperationError, match=message):
        read_migrations(write(**files))


def test_dry_run_says_what_would_happen_and_changes_nothing(
    database_url: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(v1_a="create table a ()", v2_b="create index concurrently i on a (b)")
    command = ["--database-url", database_url, "--migrations", str(folder)]
    assert main([*command, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1_a.sql: would run 1 statements in one transaction",
        "2_b.sql: would run 1 statements one by one",
    ]
    assert main([*command, "--dry-run"]) == 0, "the first dry run recorded nothing"
    assert capsys.readouterr().out.count("would run") == 2


def test_command_reports_each_file_and_then_nothing_to_do(
    database_url: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--database-url", database_url, "--migrations", str(write(v1_a="create table a ()"))]
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("1_a.sql: applied in ")
    assert main(command) == 0
    assert capsys.readouterr().out == "Nothing to do: every migration is applied.\n"


def test_command_keeps_a_journal_of_the_builds_or_says_that_it_cannot(
    database_url: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(v1_a="create table a (b int)", v2_b="create index concurrently i on a (b)")
    command = ["--database-url", database_url, "--migrations", str(folder)]
    assert main(command) == 0
    (journal,) = (folder / ".easymo").glob("*.journal.jsonl")
    assert [json.loads(line)["event"] for line in journal.read_text().splitlines()] == ["build", "built"]
    capsys.readouterr()

    shutil.rmtree(folder / ".easymo")
    (folder / ".easymo").write_text("no folder can be made here")
    write(v3_c="create index concurrently j on a (b)")
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("No journal: ")


def test_command_fails_with_one_sentence(database_url: str, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(v1_a="select 1 / 0")
    assert main(["--database-url", database_url, "--migrations", str(folder)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("1_a.sql:1: Postgres says: division by zero; nothing of this file was applied.")
    assert captured.err.count("\n") == 1
