"""The life cycle of a call, for our own callers."""

import asyncio
from uuid import uuid4

import pytest

from easymo_platform.voice_bridge.model import LIVE, RANK, predecessors, predecessors_for_provider
from tests.conftest import Database
from tests.voice_bridge.client import insert_call, move, status_of, until, voice_bridge

LEGAL = {
    ("pending", "ringing"),
    ("pending", "active"),
    ("pending", "failed"),
    ("pending", "busy"),
    ("pending", "no_answer"),
    ("pending", "canceled"),
    ("ringing", "active"),
    ("ringing", "failed"),
    ("ringing", "busy"),
    ("ringing", "no_answer"),
    ("ringing", "canceled"),
    ("active", "completed"),
    ("active", "failed"),
}


async def test_every_pair_of_statuses_is_answered_as_the_life_cycle_says(
    environ: dict[str, str], database: Database
) -> None:
    async with voice_bridge(environ) as client:
        for before in RANK:
            for after in RANK:
                call_id = await insert_call(database, before)
                response = await move(client, call_id, after)
                if before == after:
                    assert (response.status_code, response.json()["changed"]) == (200, False), (before, after)
                elif (before, after) in LEGAL:
                    assert (response.status_code, response.json()["changed"]) == (200, True), (before, after)
                    assert await status_of(database, call_id) == after
                else:
                    assert response.status_code == 409, (before, after)
                    assert response.json()["error"] == "illegal_transition"
                    assert await status_of(database, call_id) == before


def test_no_move_lowers_the_rank_of_a_call() -> None:
    for status, rank in RANK.items():
        for allowed in (predecessors(status), predecessors_for_provider(status)):
            assert all(RANK[earlier] < rank for earlier in allowed)
            assert set(allowed) <= set(LIVE)


async def test_same_status_again_writes_nothing(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, "ringing")
    before = await database.fetchval("select xmin::text from voice_calls where id = $1", call_id)
    async with voice_bridge(environ) as client:
        await move(client, call_id, "ringing")
    assert await database.fetchval("select xmin::text from voice_calls where id = $1", call_id) == before


async def test_of_two_moves_at_once_one_wins_and_the_other_is_a_conflict(
    environ: dict[str, str], database: Database
) -> None:
    async with voice_bridge(environ) as client:
        for _ in range(25):
            call_id = await insert_call(database, "active")
            responses = await asyncio.gather(move(client, call_id, "completed"), move(client, call_id, "failed"))
            assert sorted(response.status_code for response in responses) == [200, 409]
            winner = next(response for response in responses if response.status_code == 200)
            assert await status_of(database, call_id) == winner.json()["status"]


async def test_move_waits_for_another_writer_and_then_sees_what_it_wrote(
    environ: dict[str, str], database: Database
) -> None:
    call_id = await insert_call(database, "ringing")
    async with voice_bridge(environ) as client:
        async with database.transaction():
            await database.execute("update voice_calls set status = 'busy' where id = $1", call_id)
            late = asyncio.create_task(move(client, call_id, "active"))
            await _until_somebody_waits_for_a_lock(database)
        assert (await late).status_code == 409
    assert await status_of(database, call_id) == "busy"


async def test_times_and_duration_are_kept_on_the_way(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database)
    async with voice_bridge(environ) as client:
        for status in ("ringing", "active", "completed"):
            assert (await move(client, call_id, status)).status_code == 200
        call = (await client.get(f"/calls/{call_id}")).json()
    assert call["started_at"] <= call["answered_at"] <= call["ended_at"]
    assert call["duration_seconds"] == 0


async def test_unknown_call_is_not_found(environ: dict[str, str], database: Database) -> None:
    async with voice_bridge(environ) as client:
        for status in ("ringing", "pending"):
            response = await move(client, uuid4(), status)
            assert (response.status_code, response.json()["error"]) == (404, "call_not_found")


@pytest.mark.parametrize("body", [b"{}", b'{"status":"sleeping"}', b'{"status":"active","by":"me"}', b"{", b"\xff"])
async def test_malformed_status_is_an_invalid_payload(environ: dict[str, str], database: Database, body: bytes) -> None:
    call_id = await insert_call(database)
    async with voice_bridge(environ) as client:
        response = await client.post(f"/calls/{call_id}/status", content=body)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_payload")
    assert await status_of(database, call_id) == "pending"


async def _until_somebody_waits_for_a_lock(database: Database) -> None:
    waiting = (
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() "
        "and pg_stat_clear_snapshot() is not null"
    )
    await until(lambda: database.fetchval(waiting), within_s=60)
