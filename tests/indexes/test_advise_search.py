"""What one candidate at a time, or the planner's cost, does not tell, advise finds together and by measuring."""

from pathlib import Path

import asyncpg
import pytest

from easymo.embedded import Postgres
from easymo.indexes.advise import Advice, advise, judgement
from easymo.indexes.advise.bench import Bench
from easymo.indexes.advise.candidates import Candidate, together
from easymo.indexes.advise.search import Search
from easymo.indexes.advise.workload import read_work
from easymo.indexes.explain import read_plan
from easymo.indexes.hotqueries import HotQuery, read_hot_queries

TABLE = """
create table {table} (id bigint primary key, place integer, amount numeric, note text);
insert into {table} select i, i * 7919 % 50, i % 1000, repeat('x', 200) from generate_series(1, 60000) i;
"""
# Most is left of `most`, then of `sister`, which the index for `most` serves as well; `other` is on another table.
WORKLOAD = """
-- name: most
-- calls_per_minute: 600
select sum(amount) from sales where place = :place;
-- name: sister
-- calls_per_minute: 20
select avg(amount) from sales where place = :place;
-- name: other
-- calls_per_minute: 15
select sum(amount) from parcels where place = :place;
"""


async def advised(
    sql: str, database_url: str, postgres: Postgres, folder: Path, budget_bytes: int | None = None
) -> Advice:
    file = folder / "workload.sql"
    file.write_text(sql)
    return await advise(database_url, read_hot_queries([file]), budget_bytes=budget_bytes, scratch_url=postgres.url)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was built besides the choice of the model, to be measured."""
    found: list[str] = []
    original = Search._try

    async def watched(search: Search, candidate: Candidate) -> None:
        found.append(candidate.statement.split(" on ")[1])
        await original(search, candidate)

    monkeypatch.setattr(Search, "_try", watched)
    return found


async def fill(connection: asyncpg.Connection, *tables: str) -> None:
    for table in tables:
        await connection.execute(TABLE.format(table=table))
    await connection.execute("vacuum analyze")


async def test_a_query_that_is_helped_meanwhile_does_not_end_the_search_for_the_others(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres, tmp_path: Path, tried: list[str]
) -> None:
    await fill(connection, "sales", "parcels")
    advice = await advised(WORKLOAD, database_url, postgres, tmp_path)
    assert "public.sales (place) include (amount)" in {index.statement.split(" on ")[1] for index in advice.indexes}
    assert tried == ["public.sales (place) include (amount)", "public.parcels (place) include (amount)"]


async def test_what_does_not_fit_the_budget_is_not_tried(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres, tmp_path: Path, tried: list[str]
) -> None:
    await fill(connection, "sales", "parcels")
    advice = await advised(WORKLOAD, database_url, postgres, tmp_path, budget_bytes=1_500_000)
    assert "public.sales (place)" in {index.statement.split(" on ")[1] for index in advice.indexes}
    assert tried == []


async def test_an_index_fits_the_budget_that_is_too_large_on_the_small_copy_where_few_rows_have_a_value_in_common(
    connection: asyncpg.Connection,
    database_url: str,
    postgres: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judgement, "MODEL_BYTES", 500_000)
    await connection.execute(TABLE.replace("7919 % 50", "7919 % 2000").format(table="sales"))
    await connection.execute("vacuum analyze")
    dear = "-- name: dear\n-- calls_per_minute: 60\nselect id from sales where place = :place;"
    advice = await advised(dear, database_url, postgres, tmp_path, budget_bytes=800_000)
    assert [index.statement.split(" on ")[1] for index in advice.indexes] == ["public.sales (place)"]
    assert advice.size_bytes <= 800_000


async def test_the_budget_is_kept_where_the_estimates_were_too_small(
    connection: asyncpg.Connection,
    database_url: str,
    postgres: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing(_: Bench, __: Candidate) -> int:
        return 0

    monkeypatch.setattr(Bench, "estimated_bytes", nothing)
    await fill(connection, "sales", "parcels")
    advice = await advised(WORKLOAD, database_url, postgres, tmp_path, budget_bytes=600_000)
    assert [index.statement.split(" on ")[1] for index in advice.indexes] == ["public.sales (place)"]
    assert advice.size_bytes <= 600_000
    assert "over the budget" in " ".join(advice.dropped.values())


async def test_an_or_of_two_columns_gets_an_index_for_each(
    connection: asyncpg.Connection, database_url: str, postgres: Postgres, tmp_path: Path
) -> None:
    await connection.execute(
        "create table moves (id bigint primary key, source integer, target integer, at integer);"
        "insert into moves select i, i * 7919 % 9973, i * 31 % 9973, i from generate_series(1, 60000) i;"
    )
    await connection.execute("vacuum analyze moves")
    either = "-- name: either\n-- calls_per_minute: 60\nselect id from moves where source = 5 or target = 5;"
    advice = await advised(either, database_url, postgres, tmp_path)
    assert {index.statement.split(" on ")[1] for index in advice.indexes} == {
        "public.moves (source)",
        "public.moves (target)",
    }


def test_entries_of_a_bitmap_are_a_fifth_of_the_work_of_rows() -> None:
    entries = {"Node Type": "Bitmap Index Scan", "Index Name": "i", "Actual Rows": 500, "Actual Loops": 2}
    heap = {"Node Type": "Bitmap Heap Scan", "Actual Rows": 10, "Rows Removed by Filter": 20, "Actual Loops": 2}
    assert read_plan(heap | {"Total Cost": 1.0, "Plans": [entries]}).rows == 2 * (10 + 20) + 2 * 500 // 5


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("source = 1 or target = 1", ["source", "target"]),
        ("state = 'open' and (source = $1 or target = $1)", ["source", "target"]),
        ("source = 1 and state = 'open' or at > $1", ["source", "at"]),
        ("source = 1 or source = 2", None),
        ("source = 1 or m.id + target = 2", None),
        ("source = 1 or p.town = 'Huye'", None),
        ("source = 1 and target = 1", None),
    ],
)
async def test_an_or_wants_indexes_together_where_each_arm_can_use_one_of_the_same_table(
    connection: asyncpg.Connection, where: str, keys: list[str] | None
) -> None:
    await connection.execute(
        "create table moves (id int, source int, target int, state text, at int);"
        "create table places (id int, town text)"
    )
    sql = f"select m.id from moves m join places p on p.id = m.target where {where}"
    work = await read_work(connection, [HotQuery("q", sql.replace("source", "m.source"), Path("q.sql"), 1)])
    groups = together(work.queries[0].asked, work.catalogue)
    assert [[candidate.keys[0] for candidate in group] for group in groups] == ([keys] if keys else [])
