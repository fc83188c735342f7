"""Each of the fourteen indexes is what the planner chooses for a hot query, with real parameters at note scale."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from easymo.indexes import read_declared
from easymo.indexes.parser import words
from easymo_platform.sample_data.keys import phone_number, user_id
from tests.sample_data.conftest import INDEXES

SERVICES = Path(__file__).parents[2] / "src" / "easymo_platform"
QUERY_FILES = ("voice_bridge/queries.sql", "whatsapp_webhook/queries.sql")

SERVED_BY = {
    "Q1": "idx_voice_calls_created_at",
    "Q2": "idx_voice_calls_status",
    "Q3": "idx_voice_calls_phone",
    "Q4": "idx_whatsapp_messages_phone",
    "Q5": "idx_whatsapp_messages_created_at",
    "Q6a": "idx_whatsapp_messages_status",
    "Q6b": "idx_whatsapp_messages_recent_pending",
    "Q7": "idx_whatsapp_messages_recent_pending",
    "Q8a": "idx_transactions_created_at",
    "Q8b": "idx_transactions_created_at",
    "Q9": "idx_transactions_user_id",
    "Q10": "idx_transactions_status",
    "Q11": "idx_voice_calls_user_created",
    "Q12": "idx_whatsapp_messages_user_created",
    "Q13": "idx_voice_calls_recent_active",
    "Q14": "idx_users_phone_status",
}
# By rank of activity: the busiest user, an ordinary one, one with hardly any rows.
RANKS = (0, 500, 30_000)


def hot_queries() -> Iterator[tuple[str, str]]:
    for file in QUERY_FILES:
        yield from re.findall(r"^-- (Q\w+): .*\n([^;]*);", (SERVICES / file).read_text(), flags=re.MULTILINE)


def bound(sql: str, rank: int) -> tuple[str, list[str]]:
    """The statement with $1, $2 … and their values for the user of this rank."""
    names: list[str] = re.findall(r"(?<!:):(\w+)", sql)
    for position, name in enumerate(names, start=1):
        sql = re.sub(rf"(?<!:):{name}\b", f"${position}", sql)
    values = {"user_id": str(user_id(rank))} | dict.fromkeys(
        ("to_number", "from_number", "phone_number"), phone_number(rank)
    )
    return sql, [values[name] for name in names]


def indexes_in(plan: dict[str, Any]) -> set[str]:
    found = {plan["Index Name"]} if "Index Name" in plan else set()
    return found.union(*(indexes_in(child) for child in plan.get("Plans", [])))


@pytest.fixture
async def connection(note_database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(note_database, statement_cache_size=0)
    try:
        yield connection
    finally:
        await connection.close()


async def explain(connection: asyncpg.Connection, sql: str, values: list[str], options: str = "") -> dict[str, Any]:
    """Plan as a service's prepared statement gets it."""
    await connection.execute(f"prepare hot as {sql}")
    arguments = f"({', '.join(repr(value) for value in values)})" if values else ""
    text = await connection.fetchval(f"explain (format json{options}) execute hot{arguments}")
    await connection.execute("deallocate hot")
    plan: dict[str, Any] = json.loads(text)[0]["Plan"]
    return plan


@pytest.mark.parametrize("plan_cache_mode", ["force_custom_plan", "force_generic_plan"])
async def test_planner_chooses_its_index_for_every_hot_query(
    connection: asyncpg.Connection, plan_cache_mode: str
) -> None:
    await connection.execute(f"set plan_cache_mode = {plan_cache_mode}")
    chosen = {
        query: set.union(*[indexes_in(await explain(connection, *bound(sql, rank))) for rank in RANKS])
        for query, sql in hot_queries()
    }
    assert chosen == {query: {index} for query, index in SERVED_BY.items()}


def test_every_one_of_the_fourteen_serves_a_hot_query() -> None:
    names = [index.name for index in read_declared(INDEXES)]
    assert len(names) == 14
    assert set(names) == set(SERVED_BY.values())


def test_no_two_of_the_fourteen_are_the_same_index() -> None:
    shapes = [(index.definition.table, index.definition.shape) for index in read_declared(INDEXES)]
    assert len(set(shapes)) == 14


def test_nothing_in_the_file_hides_an_invalid_index_or_locks_a_table() -> None:
    for index in read_declared(INDEXES):
        spelt = [word.lower() for word in words(index.statement)]
        assert "concurrently" in spelt
        assert "exists" not in spelt


@pytest.mark.parametrize("status", ["active", "inactive", "suspended"])
async def test_user_by_phone_reads_the_index_only_whatever_the_status(
    connection: asyncpg.Connection, status: str
) -> None:
    number = await connection.fetchval("select phone_number from users where status = $1 limit 1", status)
    sql, _ = bound(dict(hot_queries())["Q14"], 0)
    plan = await explain(connection, sql, [number], ", analyze")
    assert (plan["Node Type"], plan["Heap Fetches"], plan["Actual Rows"]) == ("Index Only Scan", 0, 1)
