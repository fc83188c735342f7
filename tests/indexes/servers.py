"""Servers that only tests want: Debian's PostgreSQL 15 and PgBouncer, and a PostgreSQL of any version.

A missing one fails in CI, else it is a skip.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from easymo.embedded import DatabaseServer, Postgres, database_server

_BARE = "EASYMO_TESTS_BARE" in os.environ  # see tests/session/bare.py
POSTGRES_15 = Path("/nowhere" if _BARE else "/usr/lib/postgresql/15/bin")
SEARCHED = os.environ.get("PATH", "") + ("" if _BARE else ":/usr/sbin")
"""Debian keeps some servers where an ordinary user's PATH does not lead."""
GIVEN = "EASYMO_TEST_POSTGRES"
_READY_WITHIN_S = 20


def program(path: str | None, package: str) -> str:
    """The path of a program, or a failure in CI and a loud skip elsewhere."""
    if path and Path(path).exists():
        return path
    message = f"{package} is not installed, so this was not tested: apt-get install {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def postgres_15() -> Iterator[str]:
    """Address of a throw-away PostgreSQL 15 with an empty database `postgres`."""
    program(str(POSTGRES_15 / "initdb"), "postgresql-15")
    with postgres_in(POSTGRES_15) as url:
        yield url


@contextmanager
def server_to_test() -> Iterator[DatabaseServer]:
    """The embedded PostgreSQL, or the one whose programs are in the directory that EASYMO_TEST_POSTGRES names."""
    if GIVEN in os.environ:
        with postgres_in(Path(os.environ[GIVEN])) as url, database_server(url) as server:
            yield server
    else:
        with Postgres() as server:
            yield server


@contextmanager
def postgres_in(programs: Path) -> Iterator[str]:
    """Address of a throw-away server, of whatever version the programs in that directory are."""
    with cluster(programs) as serve, serve(signal.SIGQUIT) as url:
        yield url


@contextmanager
def cluster(programs: Path) -> Iterator[Callable[[signal.Signals], AbstractContextManager[str]]]:
    """A throw-away data directory; what it yields serves it, one time after the other, and ends with the signal."""
    with _folder() as folder:
        data = str(folder / "data")
        _run([str(programs / "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--locale=C.UTF-8"])
        yield partial(_postgres_on, folder, programs)


@contextmanager
def postgres_15_over_tls(certificate: Path, key: Path) -> Iterator[int]:
    """Port on this machine of a throw-away PostgreSQL 15 that takes TCP connections with TLS only, and any user."""
    initdb = program(str(POSTGRES_15 / "initdb"), "postgresql-15")
    with _folder() as folder:
        data = folder / "data"
        _run([initdb, "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "--locale=C.UTF-8"])
        (data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 trust\n")
        for name, source in (("server.crt", certificate), ("server.key", key)):
            shutil.copy(source, data / name)
            (data / name).chmod(0o600)
            if os.geteuid() == 0:
                os.chown(data / name, _user(), -1)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        command = [str(POSTGRES_15 / "postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
        command += ["-c", "ssl=on", "-c", "fsync=off", "-c", f"unix_socket_directories={folder}"]
        with _serving(command, folder / f".s.PGSQL.{port}", signal.SIGQUIT):
            _wait_until_ready(data / "postmaster.pid")
            yield port


@contextmanager
def standby_of(primary_url: str) -> Iterator[str]:
    """Address of a hot standby that streams from a `postgres_15`."""
    copy = program(str(POSTGRES_15 / "pg_basebackup"), "postgresql-15")
    with _folder() as folder:
        where = ["-d", primary_url, "-D", str(folder / "data")]
        _run([copy, *where, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
        with _postgres_on(folder, POSTGRES_15, signal.SIGQUIT) as url:
            yield url


@contextmanager
def _postgres_on(folder: Path, programs: Path, stop: signal.Signals) -> Iterator[str]:
    """Serve the cluster in `folder`/data on a socket in `folder`."""
    data = folder / "data"
    command = [str(programs / "postgres"), "-D", str(data), "-c", "listen_addresses=", "-c", "fsync=off"]
    command += ["-c", f"unix_socket_directories={folder}", "-c", "max_parallel_workers_per_gather=0"]
    command += ["-c", "shared_preload_libraries=pg_stat_statements", "-c", "shared_buffers=256MB"]
    with _serving(command, folder / ".s.PGSQL.5432", stop):
        _wait_until_ready(data / "postmaster.pid")
        yield f"postgresql://postgres@/postgres?host={folder}&port=5432"


@contextmanager
def pgbouncer(database_url: str, pool_mode: str) -> Iterator[str]:
    """Address of the same database behind a pooler with two server connections."""
    binary = program(shutil.which("pgbouncer", path=SEARCHED), "pgbouncer")
    parts = urlsplit(database_url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    owner = Path(query["host"]).stat().st_uid
    with _folder(owner) as folder:
        (folder / "users").write_text('"postgres" ""\n')
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={query['host']} port={query['port']}\n[pgbouncer]\nunix_socket_dir = {folder}\n"
            f"listen_port = 6543\npool_mode = {pool_mode}\ndefault_pool_size = 2\nauth_type = any\n"
            f"auth_file = {folder}/users\nlogfile =\npidfile =\n"
        )
        settings.write_text(settings.read_text().replace("* =", f"{parts.path[1:]} = user=postgres"))
        with _serving([binary, str(settings)], folder / ".s.PGSQL.6543", signal.SIGTERM, owner):
            yield f"postgresql://postgres@{parts.path}?host={folder}&port=6543"


@contextmanager
def _folder(owner: int | None = None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"easymo-{os.getpid()}-test-", dir="/var/tmp") as name:
        if os.geteuid() == 0:
            os.chown(name, _user() if owner is None else owner, -1)
        yield Path(name)


@contextmanager
def _serving(command: list[str], unix_socket: Path, stop: signal.Signals, owner: int | None = None) -> Iterator[None]:
    user = (_user() if owner is None else owner) if os.geteuid() == 0 else None
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user)
    try:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not _accepts(unix_socket):
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{command[0]} was not ready after {_READY_WITHIN_S} s"
        yield
    finally:
        process.send_signal(stop)
        process.wait(_READY_WITHIN_S)


def _wait_until_ready(pid_file: Path) -> None:
    """Postgres accepts connections before it serves them; the eighth line of its pid file says when it does."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while pid_file.read_text().splitlines()[7:8] not in (["ready   "], ["ready"]):
        assert time.monotonic() < deadline, f"Postgres was not ready after {_READY_WITHIN_S} s"


def _accepts(unix_socket: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(unix_socket)) == 0


def _run(command: list[str]) -> None:
    user = _user() if os.geteuid() == 0 else None
    done = subprocess.run(command, capture_output=True, text=True, check=False, user=user)
    assert done.returncode == 0, done.stderr


def _user() -> int:
    import pwd

    return pwd.getpwnam("nobody").pw_uid
