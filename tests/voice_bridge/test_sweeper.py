"""Calls that nobody ends are failed after four hours."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from litestar import Litestar
from prometheus_client import Gauge

from easymo_platform.voice_bridge import store as module
from easymo_platform.voice_bridge.app import create
from easymo_platform.voice_bridge.model import LIVE, RANK
from easymo_platform.voice_bridge.worker import Sweeper
from tests import asgi
from tests.conftest import Database
from tests.voice_bridge.client import insert_call, status_of, until


def ago(**duration: float) -> datetime:
    return datetime.now(UTC) - timedelta(**duration)


def sweeper_of(app: Litestar) -> Sweeper:
    return Sweeper(app.state.service.store, 1, Gauge("live", "Live calls.", registry=None))


async def test_only_live_calls_untouched_for_four_hours_are_failed(environ: dict[str, str], database: Database) -> None:
    stuck = [await insert_call(database, status, updated_at=ago(hours=4, minutes=1)) for status in LIVE]
    ended = {
        await insert_call(database, status, updated_at=ago(days=9)): status for status in RANK if status not in LIVE
    }
    touched = await insert_call(database, "active", created_at=ago(days=1), updated_at=ago(hours=3, minutes=59))
    app = create(environ)
    async with app.lifespan():
        assert await sweeper_of(app).sweep() == 3
    assert {await status_of(database, call_id) for call_id in stuck} == {"failed"}
    assert {call_id: await status_of(database, call_id) for call_id in ended} == ended
    assert await status_of(database, touched) == "active"


async def test_swept_call_leaves_the_live_list_at_once(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, "ringing", updated_at=ago(hours=5))
    app = create(environ)
    async with app.lifespan(), httpx.AsyncClient(transport=asgi.transport(app), base_url="http://v") as client:
        assert len((await client.get("/analytics/live-calls")).json()["calls"]) == 1
        assert (await client.get(f"/calls/{call_id}")).json()["status"] == "ringing"
        await sweeper_of(app).sweep()
        assert (await client.get("/analytics/live-calls")).json()["calls"] == []
        assert (await client.get(f"/calls/{call_id}")).json()["status"] == "failed"


async def test_more_calls_than_a_batch_are_swept_in_one_turn(
    environ: dict[str, str], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SWEEP_BATCH", 2)
    for _ in range(5):
        await insert_call(database, updated_at=ago(hours=5))
    app = create(environ)
    async with app.lifespan():
        assert await sweeper_of(app).sweep() == 5


async def test_one_replica_sweeps_at_a_time(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, updated_at=ago(hours=5))
    app = create(environ)
    async with app.lifespan():
        async with database.transaction():
            await database.execute("select pg_advisory_xact_lock(hashtext('easymo:voice-bridge:sweeper'))")
            assert await sweeper_of(app).sweep() == 0
        assert await status_of(database, call_id) == "pending"
        assert await sweeper_of(app).sweep() == 1


async def test_call_that_another_writer_holds_is_left_to_it(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, "ringing", updated_at=ago(hours=5))
    app = create(environ)
    async with app.lifespan():
        async with database.transaction():
            await database.execute(
                "update voice_calls set status = 'active', updated_at = now() where id = $1", call_id
            )
            assert await sweeper_of(app).sweep() == 0
        assert await sweeper_of(app).sweep() == 0
    assert await status_of(database, call_id) == "active"


async def test_service_sweeps_by_itself_and_keeps_the_gauge(environ: dict[str, str], database: Database) -> None:
    call_id = await insert_call(database, updated_at=ago(hours=5))
    app = create(environ | {"VOICE_SWEEP_INTERVAL_S": "0"})
    registry = app.state.runtime.metrics.registry
    async with app.lifespan():

        async def swept() -> bool:
            return await status_of(database, call_id) == "failed"

        async def gauge_is_zero() -> bool:
            await database.fetchval("select 1")
            return registry.get_sample_value("voice_calls_live", {"service": "voice-bridge"}) == 0

        await until(swept, within_s=60)
        await until(gauge_is_zero, within_s=60)
        failed = {"service": "voice-bridge", "status": "failed"}
        assert registry.get_sample_value("voice_calls_total", failed) == 1
