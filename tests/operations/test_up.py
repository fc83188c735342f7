"""`python -m easymo_platform up`."""

import signal
import socket
import subprocess
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from easymo.embedded import Postgres, Valkey
from easymo_platform.operations.serve import SERVICES
from tests.operations.processes import command, end, lines_until

pytestmark = pytest.mark.timeout(400)

LAST = "Ctrl-C"


def services_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children(recursive=True) if "serve" in child.cmdline()]


def url_of(lines: list[str], service: str) -> str:
    (url,) = (line.split()[1] for line in lines if line.startswith(service))
    return url


def test_platform_runs_on_the_users_own_servers_and_leaves_them_without_sample_data(
    database_url: str, valkey: Valkey
) -> None:
    with command("up", "--free-ports", DATABASE_URL=database_url, REDIS_URL=valkey.url) as process:
        lines = lines_until(process, LAST)
        assert f"Postgres       {database_url}" in lines
        assert f"Redis/Valkey   {valkey.url}" in lines
        for service, entry in SERVICES.items():
            url = url_of(lines, service)
            assert any(line.strip() == f"curl -i '{url}{entry.example}'" for line in lines)
            health = httpx.get(f"{url}/health").json()
            assert health["checks"] == {"postgres": "ok", "redis": "ok"}
        services = services_of(process.pid)
        code, _ = end(process)
        gone, alive = psutil.wait_procs(services, timeout=10)
    assert code == 0
    assert (len(gone), alive) == (len(SERVICES), [])
    valkey.check()


def test_environment_file_lets_another_shell_call_a_service_and_goes_with_it(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "sub" / "up.env"
    environ = {"DATABASE_URL": database_url, "REDIS_ENABLED": "false", "AUTH_DISABLED": ""}
    with command("up", "--free-ports", "--env-file", str(file), **environ) as process:
        url = url_of(lines_until(process, LAST), "voice-bridge")
        assert file.stat().st_mode & 0o077 == 0
        script = (
            f". {file}; echo $VOICE_BRIDGE_URL; python -m easymo_platform token voice-bridge voice:read; "
            "unset SERVICE_JWT_KEYS; python -m easymo_platform token voice-bridge || echo none"
        )
        printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
        address, token, without_keys = printed.splitlines()
        headers = {"authorization": f"Bearer {token}"}
        assert httpx.get(f"{url}/analytics/live-calls").status_code == 401
        assert httpx.get(f"{address}/analytics/live-calls", headers=headers).status_code == 200
        end(process)
    assert (without_keys, file.exists()) == ("none", False)


async def test_own_database_gets_the_schema_and_no_users(database_url: str) -> None:
    with command("up", "--free-ports", DATABASE_URL=database_url, REDIS_ENABLED="false") as process:
        lines = lines_until(process, LAST)
        connection = await asyncpg.connect(database_url)
        assert await connection.fetchval("select count(*) from users") == 0
        await connection.close()
        end(process)
    assert "Redis/Valkey   off (REDIS_ENABLED=false)" in lines


def test_service_that_dies_ends_everything_with_its_last_lines(database_url: str) -> None:
    with command("up", "--free-ports", DATABASE_URL=database_url, REDIS_ENABLED="false") as process:
        lines_until(process, LAST)
        services_of(process.pid)[0].kill()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    (name, *_) = SERVICES
    message = errors[errors.index(f"{name} stopped with exit code -9. Its last lines:") :]
    assert '"event":"listening"' in message


def test_services_do_not_outlive_a_killed_up(database_url: str) -> None:
    with command("up", "--free-ports", DATABASE_URL=database_url, REDIS_ENABLED="false") as process:
        lines_until(process, LAST)
        services = services_of(process.pid)
        assert services
        process.kill()
        assert psutil.wait_procs(services, timeout=20)[1] == []


def test_port_that_is_taken_is_a_sentence_before_any_server_starts() -> None:
    name, entry = next(iter(SERVICES.items()))
    try:
        taken = socket.create_server(("127.0.0.1", entry.port))
    except OSError:
        taken = None  # somebody else has it: as good
    with command("up") as process:
        output, errors = process.communicate(timeout=60)
    if taken is not None:
        taken.close()
    assert (process.returncode, output) == (1, "")
    assert errors.startswith(f"{name} cannot listen on 127.0.0.1:{entry.port}: Address already in use.")
    assert len(errors.splitlines()) == 1


def test_migrations_that_fail_end_it_with_a_sentence(postgres: Postgres) -> None:
    url = postgres.database_url("there_is_no_such_database")
    with command("up", "--free-ports", DATABASE_URL=url, REDIS_ENABLED="false") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "`migrate` failed with exit code 1" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_servers_of_its_own_come_with_sample_data_and_go_with_it(by: signal.Signals) -> None:
    with command("up", "--free-ports") as process:
        lines = lines_until(process, LAST)
        calls = httpx.get(f"{url_of(lines, 'voice-bridge')}/analytics/live-calls").json()["calls"]
        started = psutil.Process(process.pid).children(recursive=True)
        code, _ = end(process, by)
        _, alive = psutil.wait_procs(started, timeout=10)
    assert len(calls) == 15
    assert code == 0
    assert alive == []
