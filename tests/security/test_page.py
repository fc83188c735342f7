"""docs/explanation/security.md: every threat names tests, and every test that it names exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "security.md"
ROWS = [
    line
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| threat ")
]
NAMED = re.compile(r"\[`(\w+)`\]\(([^)]+)\)")


def test_there_are_threats_and_each_has_a_defence_and_a_test() -> None:
    assert len(ROWS) > 20
    for row in ROWS:
        threat, defence, tests = (cell.strip() for cell in row.strip("|").split(" | "))
        assert threat, row
        assert defence, row
        assert NAMED.search(tests), f"{threat}: no test"


@pytest.mark.parametrize(("test", "file"), sorted({found for row in ROWS for found in NAMED.findall(row)}))
def test_a_test_that_the_page_names_exists(test: str, file: str) -> None:
    tree = ast.parse((PAGE.parent / file).read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert test.startswith("test_")
    assert test in functions


def test_every_file_of_this_folder_is_named_on_the_page() -> None:
    files = {file.name for file in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name}
    assert {name for name in files if f"tests/security/{name}" not in PAGE.read_text()} == set()


def test_the_claims_about_the_manifests_hold() -> None:
    manifests = "".join(file.read_text() for file in (ROOT / "k8s").rglob("*.yaml"))
    assert "AUTH_DISABLED" not in manifests
