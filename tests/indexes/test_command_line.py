"""`easymo indexes` on the command line: what it prints, and its exit codes."""

import asyncio
import json
import re
import subprocess
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


@pytest.mark.parametrize(("sql", "code"), [(CONCURRENT, 0), (WARNED, 0), (BLOCKING, 1), ("create indx;", 1)])
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


def test_lint_reports_an_unreadable_file_and_checks_the_others(tmp_path: Path) -> None:
    (tmp_path / "1_mysql.sql").write_text("create table `t` (a int) engine=InnoDB;")
    (tmp_path / "2_index.sql").write_text(BLOCKING)
    result = CliRunner().invoke(app, ["indexes", "lint", str(tmp_path)])
    assert result.exit_code == 1
    assert f"{tmp_path}/1_mysql.sql:1: error: The statement is not SQL that Postgres can parse" in result.stdout
    assert 'syntax error at or near "`"' in result.stdout
    assert "2_index.sql:1: error: by_total takes a SHARE lock" in result.stdout
    result = CliRunner().invoke(app, ["indexes", "lint", str(tmp_path), "--exclude", "1_*"])
    assert "unparsable" not in result.stdout


def test_lint_of_a_folder_reads_files_by_number_and_no_way_back(tmp_path: Path) -> None:
    (tmp_path / "V2__index.sql").write_text("create index concurrently i on t (a);")
    (tmp_path / "V10__drop.sql").write_text("drop index concurrently i; create index concurrently j on t (a, b);")
    (tmp_path / "U10__drop.sql").write_text("drop index j;")
    (tmp_path / "3_t.down.sql").write_text("drop index i;")
    result = CliRunner().invoke(app, ["indexes", "lint", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (0, "")


def test_lint_of_a_folder_without_sql_is_not_silent(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["indexes", "lint", str(tmp_path)])
    assert (result.exit_code, "holds no .sql file" in result.output) == (2, True)


def test_lint_reports_only_what_is_not_in_the_baseline(tmp_path: Path) -> None:
    _, printed = lint(tmp_path, BLOCKING, "--json")
    baseline = tmp_path / "baseline.json"
    baseline.write_text(printed)
    moved = f"-- a comment\n{BLOCKING}"
    assert lint(tmp_path, moved, "--baseline", str(baseline)) == (0, "")
    code, printed = lint(tmp_path, f"{moved} create index by_total_too on other (id);", "--baseline", str(baseline))
    assert (code, printed.count("help:"), "by_total_too" in printed) == (1, 1, True)
    baseline.write_text("{}")
    assert lint(tmp_path, moved, "--baseline", str(baseline))[0] == 2


def test_lint_reports_only_files_that_changed_since_a_revision(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments]
        subprocess.run(command, check=True, capture_output=True)

    git("init", "--initial-branch=main")
    (tmp_path / "1.sql").write_text(BLOCKING)
    git("add", "-A")
    git("commit", "-m", "one")
    (tmp_path / "2.sql").write_text("create index concurrently by_total_and_id on orders (total, id);")
    arguments = ["indexes", "lint", str(tmp_path), "--since"]
    assert CliRunner().invoke(app, [*arguments, "main"]).exit_code == 0
    (tmp_path / "3.sql").write_text("drop index by_total;")
    found = CliRunner().invoke(app, [*arguments, "main"])
    assert (found.exit_code, found.stdout.count("help:"), "3.sql:1: error" in found.stdout) == (1, 1, True)
    unknown = CliRunner().invoke(app, [*arguments, "nowhere"])
    assert (unknown.exit_code, "git does not say what has changed" in unknown.output) == (2, True)


def test_lint_prints_annotations_and_sarif(tmp_path: Path) -> None:
    _, printed = lint(tmp_path, BLOCKING, "--format", "github")
    assert printed.startswith(f"::error file={tmp_path}/indexes.sql,line=1,title=non-concurrent-create::by_total takes")
    _, printed = lint(tmp_path, BLOCKING, "--format", "sarif")
    (run,) = json.loads(printed)["runs"]
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("non-concurrent-create", "error")
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]) == (f"{tmp_path}/indexes.sql", {"startLine": 1})
    assert run["tool"]["driver"]["rules"] == [{"id": "non-concurrent-create"}]


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
