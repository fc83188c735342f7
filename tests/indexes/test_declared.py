"""Files of index declarations: what cannot be built, or found again, is refused when it is read."""

from pathlib import Path

import pytest

from easymo.indexes import IndexesError, read_declarations, read_declared


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
        ("create index i on t (a);\nupdate t se a = 1;", r"x\.sql:2: is not SQL that Postgres can parse"),
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


MIGRATION = """
set lock_timeout = '2s';
begin;
create table s.new (id bigint);
create index new_id on s.new (id);
alter table t add column b int;
commit;
drop index concurrently if exists old, t_a;
create index concurrently t_a on t (a);
comment on index t_a is 'looked up by the app';
reindex index concurrently s.big;
create index if not exists t_a on t (a);
create index on t (b, lower(a), lower(b)) include (c);
comment on table t is 'no index';
"""


def test_of_a_whole_migration_the_index_statements_are_taken_and_the_rest_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "x.sql", MIGRATION)
    declared = read_declarations(file)
    assert [(index.verb, index.name, index.line) for index in declared.indexes] == [
        ("create", "new_id", 5),
        ("drop", "old", 8),
        ("reindex", "big", 11),
        ("create", "t_a", 9),
        ("create", "t_b_lower_lower1_c_idx", 13),
    ]
    new, _, _, replaced, _ = declared.indexes
    assert (new.on_new_table, replaced.replaces, replaced.comment) == (True, True, "looked up by the app")
    assert declared.left == [
        f"{file}:4: create table s.new (id bigint)",
        f"{file}:6: alter table t add column b int",
        f"{file}:14: comment on table t is 'no index'",
    ]


def test_an_index_that_is_made_and_dropped_again_is_only_dropped(tmp_path: Path) -> None:
    first = write(tmp_path, "1.sql", "create index i on t (a);")
    second = write(tmp_path, "2.sql", "drop index i;")
    assert [(index.verb, index.path) for index in read_declared(first, second)] == [("drop", second)]
