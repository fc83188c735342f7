"""`python -m easymo_platform status` beside services that run, and beside some that do not."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
import yaml

from easymo.embedded import Valkey
from easymo.indexes.hotqueries import read_hot_queries
from easymo_platform.agent_core import app as agent_core
from easymo_platform.operations.status.command import Status, main
from easymo_platform.operations.status.problems import LIMITS
from easymo_platform.operations.status.services import Page, quantile_ms, service_status
from easymo_platform.video_orchestrator import app as video_orchestrator
from easymo_platform.video_orchestrator import worker_app as video_worker
from easymo_platform.voice_bridge import app as voice_bridge
from easymo_platform.whatsapp_webhook import app as whatsapp_webhook
from easymo_platform.whatsapp_webhook import worker_app as whatsapp_worker
from tests.conftest import Database
from tests.operations.processes import command
from tests.whatsapp_webhook.client import SECRET, VERIFY
from tests.whatsapp_webhook.outside import served

APPS: dict[str, Callable[[Mapping[str, str]], Any]] = {
    "voice-bridge": voice_bridge.create,
    "video-orchestrator": video_orchestrator.create,
    "video-worker": video_worker.create,
    "whatsapp-webhook": whatsapp_webhook.create,
    "whatsapp-worker": whatsapp_worker.create,
    "agent-core": agent_core.create,
}
CALLS = """
insert into voice_calls (direction, from_number, to_number, status, agent_profile, provider)
select 'outbound', '+250700000001', '+2507' || n, 'completed', 'general_agent', 'simulated'
from generate_series(1, 20000) n; analyze voice_calls
"""
NOWHERE = "http://127.0.0.1:1"
RULES = Path(__file__).parents[2] / "monitoring" / "prometheus" / "rules.yaml"


@pytest.fixture
async def database(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A connection to a fully migrated database, which is that of the environment."""
    monkeypatch.setenv("DATABASE_URL", migrated_url)
    connection = await asyncpg.connect(migrated_url)
    try:
        await connection.execute("create extension pg_stat_statements; select pg_stat_statements_reset()")
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def platform(migrated_url: str, redis_url: str, folder: Path, *names: str) -> AsyncIterator[list[str]]:
    """Those services, all without names; the arguments that tell `status` where they are, and the others nowhere."""
    environ = {
        "DATABASE_URL": migrated_url,
        "REDIS_URL": redis_url,
        "AUTH_DISABLED": "true",
        "SERVICE_JWT_KEYS": "key-of-the-tests-of-the-status-of-all",
        "RENDER_DIR": str(folder),
        "DATABASE_POOL_SIZE": "4",
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_VERIFY_TOKEN": VERIFY,
        "WHATSAPP_PROVIDER": "simulated",
    }
    urls = dict.fromkeys(APPS, NOWHERE)
    async with AsyncExitStack() as stack:
        for name in names or APPS:
            urls[name] = await stack.enter_async_context(served(APPS[name](environ)))
        yield [argument for name, url in urls.items() for argument in ("--url", f"{name}={url}")]


def url_of(arguments: list[str], service: str) -> str:
    (url,) = (argument.partition("=")[2] for argument in arguments if argument.startswith(f"{service}="))
    return url


async def status(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["--seconds", "0.5", *arguments])


async def status_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Status]:
    capsys.readouterr()
    code = await status("--json", *arguments)
    lines = capsys.readouterr().out.splitlines()  # services in this process log there too
    (line,) = (line for line in lines if line.startswith('{"at":'))
    return code, msgspec.json.decode(line, type=Status)


async def test_healthy_platform_is_told_in_80_columns_without_colours_and_with_exit_code_0(
    database: Database, migrated_url: str, valkey: Valkey, tmp_path: Path
) -> None:
    async with platform(migrated_url, valkey.url, tmp_path) as arguments:
        traffic = asyncio.create_task(ask_again_and_again(url_of(arguments, "voice-bridge")))
        async with asyncio.timeout(60):
            code = 1
            while code:  # all are connected after a moment
                code, printed = await asyncio.to_thread(run_status, *arguments)
        traffic.cancel()
    assert "Nothing is wrong." in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert "\x1b" not in printed
    (row,) = (line.split() for line in printed.splitlines() if line.startswith("voice-bridge"))
    requests, p95, p99, errors = row[1:5]
    assert float(requests) > 0
    assert 0 < float(p95) <= float(p99)
    assert errors == "0%"
    assert all(any(line.startswith(name) for line in printed.splitlines()) for name in APPS)


def run_status(*arguments: str) -> tuple[int, str]:
    """In a process of its own; the exit code and what it printed."""
    with command("status", "--seconds", "1", *arguments, DATABASE_URL=os.environ["DATABASE_URL"]) as process:
        printed, _ = process.communicate(timeout=60)
        return process.returncode, printed


async def ask_again_and_again(url: str) -> None:
    """So few that their percentiles are shown and not judged, whatever this machine does at the time."""
    async with httpx.AsyncClient(base_url=url) as client:
        while True:
            await client.get("/analytics/live-calls?limit=5")
            await asyncio.sleep(0.1)


async def test_services_that_are_down_are_named_and_the_others_still_shown(
    database: Database, migrated_url: str, valkey: Valkey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with platform(migrated_url, valkey.url, tmp_path, "voice-bridge", "whatsapp-webhook") as arguments:
        code, seen = await status_json(capsys, *arguments)
    assert (code, seen.healthy) == (1, False)
    down = {service.service for service in seen.services if service.unreachable_because}
    assert down == set(APPS) - {"voice-bridge", "whatsapp-webhook"}
    assert {problem.sentence.split()[0] for problem in seen.problems} == down
    assert all(NOWHERE in problem.sentence for problem in seen.problems)


async def test_without_postgres_the_services_are_still_shown(
    database: Database, migrated_url: str, valkey: Valkey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with platform(migrated_url, valkey.url, tmp_path, "voice-bridge") as arguments:
        code, seen = await status_json(capsys, *arguments, "--database-url", "postgresql://127.0.0.1:1/easymo")
    assert code == 1
    assert seen.problems[0].sentence.startswith("Postgres cannot be asked: ")
    assert seen.services[0].pool_size == 4


async def test_lost_redis_is_told_by_the_service_that_lost_it(
    database: Database, migrated_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = None
    with Valkey() as own:
        async with platform(migrated_url, own.url, tmp_path, "voice-bridge") as arguments, asyncio.timeout(60):
            while seen is None or seen.services[0].redis != "ok":
                _, seen = await status_json(capsys, *arguments)
            own.__exit__(None, None, None)
            while seen.services[0].redis == "ok":
                code, seen = await status_json(capsys, *arguments)
    assert (seen.services[0].redis, code) == ("down", 1)
    assert any("voice-bridge has no connection to Redis" in problem.sentence for problem in seen.problems)


async def test_slow_statement_comes_with_its_plan_and_the_index_that_it_lacks(
    database: Database, migrated_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await database.execute(CALLS)
    await database.execute("drop index idx_voice_calls_phone")
    for number in range(20):
        await database.fetch("select id from voice_calls where to_number = $1", f"+2507{number}")
    code, seen = await status_json(capsys)
    assert code == 1
    assert seen.database.missing_indexes == ["idx_voice_calls_phone"]
    assert any("idx_voice_calls_phone" in problem.sentence for problem in seen.problems)
    (slow,) = (slow for slow in seen.database.slow if "to_number = $1" in slow.statement)
    assert (slow.calls, slow.scanned, slow.missing) == (20, ["voice_calls"], ["idx_voice_calls_phone"])
    assert any("Seq Scan on voice_calls" in line for line in slow.plan)
    assert await status() == 1
    assert "missing: idx_voice_calls_phone" in capsys.readouterr().out


async def test_statement_of_a_service_has_its_name_and_the_plan_of_its_own_text(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """pg_stat_statements knows it without constants: no partial index could serve that text."""
    await database.execute(CALLS)
    await database.execute("select pg_stat_statements_reset()")
    (live_calls,) = (query for query in read_hot_queries([voice_bridge.QUERIES]) if query.name == "live_calls")
    await database.fetch(live_calls.text)
    _, seen = await status_json(capsys)
    (slow,) = seen.database.slow
    assert slow.name == "voice_bridge/live_calls"
    assert "'ringing'" in slow.statement
    assert (slow.scanned, slow.missing, slow.no_plan_because) == ([], [], "")
    assert any(index.startswith("idx_voice_calls_") for index in slow.indexes)


async def test_nothing_is_executed_or_changed_to_explain_a_statement(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await database.execute("insert into users (phone_number) values ('+250700000001')")
    await database.fetch("update users set status = $1 where phone_number = $2", "active", "+250700000001")
    before = await database.fetchval("select count(*) from users"), await database.fetchval("select xmin from users")
    _, seen = await status_json(capsys)
    assert any(slow.statement.startswith("update users") and slow.plan for slow in seen.database.slow)
    after = await database.fetchval("select count(*) from users"), await database.fetchval("select xmin from users")
    assert after == before


async def test_messages_that_wait_and_that_were_given_up_are_problems(
    database: Database, migrated_url: str, valkey: Valkey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await database.execute(
        "insert into whatsapp_messages (direction, from_number, to_number, message_type, created_at) "
        "values ('inbound', '+250700000001', '+250700000999', 'text', now() - interval '90 s'); "
        "insert into webhook_dlq (correlation_id, phone_number, payload, error, error_type, attempts) "
        "values ('1', '+250700000001', '{}', 'agent-core did not answer', 'timeout', 4)"
    )
    async with platform(migrated_url, valkey.url, tmp_path, "whatsapp-webhook") as arguments:
        async with asyncio.timeout(20):
            seen = None
            while seen is None or seen.queues.dead_letters != 1:
                _, seen = await status_json(capsys, *arguments)
    pages = {problem.runbook for problem in seen.problems}
    assert {"docs/runbooks/webhook-late.md", "docs/runbooks/dead-letters.md"} <= pages
    assert (seen.queues.messages_to_answer, seen.queues.messages_to_send) == (1, 0)


def test_watch_looks_again_until_ctrl_c_and_ends_with_the_state_of_the_last_look(migrated_url: str) -> None:
    with command("status", "--watch", "--json", "--seconds", "0.1", DATABASE_URL=migrated_url) as process:
        assert process.stdout is not None
        looks = [msgspec.json.decode(process.stdout.readline(), type=Status) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        code = process.wait(timeout=60)
    assert looks[0].at < looks[1].at < looks[2].at
    assert code == 1


def test_limits_are_those_of_the_alerts() -> None:
    alerts = {
        rule["alert"]: rule["expr"]
        for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    for alert, limit in LIMITS.items():
        assert re.search(rf"[<>] {limit:g}(?![\d.*])", alerts[alert]), alert


@pytest.mark.parametrize(
    ("buckets", "quantile", "expected"),
    [
        ({}, 0.95, None),
        ({0.1: 0, float("inf"): 0}, 0.95, None),
        ({0.1: 100, float("inf"): 100}, 0.95, 95.0),
        ({0.1: 90, 0.2: 100, float("inf"): 100}, 0.95, 150.0),
        ({0.1: 90, float("inf"): 100}, 0.95, 100.0),
    ],
)
def test_percentile_is_interpolated_within_its_bucket(
    buckets: dict[float, float], quantile: float, expected: float | None
) -> None:
    assert quantile_ms(buckets, quantile) == expected


def gauges(in_use: int, connected: int) -> Page:
    lines = {"process_start_time_seconds": 1, "db_pool_in_use": in_use, "db_pool_size": 8, "easymo_cache_enabled": 1}
    lines["easymo_cache_connected"] = connected
    return Page("".join(f"{name} {value}\n" for name, value in lines.items()))


def test_a_full_pool_and_a_lost_redis_are_no_problem_for_a_moment() -> None:
    moment = service_status("voice-bridge", "http://x", gauges(2, 1), gauges(8, 0), 10)
    assert (moment.pool_in_use, moment.redis) == (2, "ok")
    lasting = service_status("voice-bridge", "http://x", gauges(8, 0), gauges(8, 0), 10)
    assert (lasting.pool_in_use, lasting.redis) == (8, "down")


def page(started: int, ok: int, failed: int) -> Page:
    series = 'http_requests_total{service="voice-bridge",method="GET",route="/calls",status_code="%s"} %s\n'
    probes = 'http_requests_total{service="voice-bridge",method="GET",route="/health/live",status_code="200"} 900\n'
    return Page(series % (200, ok) + series % (503, failed) + probes + f"process_start_time_seconds {started}\n")


def test_figures_are_those_between_two_readings_without_probes() -> None:
    seen = service_status("voice-bridge", "http://x", page(1, 1000, 50), page(1, 1080, 70), 10)
    assert (seen.requests, seen.requests_rps, seen.error_ratio) == (100, 10.0, 0.2)


def test_a_process_that_was_replaced_meanwhile_has_counted_from_zero() -> None:
    seen = service_status("voice-bridge", "http://x", page(1, 1000, 50), page(2, 9, 1), 10)
    assert (seen.requests, seen.error_ratio) == (10, 0.1)
