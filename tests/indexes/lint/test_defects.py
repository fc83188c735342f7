"""Every way in which the note's migration failed, or served nobody, is found in statements of our own."""

import re
from pathlib import Path

import asyncpg
import pytest

from easymo.indexes import read_declared
from easymo.indexes.lint import lint

ROOT = Path(__file__).parents[3]
NOTE = ROOT.parent / "shared" / "seed"
MIGRATIONS = ROOT / "supabase" / "migrations"
INDEXES = MIGRATIONS / "20251129000000_performance_optimization.sql"
TABLES = """
create table tickets (
  id bigint primary key, phone text unique, agent text, state text check (state in ('new', 'open', 'done')),
  updated_at timestamptz, created_at timestamptz
);
create table visits (id bigint, at timestamptz, agent text) partition by range (at);
create index tickets_state on tickets (state);
"""
QUERIES = """
-- name: close_ticket
update tickets set state = 'done' where id = :id;
-- name: tickets_in_state
select id from tickets where state = :state and created_at > now() - interval '1 day';
-- name: tickets_of_agent
select id from tickets where agent = :agent;
"""
DEFECTS = {
    "begin; create index concurrently i on tickets (agent); commit;": "concurrently-in-transaction",
    "start transaction; drop index concurrently tickets_state; end;": "concurrently-in-transaction",
    "begin; reindex index concurrently tickets_state; commit;": "concurrently-in-transaction",
    "do $$ begin execute 'create index concurrently i on tickets (agent)'; end $$;": "concurrently-in-transaction",
    "create index concurrently i on tickets (created_at) where state = 'new' and created_at > now() - interval '1h';": (
        "non-immutable-predicate"
    ),
    "create index concurrently i on tickets (agent) where created_at > current_date;": "non-immutable-predicate",
    "create index concurrently i on tickets ((now() - created_at));": "non-immutable-predicate",
    "create index i on tickets (agent);": "non-concurrent-create",
    "create index concurrently if not exists tickets_state on tickets (state) where state <> 'done';": (
        "if-not-exists-hides-invalid"
    ),
    "create index concurrently i on visits (agent);": "concurrently-on-partitioned",
    f"create index concurrently {'i' * 64} on tickets (agent);": "name-too-long",
    "create index concurrently i on tickets (state);": "duplicate-index",
    "create index concurrently i on tickets (state, created_at);": "prefix-of-another",
    "drop index concurrently tickets_state; create index concurrently i on tickets (id) where state = 'new';": (
        "predicate-ends-hot"
    ),
    "create index concurrently i on tickets (created_at) where state = 'active';": "predicate-hides-rows",
    "create index concurrently i on tickets (state) where state = 'open';": "predicate-hides-rows",
    "create index concurrently i on tickets (agent) where updated_at is not null;": "predicate-hides-rows",
    "create index concurrently i on tickets (created_at) where state = 'open' and id > 0;": (
        "parameter-cannot-imply-predicate"
    ),
    "create index concurrently i on tickets (phone, state, created_at);": "redundant-with-unique",
    "drop index tickets_state;": "non-concurrent-drop",
    "reindex index tickets_state;": "non-concurrent-reindex",
    "alter table tickets add constraint agent_once unique (agent);": "constraint-builds-index",
    "alter table tickets add column code text unique;": "constraint-builds-index",
    "do $$ begin create unique index i on tickets (agent); end $$;": "index-in-do-block",
    "alter table tickets add foreign key (agent) references visits (agent);": "foreign-key-without-index",
    "create index concurrently i on tickets (agent": "unparsable",
    "create index concurrently if not exists tickets_state on tickets (agent);": "if-not-exists-hides-invalid",
    "create index concurrently i on tickets using gin (to_tsvector(agent));": "non-immutable-predicate",
    "create index concurrently i on tickets (id) where id in (select id from visits);": "non-immutable-predicate",
    # Not to be missed: IF NOT EXISTS of a table that is there makes no new table; a name is counted in bytes.
    "create table if not exists tickets (id bigint); create index i on tickets (agent);": "non-concurrent-create",
    f'create index concurrently "{"é" * 32}" on tickets (agent);': "name-too-long",
}
HARMLESS = [
    "create index concurrently i on tickets (agent);",
    "begin; alter table tickets add column note text; commit; create index concurrently i on tickets (note);",
    "drop index concurrently if exists i; create index concurrently if not exists i on tickets (agent);",
    "create index i on only visits (agent);",
    f"create index concurrently {'i' * 63} on tickets (agent);",
    "create index concurrently i on tickets (created_at) where created_at > '2026-01-01';",
    "create index concurrently i on tickets (state text_pattern_ops);",
    "drop index concurrently tickets_state; create index concurrently i on tickets (state);",
    "create index concurrently i on tickets (agent, state);",
    "create unique index concurrently i on tickets (agent, created_at);",
    "create temp table t as select 1 as a; create index on t (a);",
    # A unique index with a predicate finds one row only among those of its predicate.
    "create unique index concurrently u on tickets (agent) where id > 9; "
    "create index concurrently i on tickets (agent, created_at);",
    "create index concurrently i on tickets (phone, created_at) where id > 9;",
    "create index concurrently i on tickets (created_at, phone);",
    "alter table tickets drop constraint tickets_phone_key; create index concurrently i on tickets (phone);",
    "create index concurrently i on tickets (state, agent); alter table tickets drop column agent;",
    "create unique index concurrently u on tickets (agent); alter table tickets add constraint c unique using index u;",
    "create table new (id bigint primary key); alter table new add constraint c unique (id, id); drop table new;",
    "create table new (id bigint); alter table new add primary key (id);",
]


def rules_found(folder: Path, sql: str) -> list[str]:
    """Rules that report something in `sql`, applied after TABLES."""
    before, file, queries = folder / "1_tables.sql", folder / "2_change.sql", folder / "queries.sql"
    before.write_text(TABLES)
    file.write_text(sql)
    queries.write_text(QUERIES)
    return [finding.rule for finding in lint([before, file], [queries])]


@pytest.mark.parametrize("sql", DEFECTS)
def test_defect_is_reported(sql: str, tmp_path: Path) -> None:
    assert DEFECTS[sql] in rules_found(tmp_path, sql)


@pytest.mark.parametrize("sql", HARMLESS)
def test_harmless_statement_is_not_reported(sql: str, tmp_path: Path) -> None:
    assert rules_found(tmp_path, sql) == []


def test_comment_with_a_reason_silences_one_rule_for_one_statement(tmp_path: Path) -> None:
    sql = """
        -- easymo:ignore non-concurrent-create the table is empty until the release
        create index if not exists i on tickets (agent);
        create index j on tickets (agent, phone);
    """
    assert rules_found(tmp_path, sql) == ["prefix-of-another", "non-concurrent-create"]


def test_comment_without_a_reason_silences_nothing(tmp_path: Path) -> None:
    assert rules_found(tmp_path, "-- easymo:ignore non-concurrent-create\ncreate index i on tickets (agent);") == [
        "non-concurrent-create"
    ]


def test_our_own_migration_has_no_finding_left() -> None:
    assert lint([MIGRATIONS / "20251101000000_schema.sql", INDEXES]) == []


def test_every_silence_in_our_own_migration_is_needed(tmp_path: Path) -> None:
    text = INDEXES.read_text()
    silenced = re.findall(r"^-- easymo:ignore ([a-z-]+)", text, re.MULTILINE)
    bare = tmp_path / INDEXES.name
    bare.write_text(text.replace("easymo:ignore", "ignore"))
    found = [finding.rule for finding in lint([MIGRATIONS / "20251101000000_schema.sql", bare])]
    assert sorted(found) == sorted(silenced)


async def test_sql_of_the_note_is_what_the_facts_say_of_it(database_url: str) -> None:
    if not NOTE.is_dir():
        pytest.skip("the performance note is not beside this repository (../shared/seed), so nothing was read from it")
    note = next(NOTE.glob("*.txt")).read_text(encoding="utf-8")
    names = re.findall(r"^(idx_\w+)", note, re.MULTILINE)
    assert sorted(names) == sorted(index.name for index in read_declared(INDEXES))
    (usage,) = re.findall(r"SELECT schemaname.*?;", note, re.DOTALL)
    connection = await asyncpg.connect(database_url)
    try:
        with pytest.raises(asyncpg.UndefinedColumnError):
            await connection.fetch(usage)
    finally:
        await connection.close()


def test_index_drop_of_the_note_is_harmless_but_not_in_a_transaction(tmp_path: Path) -> None:
    if not NOTE.is_dir():
        pytest.skip("the performance note is not beside this repository (../shared/seed), so nothing was read from it")
    (drop,) = re.findall(r"DROP INDEX [^;]*;", next(NOTE.glob("*.txt")).read_text(encoding="utf-8"))
    assert rules_found(tmp_path, drop) == []
    assert rules_found(tmp_path, f"begin; {drop} commit;") == ["concurrently-in-transaction"]
