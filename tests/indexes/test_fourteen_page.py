"""The page on the fourteen indexes shows the figures of evidence/indexes, and names each index of the note."""

from pathlib import Path

from drills.indexes.fourteen import INDEXES, PAGE, fill, tables
from easymo.indexes import read_declared

EVIDENCE = Path(__file__).parents[2] / "evidence" / "indexes"


def test_tables_of_the_page_are_the_evidence() -> None:
    text = PAGE.read_text()
    for table in tables(EVIDENCE):
        assert table in text


def test_filling_a_page_changes_its_tables_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    headers = [table.partition("\n")[0] for table in tables(EVIDENCE)]
    stale = (f"{header}\n|---|\n| old |\n\nText {number}.\n" for number, header in enumerate(headers))
    page.write_text("# Title\n\n" + "\n".join(stale))
    fill(page, EVIDENCE)
    text = page.read_text()
    assert "old" not in text
    assert all(f"{table}\n\nText {number}.\n" in text for number, table in enumerate(tables(EVIDENCE)))
    fill(page, EVIDENCE)
    assert page.read_text() == text


def test_every_index_has_its_own_paragraph() -> None:
    text = PAGE.read_text()
    assert [index.name for index in read_declared(INDEXES) if f"**`{index.name}`**" not in text] == []
