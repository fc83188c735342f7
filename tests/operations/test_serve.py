"""`python -m easymo_platform serve`."""

import asyncio
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from easymo.embedded import Postgres, Valkey
from tests.conftest import Database
from tests.operations.processes import address_of, command, end

WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_requests_under_way_are_answered_before_the_service_ends(
    database: Database, baseline_url: str, by: signal.Signals
) -> None:
    with command("serve", "voice-bridge", "--port", "0", DATABASE_URL=baseline_url, REDIS_ENABLED="false") as process:
        url = await asyncio.to_thread(address_of, process)
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/health/ready")).status_code == 200
            async with database.transaction():
                await database.execute("lock table voice_calls in access exclusive mode")
                under_way = asyncio.create_task(client.get("/analytics/live-calls"))
                await _until_waiting(database)
                process.send_signal(by)
                await _until_refused(url)
                assert not under_way.done()
            response = await under_way
        code, errors = await asyncio.to_thread(end, process)
    assert (response.status_code, response.json()["calls"]) == (200, [])
    assert code == 0
    assert "Traceback" not in errors


async def test_a_caller_on_this_machine_cannot_say_that_it_is_another(baseline_url: str, valkey: Valkey) -> None:
    settings = {
        "SERVICE_JWT_KEYS": "a-key-of-thirty-two-characters-or-more",
        "AUTH_DISABLED": "",
        "RATE_LIMIT_STRANGER": "1",
        "TRUSTED_PROXIES": "",
    }
    servers = {"DATABASE_URL": baseline_url, "REDIS_URL": valkey.url}
    with command("serve", "voice-bridge", "--port", "0", **servers, **settings) as process:
        url = await asyncio.to_thread(address_of, process)
        async with httpx.AsyncClient(base_url=url) as client:
            addresses = [{"x-forwarded-for": f"10.0.0.{number}"} for number in range(8)]
            answers = [await client.get("/analytics/live-calls", headers=address) for address in addresses]
        await asyncio.to_thread(end, process)
    # The first requests may come before the service has reached Redis, and are then not counted.
    assert {answer.status_code for answer in answers} == {401, 429}
    assert answers[-1].status_code == 429


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL must start with postgresql://"),
        ({"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "Cannot connect to Postgres"),
        ({"DATABASE_URL": "postgresql://127.0.0.1/x", "AUTH_DISABLED": ""}, "SERVICE_JWT_KEYS is not set"),
        ({"DATABASE_URL": "postgresql://127.0.0.1/x", "VOICE_SWEEP_INTERVAL_S": "soon"}, "VOICE_SWEEP_INTERVAL_S"),
    ],
)
def test_service_that_cannot_start_says_why_in_one_line(environ: dict[str, str], sentence: str) -> None:
    with command("serve", "voice-bridge", "--port", "0", **environ) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert sentence in errors
    assert len(errors.splitlines()) == 1


def test_port_that_is_taken_is_a_sentence(postgres: Postgres) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with command("serve", "voice-bridge", "--port", port, DATABASE_URL=postgres.url) as process:
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == (
        f"voice-bridge cannot listen on 127.0.0.1:{port}: Address already in use. "
        "Stop what uses the port, or choose another with --port.\n"
    )


@pytest.mark.parametrize("arguments", [("serve", "pizza-bridge"), ("serve",), ("dance",), ()])
def test_wrong_command_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    with command(*arguments) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "usage" in errors


@pytest.mark.parametrize(
    "arguments",
    [("--help",), *((name, "--help") for name in ("up", "serve", "token", "whatsapp", "migrate", "sample-data"))],
)
def test_help_shows_an_example(arguments: tuple[str, ...]) -> None:
    with command(*arguments) as process:
        text, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Example:" in text


def test_serving_imports_neither_the_embedded_servers_nor_the_indexes() -> None:
    """A service's image needs neither; they come in with `up` and `migrate` only."""
    code = (
        "import sys, easymo_platform.operations.serve, easymo_platform.voice_bridge.app\n"
        "found = [name for name in sys.modules if name.startswith(('easymo.embedded', 'easymo.indexes'))]\n"
        "sys.exit(', '.join(found) or None)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")


async def _until_waiting(database: Database) -> None:
    async with asyncio.timeout(10):
        while not await database.fetchval(WAITING):
            await database.execute("select pg_stat_clear_snapshot()")


async def _until_refused(url: str) -> None:
    async with asyncio.timeout(10), httpx.AsyncClient(base_url=url) as client:
        while True:
            try:
                await client.get("/health/live", headers={"Connection": "close"})
            except httpx.ConnectError:
                return
            except httpx.TransportError:
                continue  # it was still in the queue of the port that closed
