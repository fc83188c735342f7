"""What an index is can be read from the statement that declares it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easymo.indexes.definitions import Definition, Key, concurrent_statement, parse_definition, statement_on

EVERYTHING = """
create unique index concurrently if not exists "Odd ""name"" é" on only shop.orders using btree
  (lower(customer) collate "C" text_pattern_ops desc nulls last, created_at desc, (total + 1))
  include (id, status) nulls not distinct with (fillfactor = 70, deduplicate_items = off) tablespace fast
  where status in ('new', 'paid')
"""


def test_every_part_of_a_declaration_is_read() -> None:
    assert parse_definition(EVERYTHING) == Definition(
        name='Odd "name" é',
        schema="shop",
        table="orders",
        keys=(
            Key("lower(customer)", collation="C", operator_class="text_pattern_ops", descending=True),
            Key("created_at", descending=True, nulls_first=True),
            Key("total + 1"),
        ),
        include=("id", "status"),
        predicate="status IN ('new', 'paid')",
        unique=True,
        nulls_not_distinct=True,
        options=("deduplicate_items=off", "fillfactor=70"),
        tablespace="fast",
    )


def test_a_plain_index_is_a_btree_without_a_schema() -> None:
    assert parse_definition("create index i on t (a)") == Definition(
        name="i", schema="", table="t", keys=(Key("a"),), method="btree"
    )


def test_statement_to_run_is_concurrent_and_does_not_pass_over_an_invalid_leftover() -> None:
    statement = concurrent_statement("create index if not exists i on t (a) where b > 1")
    assert statement == "CREATE INDEX CONCURRENTLY i ON t USING btree (a) WHERE b > 1"


def test_statement_to_run_declares_the_same_index() -> None:
    assert parse_definition(concurrent_statement(EVERYTHING)) == parse_definition(EVERYTHING)


def test_trial_statement_keeps_everything_but_the_place() -> None:
    trial = parse_definition(statement_on(EVERYTHING, "pg_temp", "copy", "trial"))
    assert (trial.schema, trial.table, trial.name) == ("pg_temp", "copy", "trial")
    assert trial.shape == parse_definition(EVERYTHING).shape


@pytest.mark.parametrize("sql", ["select 1", "drop index i", "create index a on t (a); create index b on t (b)"])
def test_anything_but_one_create_index_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="one CREATE INDEX"):
        parse_definition(sql)


names = st.text(alphabet='abc" _É', min_size=1, max_size=8).map(lambda name: "x" + name)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@given(name=names, table=names, columns=st.lists(names, min_size=1, max_size=4), unique=st.booleans())
def test_any_names_come_back_as_they_were_declared(name: str, table: str, columns: list[str], unique: bool) -> None:
    kind = "unique index" if unique else "index"
    sql = f"create {kind} {quoted(name)} on {quoted(table)} ({', '.join(map(quoted, columns))})"
    for text in (sql, concurrent_statement(sql)):
        definition = parse_definition(text)
        assert (definition.name, definition.table, definition.unique) == (name, table, unique)
        assert [key.text for key in definition.keys] == columns
