"""`easymo indexes` on the command line: what it prints, and its exit codes."""

import asyncio
import json
import re
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from easymo.cli.main import app
from tests.indexes.conftest import indexes_of, version_of

CONCURRENT = "create index concurrently by_total on orders (total);"
WARNED = "create index concurrently by_total on orders (total) where status = 'new';"
BLOCKING = "create index by_total on orders (total);"


def lint(folder: Path, sql: str, *options: str) -> tuple[int, str]:
    file = folder / "indexes.sql"
    file.write_text(sql)
    result = CliRunner().invoke(app, ["indexes", "lint", str(file), *options])
    return result.exit_code, result.stdout


@pytest.mark.parametrize(("sql", "code"), [(CONCURRENT, 0), (WARNED, 0), (BLOCKING, 1), ("create indx;", 2)])
def test_lint_fails_on_errors_only(sql: str, code: int, tmp_path: Path) -> None:
    assert lint(tmp_path, sql)[0] == code


def test_lint_prints_place_rule_and_help(tmp_path: Path) -> None:
    _, printed = lint(tmp_path, BLOCKING)
    assert printed.startswith(f"{tmp_path}/indexes.sql:1: error: by_total takes a SHARE lock on orders")
    assert "[non-concurrent-create]\n  help: Write CREATE INDEX CONCURRENTLY" in printed


def test_lint_prints_json_for_scripts(tmp_path: Path) -> None:
    code, printed = lint(tmp_path, BLOCKING, "--json")
    (finding,) = json.loads(printed)
    assert code == 1
    assert finding["rule"] == "non-concurrent-create"
    assert finding.keys() == {"rule", "severity", "file", "line", "message", "help"}


async def indexes_command(*arguments: str) -> tuple[int, str]:
    """Exit code and output of `easymo indexes …`, in a thread because it runs an event loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, app, ["indexes", *arguments])
    return result.exit_code, result.output


async def test_apply_acts_with_yes_only_and_rollback_too(
    connection: asyncpg.Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "indexes.sql"
    file.write_text(CONCURRENT)
    database = (str(file), "--database-url", database_url)

    code, printed = await indexes_command("apply", *database)
    assert (code, await indexes_of(connection)) == (0, {})
    digest = printed.split("--digest ")[1].split()[0]
    code, _ = await indexes_command("apply", *database, "--digest", "000000000000", "--yes")
    assert (code, await indexes_of(connection)) == (1, {})
    code, printed = await indexes_command("apply", *database, "--digest", digest, "--yes")
    assert (code, await indexes_of(connection)) == (0, {"by_total": True})
    assert "build   by_total" in printed
    assert len(list((tmp_path / ".easymo").glob("*.journal.jsonl"))) == 1

    code, printed = await indexes_command("rollback", *database)
    assert (code, await indexes_of(connection)) == (0, {"by_total": True})
    assert "drop    by_total" in printed
    code, _ = await indexes_command("rollback", *database, "--yes")
    assert (code, await indexes_of(connection)) == (0, {})


async def test_plan_prints_json_and_fails_on_a_refused_step(
    connection: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "indexes.sql"
    file.write_text(CONCURRENT)
    code, printed = await indexes_command("plan", str(file), "--database-url", database_url, "--json")
    planned = json.loads(printed)
    assert (code, planned["steps"][0]["action"], planned["indexes"][0]["index"]) == (0, "build", "orders_pkey")
    await connection.execute("create index by_total on orders (id)")
    code, printed = await indexes_command("plan", str(file), "--database-url", database_url)
    assert code == 1
    assert "REFUSED by_total on orders" in printed
    assert re.search(r"^Scans since 20\d\d-", printed, re.MULTILINE)
    assert ("Unknown when the last one was: PostgreSQL" in printed) is (version_of(connection) < 16)


async def test_database_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "indexes.sql"
    file.write_text(CONCURRENT)
    code, printed = await indexes_command("plan", str(file), "--database-url", f"postgresql://u@/d?host={tmp_path}")
    assert code == 1
    assert printed.startswith("easymo indexes: The database cannot be reached")
