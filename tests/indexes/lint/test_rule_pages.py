"""Every rule finds what its page says it finds, in the page's words, and stays silent on the page's other example."""

import re
from pathlib import Path

import pytest

from easymo.indexes.lint import RULES, Finding, lint
from easymo.indexes.runners import RUNNERS

PAGES = Path(__file__).parents[3] / "docs" / "reference" / "index-rules"
BLOCK = re.compile(r"```(sql|text)\n(.*?)```", re.DOTALL)
RULE = {rule.slug: rule for rule in RULES}


def findings(folder: Path, sql: list[str]) -> list[Finding]:
    """What the first block, a migration, is told; a second block holds hot queries."""
    migration, queries = folder / "migration.sql", folder / "queries.sql"
    migration.write_text(sql[0])
    if sql[1:]:
        queries.write_text(sql[1])
    return lint([migration], [queries] if sql[1:] else [])


@pytest.mark.parametrize("slug", RULE)
def test_page_shows_what_the_rule_says(slug: str, tmp_path: Path) -> None:
    page = (PAGES / f"{slug}.md").read_text()
    reported, not_reported = page.split("## Not reported")
    blocks = BLOCK.findall(reported)
    found = [f for f in findings(tmp_path, [text for kind, text in blocks if kind == "sql"]) if f.rule == slug]
    assert [text for kind, text in blocks if kind == "text"] == [
        "".join(f"migration.sql:{f.line}: {f.message}\n  help: {f.help}\n" for f in found)
    ]
    assert f"Severity: {RULE[slug].severity}." in page
    assert {f.severity for f in found} == {RULE[slug].severity}
    silent = findings(tmp_path, [text for _, text in BLOCK.findall(not_reported)])
    assert [f.rule for f in silent if f.rule == slug] == []
    assert [f.rule for f in silent if f.severity == "error"] == []


def test_every_rule_has_a_page_a_module_and_a_line_in_the_list() -> None:
    modules = Path(__file__).parents[3] / "src" / "easymo" / "indexes" / "lint" / "rules"
    slugs = {path.stem for path in PAGES.glob("*.md")} - {"README", "runners"}
    assert slugs == set(RULE)
    assert {path.stem.replace("_", "-") for path in modules.glob("*.py")} - {"--init--"} == slugs
    listed = re.findall(r"^\| \[(.*?)\]\(.*?\) \| (\w+)", (PAGES / "README.md").read_text(), re.MULTILINE)
    assert listed == [(rule.slug, rule.severity) for rule in RULES]


def test_the_table_of_runners_names_all_that_are_recognised() -> None:
    listed = re.findall(r"^\| ([\w-]+) \|", (PAGES / "runners.md").read_text(), re.MULTILINE)
    assert listed[1:] == [runner.tool for runner in RUNNERS]
