"""Files are split as Postgres parses them, and statements that refuse a transaction are known."""

from pathlib import Path

import pytest

from easymo.indexes import IndexesError
from easymo.indexes.sqlfile import read_statements, split

FILE = """-- Première ligne.
create table t (a text default ';');

/* why */
create index concurrently t_a on t (a);
;
insert into t values ('é; -- no comment'), ($$;$$)
"""


def test_statements_keep_their_text_their_comments_and_their_line(tmp_path: Path) -> None:
    file = tmp_path / "migration.sql"
    file.write_text(FILE)
    table, index, insert = read_statements(file)
    assert (table.text, table.line) == ("create table t (a text default ';')", 2)
    assert table.source == "-- Première ligne.\ncreate table t (a text default ';')"
    assert (index.text, index.line) == ("create index concurrently t_a on t (a)", 5)
    assert index.source == "/* why */\ncreate index concurrently t_a on t (a)"
    assert (insert.source, insert.line) == ("insert into t values ('é; -- no comment'), ($$;$$)", 7)


def test_comments_alone_are_no_statement() -> None:
    assert split("-- nothing\n;\n/* here */") == []


@pytest.mark.parametrize(
    "statement",
    [
        "create unique index concurrently i on t (a)",
        "drop index concurrently i",
        "reindex (concurrently) table t",
        "vacuum (analyze) t",
        "alter table t detach partition p concurrently",
        "create database d",
        "alter system set work_mem = '1MB'",
    ],
)
def test_statement_that_refuses_a_transaction_is_concurrent(statement: str) -> None:
    assert [found.concurrent for found in split(statement)] == [True]


@pytest.mark.parametrize(
    "statement", ["create index i on t (a)", "drop index i", "reindex table t", "analyze t", "alter table t add b int"]
)
def test_ordinary_statement_is_not_concurrent(statement: str) -> None:
    assert [found.concurrent for found in split(statement)] == [False]


def test_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "broken.sql"
    file.write_text("select 1;\n\nselect from from t;\n")
    with pytest.raises(IndexesError, match=r"broken\.sql:3: .*syntax error at or near \"from\""):
        read_statements(file)


def test_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(IndexesError, match=r"absent\.sql:1: cannot be read"):
        read_statements(tmp_path / "absent.sql")
