"""What is cached is what the table says: every writer drops it, and everything works without Redis."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any
from uuid import UUID

import httpx
import pytest

from easymo.embedded import Valkey
from easymo_platform.voice_bridge.app import create
from easymo_platform.voice_bridge.strategies import VoiceStrategies, in_a_key
from tests import asgi
from tests.conftest import Database
from tests.voice_bridge.client import NUMBER, callback, insert_call, insert_user, move, place, until, voice_bridge

LIVE_CALLS = "/analytics/live-calls"
FRESH_WITHIN_S = 5.0
"""Half of the shortest ttl of these lists: what is seen within it was dropped, it did not merely end. How soon it is
seen is measured elsewhere; a busy machine has no say here."""


async def live(client: httpx.AsyncClient, path: str = LIVE_CALLS) -> dict[UUID, dict[str, Any]]:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    return {UUID(call["id"]): call for call in response.json()["calls"]}


@pytest.mark.parametrize(
    "path",
    [
        LIVE_CALLS,
        f"{LIVE_CALLS}?limit=3",
        f"{LIVE_CALLS}?status=active",
        "/analytics/dashboard",
        "/analytics/dashboard?window=7d",
        "/analytics/transactions",
        f"/calls?number={NUMBER}",
        "/calls?user_id=00000000-0000-0000-0000-000000000001",
    ],
)
async def test_later_read_is_a_hit_with_the_same_bytes(environ: dict[str, str], path: str) -> None:
    async with voice_bridge(environ) as client:
        first, second = await client.get(path), await _hit(client, path)
    assert first.headers["x-cache"] == "MISS"
    assert first.content == second.content
    assert second.headers["content-type"] == "application/json"


async def test_call_is_cached_by_its_id_and_an_unknown_one_is_not(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database)
    async with voice_bridge(environ) as client:
        assert (await client.get(f"/calls/{call_id}")).headers["x-cache"] == "MISS"
        await _hit(client, f"/calls/{call_id}")
        later = UUID(int=7)
        assert (await client.get(f"/calls/{later}")).status_code == 404
        await database.execute("update voice_calls set id = $1", later)
        assert (await client.get(f"/calls/{later}")).status_code == 200


async def test_limits_do_not_share_a_cached_list(environ: dict[str, str], database: Database) -> None:
    for _ in range(20):
        await insert_call(database, "ringing")
    async with voice_bridge(environ) as client:
        sizes = [len(await live(client, f"{LIVE_CALLS}?limit={limit}")) for limit in (1, 15, 16, 100, 1)]
    assert sizes == [1, 15, 16, 20, 1]


Writer = Callable[[httpx.AsyncClient, UUID], Awaitable[httpx.Response]]


async def _status(client: httpx.AsyncClient, call_id: UUID) -> httpx.Response:
    return await move(client, call_id, "active")


async def _callback(client: httpx.AsyncClient, call_id: UUID) -> httpx.Response:
    return await callback(client, call_id, "in-progress", 1)


async def _consent(client: httpx.AsyncClient, call_id: UUID) -> httpx.Response:
    return await client.post(f"/calls/{call_id}/consent", json={})


SHOWN: dict[Writer, tuple[str, object]] = {
    _status: ("status", "active"),
    _callback: ("status", "active"),
    _consent: ("consent_obtained", True),
}


@pytest.mark.parametrize("write", SHOWN)
async def test_every_writer_of_a_call_is_seen_by_the_next_read_of_everything_that_shows_it(
    environ: dict[str, str], database: Database, write: Writer
) -> None:
    """A cache that is never invalidated fails here."""
    column, value = SHOWN[write]
    user_id = await insert_user(database)
    call_id = await insert_call(database, "ringing", user_id=user_id)
    lists = [LIVE_CALLS, f"{LIVE_CALLS}?limit=100", f"/calls?number={NUMBER}", f"/calls?user_id={user_id}"]
    async with voice_bridge(environ) as writer, voice_bridge(environ) as reader:
        clients = (writer, reader)
        for client in clients:
            for path in lists:
                assert (await live(client, path))[call_id][column] != value
            assert (await client.get(f"/calls/{call_id}")).json()[column] != value
        assert (await write(writer, call_id)).status_code == 200
        written = perf_counter()
        for path in lists:
            assert (await live(writer, path))[call_id][column] == value, path
        assert (await writer.get(f"/calls/{call_id}")).json()[column] == value
        assert perf_counter() - written < FRESH_WITHIN_S
        # Another process hears of it by a push of the server.
        await until(lambda: _shows(reader, lists, call_id, column, value), within_s=FRESH_WITHIN_S)


async def test_new_call_is_in_the_live_list_at_once(environ: dict[str, str], database: Database) -> None:
    async with voice_bridge(environ) as client:
        assert await live(client) == {}
        assert await live(client, f"/calls?number={NUMBER}") == {}
        call_id = UUID((await place(client)).json()["callId"])
        assert list(await live(client)) == [call_id]
        assert list(await live(client, f"/calls?number={NUMBER}")) == [call_id]


async def test_call_that_ended_leaves_the_live_lists_at_once(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, "active")
    async with voice_bridge(environ) as client:
        for path in (LIVE_CALLS, f"{LIVE_CALLS}?status=active"):
            assert list(await live(client, path)) == [call_id]
        await move(client, call_id, "completed")
        for path in (LIVE_CALLS, f"{LIVE_CALLS}?status=active"):
            assert await live(client, path) == {}


async def test_transcript_is_seen_by_the_next_read_of_the_call(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, "active")
    async with voice_bridge(environ) as client:
        assert (await client.get(f"/calls/{call_id}")).json()["transcript_status"] is None
        segments = {"segments": [{"sequence": 0, "speaker": "caller", "text": "Muraho"}]}
        await client.post(f"/calls/{call_id}/segments", json=segments)
        assert (await client.get(f"/calls/{call_id}")).json()["transcript_status"] == "processing"


async def test_refused_move_drops_nothing(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, "completed")
    async with voice_bridge(environ) as client:
        await _hit(client, f"/calls/{call_id}")
        assert (await move(client, call_id, "active")).status_code == 409
        assert (await client.get(f"/calls/{call_id}")).headers["x-cache"] == "HIT"


async def test_events_of_the_strategies_are_those_of_the_writers() -> None:
    """Each event has a test above: placing, moving (API, callback, sweeper), consent, transcript."""
    tested = {
        "voice_call.created",
        "voice_call.status_changed",
        "voice_call.consent_recorded",
        "voice_call.transcribed",
    }
    own = (VoiceStrategies.live_calls, VoiceStrategies.active_calls, VoiceStrategies.voice_call)
    lists = (VoiceStrategies.calls_of_user, VoiceStrategies.calls_to_number)
    assert {event for strategy in (*own, *lists) for event in strategy.invalidated_by} == tested


def test_key_of_a_numbers_calls_does_not_hold_the_number() -> None:
    key = str(VoiceStrategies.calls_to_number(in_a_key(NUMBER)))
    assert NUMBER[1:] not in key
    assert key != str(VoiceStrategies.calls_to_number(in_a_key(NUMBER[:-1])))


async def test_redis_that_is_switched_off_is_never_connected_to(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, "ringing")
    async with _counting_listener() as (port, accepted):
        off = {"REDIS_URL": f"redis://127.0.0.1:{port}", "REDIS_ENABLED": "false"}
        async with voice_bridge(environ | off) as client:
            for path in (LIVE_CALLS, f"/calls/{call_id}", f"/calls?number={NUMBER}", "/analytics/dashboard"):
                for _ in range(2):
                    response = await client.get(path)
                    assert (response.status_code, response.headers["x-cache"]) == (200, "BYPASS")
            assert (await place(client)).status_code == 201
            assert (await move(client, call_id, "active")).status_code == 200
            assert (await client.get("/health")).json()["checks"]["redis"] == "off"
            assert (await client.get("/cache/stats")).json()["enabled"] is False
        assert accepted == []
        # The same listener does count a service that is not switched off.
        async with voice_bridge(environ | {"REDIS_URL": off["REDIS_URL"]}) as client:
            assert (await client.get(LIVE_CALLS)).status_code == 200
        assert accepted


async def test_reads_and_writes_go_on_when_redis_is_killed(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, "ringing")
    with Valkey() as valkey:
        async with voice_bridge(environ | {"REDIS_URL": valkey.url}) as client:
            assert (await live(client))[call_id]["status"] == "ringing"
            assert valkey.pid
            os.kill(valkey.pid, signal.SIGKILL)
            assert (await move(client, call_id, "active")).status_code == 200
            for _ in range(20):
                response = await client.get(LIVE_CALLS)
                assert response.status_code == 200
                assert response.json()["calls"][0]["status"] == "active"
            assert response.headers["x-cache"] == "BYPASS"
            health = await client.get("/health")
            assert (health.status_code, health.json()["status"]) == (200, "degraded")
            assert (await client.get("/health/ready")).status_code == 200


async def test_errors_are_not_cached(environ: dict[str, str], database: Database) -> None:
    async with voice_bridge(environ) as client:
        await database.execute("alter table voice_calls rename to elsewhere")
        failed = await client.get(LIVE_CALLS)
        assert (failed.status_code, failed.json()["error"]) == (500, "analytics_unavailable")
        await database.execute("alter table elsewhere rename to voice_calls")
        assert (await client.get(LIVE_CALLS)).status_code == 200


async def test_cached_reads_send_no_statement(environ: dict[str, str]) -> None:
    app = create(environ)
    registry = app.state.runtime.metrics.registry
    async with app.lifespan(), httpx.AsyncClient(transport=asgi.transport(app), base_url="http://v") as client:
        for _ in range(10):
            await client.get(LIVE_CALLS)
        await _hit(client, LIVE_CALLS)
        stats = (await client.get("/cache/stats")).json()["strategies"]["live_calls"]
    assert registry.get_sample_value("db_queries_total", {"service": "voice-bridge", "query": "live_calls"}) == 1
    assert stats["loads"] == 1
    assert stats["near_hits"] + stats["redis_hits"] >= 1


async def _hit(client: httpx.AsyncClient, path: str) -> httpx.Response:
    """An answer from the cache. Those that come before Redis has stored the value still count as misses."""
    answers: list[httpx.Response] = []

    async def is_hit() -> bool:
        answers.append(await client.get(path))
        return answers[-1].headers["x-cache"] == "HIT"

    await until(is_hit, within_s=60)
    return answers[-1]


async def _shows(client: httpx.AsyncClient, lists: list[str], call_id: UUID, column: str, value: object) -> bool:
    shown = [(await live(client, path))[call_id][column] for path in lists]
    shown.append((await client.get(f"/calls/{call_id}")).json()[column])
    return set(shown) == {value}


@asynccontextmanager
async def _counting_listener() -> AsyncIterator[tuple[int, list[object]]]:
    """A port that hangs up on everybody, and the list of who came."""
    accepted: list[object] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, family=socket.AF_INET)
    async with server:
        yield server.sockets[0].getsockname()[1], accepted
