"""`easymo indexes` on the command line: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from easymo.cli.main import app

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
