"""The page on the fourteen indexes shows the figures of evidence/indexes, and names each index of the note."""

from pathlib import Path

from easymo.indexes import read_declared
from tests.indexes.fourteen import INDEXES, tables

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "the-fourteen-indexes.md"


def test_tables_of_the_page_are_the_evidence() -> None:
    text = PAGE.read_text()
    for table in tables(ROOT / "evidence" / "indexes"):
        assert table in text


def test_every_index_has_its_own_paragraph() -> None:
    text = PAGE.read_text()
    assert [index.name for index in read_declared(INDEXES) if f"**`{index.name}`**" not in text] == []
