"""Servers, the seeded template database, and one clone of it per arm; nothing of it is left afterwards.

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
from easymo.indexes.sqlfile import read_statements
from easymo.proof.errors import ProofError, RunVoid
from easymo.proof.system.acceptance import Acceptance, files_of
from easymo.proof.system.caches import ArmCaches
from easymo.proof.system.processes import fill, start_process

PREFIX = "easymo_prove_"
KEEP_FREE_BYTES = 2_000_000_000


class Testbed:
    """What the arms run on. Made by :func:`open_testbed`."""

    def __init__(self, database: DatabaseServer, caches: ArmCaches, control: asyncpg.Connection) -> None:
        self.database, self.caches, self.control = database, caches, control
        self.run = f"{PREFIX}{os.getpid()}_{secrets.token_hex(3)}"
        self.counts_statements = False

    def database_of(self, arm: str) -> str:
        """Name of the arm's own database."""
        return f"{self.run}_{arm}".lower()

    def environment(self, arm: str) -> dict[str, str]:
        """``DATABASE_URL`` and ``REDIS_URL`` of the arm."""
        return {"DATABASE_URL": self.database_url(arm), "REDIS_URL": self.caches.urls[arm]}

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
async def open_testbed(arms: list[str]) -> AsyncIterator[Testbed]:
    """Start the servers (or use ``DATABASE_URL`` and ``REDIS_URL``) and remove every trace at the end."""
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(database_server(os.environ.get("DATABASE_URL")))
        caches = ArmCaches(stack, arms, os.environ.get("REDIS_URL"))
        _refuse_small_disk(database)
        control = await _connect(database.url)
        testbed = Testbed(database, caches, control)
        try:
            await _drop_leftovers(control)
            testbed.counts_statements = await _prepare_control(testbed)
            yield testbed
        finally:
            await asyncio.shield(_remove(testbed))


async def fill_template(testbed: Testbed, acceptance: Acceptance, root: Path, scale: str, log: Path) -> None:
    """Migrate and fill the template, without any treatment's files."""
    template = testbed.database_of("template")
    await testbed.control.execute(f'CREATE DATABASE "{template}"')
    await _mark(testbed.control, template)
    connection = await testbed.connect("template")
    try:
        treated = {(root / file).resolve() for t in acceptance.treatments.values() for file in t.files}
        for file in files_of(acceptance.system.migrations, root):
            if file.resolve() not in treated:
                await run_sql(connection, file, root)
    finally:
        await connection.close()
    if acceptance.system.data:
        command = fill(acceptance.system.data, scale=scale, seed=acceptance.system.seed)
        await _run_data_command(command, root, testbed.database_url("template"), log)


async def row_counts(testbed: Testbed, arm: str) -> dict[str, int]:
    """Rows per table as the planner sees them, largest table first; tables that were never analysed are left out."""
    connection = await testbed.connect(arm)
    try:
        rows = await connection.fetch(
            "SELECT c.oid::regclass::text AS name, c.reltuples::bigint AS rows FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.reltuples > 0"
            " AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY c.reltuples DESC, 1"
        )
        return {row["name"]: row["rows"] for row in rows}
    finally:
        await connection.close()


async def run_sql(connection: asyncpg.Connection, file: Path, root: Path) -> None:
    """Execute a SQL file statement by statement; raises :class:`RunVoid` naming file and line."""
    for statement in read_statements(file):
        try:
            await connection.execute(statement.text)
        except asyncpg.PostgresError as error:
            name = file.resolve().relative_to(root.resolve())
            raise RunVoid(f"{name}, line {statement.line}: Postgres refused the statement: {error}.") from error


async def clone(testbed: Testbed, arm: str) -> None:
    """Give ``arm`` a copy of the template, statistics included."""
    name = testbed.database_of(arm)
    await testbed.control.execute(f'CREATE DATABASE "{name}" TEMPLATE "{testbed.database_of("template")}"')
    await _mark(testbed.control, name)


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
    await _mark(testbed.control, name)
    await testbed.control.close()
    testbed.control = await _connect(testbed.database_url("control"))
    try:
        await testbed.control.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        await testbed.control.fetchval("SELECT count(*) FROM pg_stat_statements")
    except asyncpg.PostgresError:
        return False  # a server without the extension; the evidence then says null
    return True


async def _run_data_command(command: list[str], root: Path, url: str, log: Path) -> None:
    process = start_process(command, root, {"DATABASE_URL": url}, log)
    try:
        while process.poll() is None:  # noqa: ASYNC110 - a child has no event
            await asyncio.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        tail = log.read_text(errors="replace").splitlines()[-12:]
        lines = "\n".join(f"  | {line}" for line in tail)
        raise RunVoid(f"The data command ended with exit code {process.returncode}. Its last lines:\n{lines}")


async def _mark(connection: asyncpg.Connection, database: str) -> None:
    """Say whose scratch database it is, so that a later run can remove what a killed one left."""
    await connection.execute(f"COMMENT ON DATABASE \"{database}\" IS 'easymo prove {os.getpid()} {_boot_id()}'")


async def _drop_leftovers(connection: asyncpg.Connection) -> None:
    """Drop scratch databases of runs on this machine whose process is gone."""
    rows = await connection.fetch(
        "SELECT d.datname, s.description FROM pg_database d JOIN pg_shdescription s"
        " ON s.objoid = d.oid AND s.classoid = 'pg_database'::regclass WHERE d.datname LIKE $1",
        PREFIX.replace("_", r"\_") + "%",
    )
    for row in rows:
        words = row["description"].split()
        if len(words) == 4 and words[3] == _boot_id() and not psutil.pid_exists(int(words[2])):
            await connection.execute(f'DROP DATABASE IF EXISTS "{row["datname"]}" WITH (FORCE)')


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


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
