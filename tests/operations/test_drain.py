"""How a service leaves: it says so, goes on answering for a while, and ends without cutting a connection in use."""

import asyncio
import signal

import httpx
import pytest

from tests.operations.processes import address_of, command, end


@pytest.fixture
def service_environment(baseline_url: str) -> dict[str, str]:
    return {"DATABASE_URL": baseline_url, "REDIS_ENABLED": "false"}


async def test_service_says_that_it_leaves_and_still_answers_until_the_delay_is_over(
    service_environment: dict[str, str],
) -> None:
    with command("serve", "voice-bridge", "--port", "0", SHUTDOWN_DELAY_S="60", **service_environment) as process:
        url = await asyncio.to_thread(address_of, process)
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            before = await client.get("/analytics/live-calls")
            process.send_signal(signal.SIGTERM)
            ready = await _until_not_ready(client)
            during = await client.get("/analytics/live-calls")
            alive = await client.get("/health/live")
        code, errors = await asyncio.to_thread(end, process)  # a second SIGTERM skips what is left of the delay
    assert "connection" not in before.headers
    assert (ready.json()["error"], ready.headers["connection"]) == ("draining", "close")
    assert (during.status_code, during.headers["connection"]) == (200, "close")
    assert alive.status_code == 200
    assert (code, "Traceback" in errors) == (0, False)


async def test_service_ends_by_itself_once_the_delay_is_over(service_environment: dict[str, str]) -> None:
    with command("serve", "voice-bridge", "--port", "0", SHUTDOWN_DELAY_S="0.2", **service_environment) as process:
        url = await asyncio.to_thread(address_of, process)
        async with httpx.AsyncClient(base_url=url) as idle:
            assert (await idle.get("/health/live")).status_code == 200
            code, errors = await asyncio.to_thread(end, process)
    assert (code, "Traceback" in errors) == (0, False)


async def test_ctrl_c_does_not_wait_for_the_delay(service_environment: dict[str, str]) -> None:
    with command("serve", "voice-bridge", "--port", "0", SHUTDOWN_DELAY_S="600", **service_environment) as process:
        await asyncio.to_thread(address_of, process)
        code, _ = await asyncio.to_thread(end, process, signal.SIGINT)
    assert code == 0


async def test_service_says_where_it_listens_whatever_the_log_level(service_environment: dict[str, str]) -> None:
    """Whoever started it waits for that line."""
    with command("serve", "voice-bridge", "--port", "0", LOG_LEVEL="error", **service_environment) as process:
        assert (await asyncio.to_thread(address_of, process)).startswith("http://127.0.0.1:")
        assert (await asyncio.to_thread(end, process))[0] == 0


async def _until_not_ready(client: httpx.AsyncClient) -> httpx.Response:
    async with asyncio.timeout(30):
        while (answer := await client.get("/health/ready")).status_code == 200:
            pass
    return answer
