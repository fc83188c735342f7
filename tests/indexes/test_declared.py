"""Files of index declarations: what cannot be built, or found again, is refused when it is read."""

from pathlib import Path

import pytest

from easymo.indexes import IndexesError, read_declared


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_indexes_come_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    first = write(tmp_path, "1.sql", "create index b on t (b);\ncreate index concurrently a on t (a);")
    second = write(tmp_path, "2.sql", "create index c on t (c);")
    found = read_declared(first, second)
    assert [(index.name, index.path.name, index.line) for index in found] == [
        ("b", "1.sql", 1),
        ("a", "1.sql", 2),
        ("c", "2.sql", 1),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("create index i on t (a);\nupdate t set a = 1;", r"x\.sql:2: is not CREATE INDEX"),
        ("create index on t (a);", r"x\.sql:1: the index has no name"),
        ("create index i on t (a);\ncreate index i on t (b);", r"x\.sql:2: index i is declared in .*x\.sql:1 too"),
        (f"create index {'n' * 64} on t (a);", "longer than 63 bytes"),
        (f'create index "{"é" * 32}" on t (a);', "longer than 63 bytes"),
    ],
)
def test_file_that_cannot_be_applied_as_it_stands_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(IndexesError, match=message):
        read_declared(write(tmp_path, "x.sql", text))


def test_name_of_63_bytes_is_accepted(tmp_path: Path) -> None:
    name = "n" * 63
    assert [index.name for index in read_declared(write(tmp_path, "x.sql", f"create index {name} on t (a)"))] == [name]
