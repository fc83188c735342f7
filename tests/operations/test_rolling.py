"""`python -m easymo_platform restart`: the services of a running `up` replaced one by one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from easymo.embedded import Valkey
from easymo_platform.operations.credentials import read_environment_file
from easymo_platform.operations.local.control import CONTROL
from easymo_platform.operations.serve import SERVICES
from tests.operations.processes import command, end, lines_until

pytestmark = pytest.mark.timeout(400)

Platform = tuple["subprocess.Popen[str]", dict[str, str]]


@contextmanager
def platform(folder: Path, **environ: str) -> Iterator[Platform]:
    """An `up` on free ports, and what it hands over to other shells."""
    file = folder / "up.env"
    with command("up", "--free-ports", "--env-file", str(file), **environ) as process:
        lines_until(process, "Ctrl-C")
        yield process, read_environment_file(file)
        assert process.poll() is None, "it must have survived what was done to its services"
        assert end(process)[0] == 0


def services_of(process: "subprocess.Popen[str]") -> dict[str, int]:
    """Process id by service."""
    children = psutil.Process(process.pid).children(recursive=True)
    lines = [(child.pid, child.cmdline()) for child in children]
    return {line[line.index("serve") + 1]: pid for pid, line in lines if "serve" in line}


def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    with command(*arguments, **environ) as process:
        output, errors = process.communicate(timeout=180)
    return process.returncode, output, errors


@pytest.mark.slow
def test_restart_replaces_processes_behind_the_same_addresses_and_keeps_what_was_set(
    database_url: str, valkey: Valkey, tmp_path: Path
) -> None:
    with platform(tmp_path, DATABASE_URL=database_url, REDIS_URL=valkey.url) as (process, handed_over):
        health = f"{handed_over['VOICE_BRIDGE_URL']}/health"
        before = services_of(process)
        assert httpx.get(health, timeout=60).json()["checks"]["redis"] == "ok"
        code, output, _ = run("restart", "voice-bridge", "--set", "REDIS_ENABLED=false", **handed_over)
        assert (code, output.splitlines()[0].split(":")[0]) == (0, "voice-bridge")
        after = services_of(process)
        assert httpx.get(health, timeout=60).json()["checks"]["redis"] == "off"
        assert {name for name in SERVICES if before[name] != after[name]} == {"voice-bridge"}
        assert run("restart", "voice-bridge", **handed_over)[0] == 0
        assert httpx.get(health, timeout=60).json()["checks"]["redis"] == "off"


@pytest.mark.slow
def test_new_process_that_cannot_start_leaves_the_old_one_serving(database_url: str, tmp_path: Path) -> None:
    with platform(tmp_path, DATABASE_URL=database_url, REDIS_ENABLED="false") as (process, handed_over):
        before = services_of(process)
        code, _, errors = run("restart", "agent-core", "--set", "LOG_LEVEL=loud", **handed_over)
        assert code == 1
        assert "The restart was not completed: agent-core stopped with exit code 1." in errors
        assert services_of(process) == before
        assert httpx.get(f"{handed_over['AGENT_CORE_URL']}/health/ready", timeout=60).status_code == 200
        assert run("restart", "agent-core", **handed_over)[0] == 0, "the setting that failed is forgotten"


def test_restart_without_a_platform_is_a_sentence(tmp_path: Path) -> None:
    code, _, errors = run("restart", **{CONTROL: str(tmp_path / "nobody")})
    assert (code, errors) == (1, "No platform runs here: start it with `python -m easymo_platform up`.\n")


def test_restart_of_an_unknown_service_is_a_usage_error() -> None:
    code, _, errors = run("restart", "pizza-bridge")
    assert code == 2
    assert "there is no service 'pizza-bridge'" in errors
