"""The servers that the arms run on, with a database and a cache for each; everything is removed afterwards.

With the user's own server (``DATABASE_URL``) everything happens in scratch databases named ``easymo_prove_…``; the
database the address names is only used to log in.
"""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil

from easymo.embedded import DatabaseServer, Postgres, database_server
from easymo.proof.errors import ProofError, RunVoid
from easymo.proof.system.addresses import cache_places, database_places, server_environment
from easymo.proof.system.caches import ArmCaches
from easymo.proof.system.checkouts import Checkouts

PREFIX = "easymo_prove_"
KEEP_FREE_BYTES = 2_000_000_000


class Testbed:
    """What the arms run on. Made by :func:`open_testbed`."""

    def __init__(
        self,
        arms: list[str],
        database: DatabaseServer,
        caches: ArmCaches,
        checkouts: Checkouts,
        control: asyncpg.Connection,
    ) -> None:
        self.arms, self.database, self.caches, self.control = arms, database, caches, control
        self.checkouts = checkouts
        self.run = f"{PREFIX}{os.getpid()}_{secrets.token_hex(3)}"
        self.counts_statements = False
        #: Folder of code of each arm, and the name of the template that was filled from each folder.
        self.folders: dict[str, Path] = {}
        self.templates: dict[Path, str] = {}
        #: What belongs in the evidence.
        self.notes: list[str] = []

    def database_of(self, arm: str) -> str:
        """Name of the arm's own database."""
        return f"{self.run}_{arm}".lower()

    def environment(self, arm: str) -> dict[str, str]:
        """What tells a process of the arm where its servers are."""
        return server_environment(self.database_url(arm), self._cache_url(arm))

    def places(self, arm: str) -> dict[str, str]:
        """Placeholders for the arm's servers."""
        return database_places(self.database_url(arm)) | cache_places(self._cache_url(arm))

    def _cache_url(self, arm: str) -> str:
        return self.caches.urls.get(arm) or self.caches.urls[self.arms[0]]  # a template has none of its own

    def database_url(self, arm: str) -> str:
        """Address of the arm's own database."""
        return self.database.database_url(self.database_of(arm))

    def check(self) -> None:
        """Raise :class:`RunVoid` when one of the servers has died."""
        if not self.database.alive():
            raise RunVoid(
                "The Postgres server died in the middle of the run, which therefore says nothing. Run it again."
            )
        for arm, cache in self.caches.servers.items():
            if not cache.alive():
                raise RunVoid(f"The cache server of arm {arm!r} died in the middle of the run. Run it again.")

    async def connect(self, arm: str) -> asyncpg.Connection:
        """A connection to the arm's database, for the judge itself."""
        return await asyncpg.connect(self.database_url(arm))

    async def versions(self) -> tuple[str, str]:
        """Version of the database server and of the cache server, as they name themselves."""
        postgres = await self.control.fetchval("SHOW server_version")
        return f"PostgreSQL {postgres}", self.caches.version


@contextlib.asynccontextmanager
async def open_testbed(arms: list[str], root: Path) -> AsyncIterator[Testbed]:
    """Start the servers (or use ``DATABASE_URL`` and ``REDIS_URL``) and remove every trace at the end.

    ``root`` is the folder of the acceptance file; other revisions of its repository are checked out beside it.
    """
    with contextlib.ExitStack() as stack:
        checkouts = stack.enter_context(Checkouts(root))
        database = stack.enter_context(database_server(os.environ.get("DATABASE_URL")))
        caches = ArmCaches(stack, arms, os.environ.get("REDIS_URL"))
        _refuse_small_disk(database)
        control = await _connect(database.url)
        testbed = Testbed(arms, database, caches, checkouts, control)
        try:
            await _drop_leftovers(control)
            testbed.counts_statements = await _prepare_control(testbed)
            yield testbed
        finally:
            await asyncio.shield(_remove(testbed))


async def _connect(url: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(url, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        host = urlsplit(url).hostname or "its socket"
        raise ProofError(
            f"Cannot log in to Postgres at {host}: {error}. Check DATABASE_URL, or unset it to use the embedded server."
        ) from error


def _refuse_small_disk(database: DatabaseServer) -> None:
    if not isinstance(database, Postgres):
        return  # the disk of the user's own server cannot be seen from here
    free = psutil.disk_usage(str(database.directory)).free
    if free < KEEP_FREE_BYTES:
        raise ProofError(
            f"Only {free / 1e9:.1f} GB are free where the databases would be made and about"
            f" {KEEP_FREE_BYTES / 1e9:.1f} GB are needed. Free some space or let TMPDIR name a larger disk."
        )


async def _prepare_control(testbed: Testbed) -> bool:
    """Make the scratch database from which the arms are watched; whether statements can be counted there."""
    name = testbed.database_of("control")
    try:
        await testbed.control.execute(f'CREATE DATABASE "{name}"')
    except asyncpg.InsufficientPrivilegeError as error:
        raise ProofError(
            "The role of DATABASE_URL may not create databases, and the arms run in scratch databases of their own."
            " Grant it: ALTER ROLE … CREATEDB."
        ) from error
    await mark(testbed.control, name)
    await testbed.control.close()
    testbed.control = await _connect(testbed.database_url("control"))
    try:
        await testbed.control.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        await testbed.control.fetchval("SELECT count(*) FROM pg_stat_statements")
    except asyncpg.PostgresError:
        return False  # a server without the extension; the evidence then says null
    return True


async def mark(connection: asyncpg.Connection, database: str) -> None:
    """Say whose scratch database it is, so that a later run can remove what a killed one left."""
    await connection.execute(f"COMMENT ON DATABASE \"{database}\" IS 'easymo prove {os.getpid()} {_boot_id()}'")


async def _drop_leftovers(connection: asyncpg.Connection) -> None:
    """Drop scratch databases of runs on this machine whose process is gone."""
    rows = await connection.fetch(
        "select d.datname, s.description from pg_database d join pg_shdescription s"
        " on s.objoid = d.oid and s.classoid = 'pg_database'::regclass where d.datname like $1",
        PREFIX.replace("_", r"\_") + "%",
    )
    for row in rows:
        words = row["description"].split()
        if len(words) == 4 and words[3] == _boot_id() and not psutil.pid_exists(int(words[2])):
            await connection.execute(f'DROP DATABASE IF EXISTS "{row["datname"]}" WITH (FORCE)')


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # macOS
        return f"boot-{psutil.boot_time():.0f}"


async def _remove(testbed: Testbed) -> None:
    """Drop this run's scratch databases; a server that died takes them with it."""
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await testbed.control.close(timeout=2)
    if testbed.database.embedded:
        return  # the server's whole directory goes
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            connection = await asyncpg.connect(testbed.database.url, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            await asyncio.sleep(0.5)
            continue
        try:
            for row in await connection.fetch(
                "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", testbed.run
            ):
                await connection.execute(f'DROP DATABASE IF EXISTS "{row["datname"]}" WITH (FORCE)')
        finally:
            await connection.close()
        return
