"""However the process that started servers ends, neither a process nor a directory of theirs is left."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from easymo.embedded import Postgres, ServerLostError, Valkey

PARENT = Path(__file__).with_name("parent.py")
TIMEOUT_S = 60
LeftBehind = Callable[[int], list[str]]


@contextmanager
def parent(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    # Keepers inherit standard error, so that its end means that all of them have ended.
    with subprocess.Popen(
        [sys.executable, str(PARENT), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_parent_ended_at_any_moment_leaves_nothing(
    seed: int, left_behind: LeftBehind, leaked_shared_memory: Callable[[], set[str]]
) -> None:
    chance = random.Random(seed)
    number = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    lifetime_s = chance.uniform(0.0, 1.2)  # python starts, initdb, Postgres, Valkey, both in use
    print(f"seed {seed}: {number.name} after {lifetime_s:.3f} s")
    with parent() as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(lifetime_s)
        os.killpg(process.pid, number)  # the whole group, as Ctrl-C in a terminal does
        process.communicate(timeout=TIMEOUT_S)
        assert process.returncode != 0
        assert left_behind(process.pid) == []
        assert leaked_shared_memory() == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_parent_ended_in_mid_use_leaves_nothing(number: signal.Signals, left_behind: LeftBehind) -> None:
    with parent() as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        assert left_behind(process.pid), "the search must find running servers"
        process.send_signal(number)
        process.communicate(timeout=TIMEOUT_S)
        assert not Path(started["directory"]).exists()
        assert left_behind(process.pid) == []


def test_a_forked_child_that_outlives_the_parent_does_not_keep_the_servers(left_behind: LeftBehind) -> None:
    with parent("fork") as process:
        assert process.stdout is not None
        child = json.loads(process.stdout.readline())["child"]
        process.kill()
        process.communicate(timeout=TIMEOUT_S)
        os.kill(child, 0)  # it does outlive its parent
        assert left_behind(process.pid) == []


def test_ctrl_c_in_the_terminal_reaches_the_parent_alone() -> None:
    with Valkey() as valkey:
        assert valkey.pid is not None
        assert os.getsid(valkey.pid) != os.getsid(0)


def test_an_error_in_the_block_leaves_nothing() -> None:
    directories: list[Path] = []

    def use_and_fail() -> None:
        with Postgres() as postgres, Valkey() as valkey:
            directories.extend([postgres.directory, valkey.directory])
            assert all(directory.is_dir() and working_in(directory) for directory in directories)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use_and_fail()
    assert len(directories) == 2
    assert not any(directory.exists() or working_in(directory) for directory in directories)


@pytest.mark.parametrize("server", [Postgres, Valkey])
def test_a_killed_keeper_takes_its_server_along(server: type[Postgres] | type[Valkey]) -> None:
    with server() as running:
        directory, pid = running.directory, running.pid
        assert pid is not None
        os.kill(parent_of(pid), signal.SIGKILL)
    assert working_in(directory) == []
    assert not directory.exists()


def test_a_killed_postgres_is_noticed_and_leaves_nothing() -> None:
    with Postgres() as postgres:
        directory, pid = postgres.directory, postgres.pid
        assert pid is not None
        postgres.check()
        assert segments_made_by(pid), "the search must find the segment of a running server"
        os.kill(pid, signal.SIGKILL)
        while postgres.alive():
            pass
        with pytest.raises(ServerLostError, match=r"killed by SIGKILL(.|\n)*ready to accept connections"):
            postgres.check()
        assert directory.is_dir(), "the log stays readable until the block ends"
    assert not directory.exists()
    assert working_in(directory) == []
    assert segments_made_by(pid) == []


async def test_a_backend_that_outlives_its_postmaster_is_ended_too() -> None:
    """Most backends leave when their postmaster is killed; one that is stopped cannot."""
    with Postgres() as postgres:
        connection = await asyncpg.connect(postgres.url)
        backend, directory, postmaster = connection.get_server_pid(), postgres.directory, postgres.pid
        assert postmaster is not None
        os.kill(backend, signal.SIGSTOP)
        os.kill(postmaster, signal.SIGKILL)
        while postgres.alive():
            pass
        os.kill(backend, 0)  # it does outlive its postmaster
        assert str(backend) in working_in(directory)
    try:
        assert working_in(directory) == []
        assert not directory.exists()
        with pytest.raises(ProcessLookupError):
            os.kill(backend, 0)
    finally:
        with suppress(ProcessLookupError):
            os.kill(backend, signal.SIGKILL)
        connection.terminate()


def test_a_killed_valkey_is_noticed() -> None:
    with Valkey() as valkey:
        assert valkey.pid is not None
        os.kill(valkey.pid, signal.SIGKILL)
        while valkey.alive():
            pass
        with pytest.raises(ServerLostError, match="Valkey was lost while in use: it was killed by SIGKILL"):
            valkey.check()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def working_in(directory: Path) -> list[str]:
    """Processes that work in this directory, as all of a server's do; it may be removed already."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if str((process / "cwd").readlink()).startswith(str(directory)):
                found.append(process.name)
    return found


def segments_made_by(pid: int) -> list[str]:
    """System V shared memory."""
    header, *rows = (line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines())
    return [row[header.index("shmid")] for row in rows if row[header.index("cpid")] == str(pid)]
