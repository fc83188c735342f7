"""Each service can do what its statements do, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

import easymo_platform
from easymo.embedded import Postgres, Valkey
from easymo_platform.operations.errors import OperationError
from easymo_platform.operations.migrate import main, migrate
from easymo_platform.operations.roles import ROLES, apply_roles
from easymo_platform.runtime.statements import Statement, read_statements
from tests.security.roles import SERVICES, as_user, package, role
from tests.whatsapp_webhook import client as whatsapp
from tests.whatsapp_webhook.outside import agent_core

Connection = asyncpg.Connection
ROOT = Path(__file__).parents[2]
PLATFORM = Path(easymo_platform.__file__).parent
GRANTED = """
select c.relname as table, null as column, a.privilege_type as right
from pg_class c, aclexplode(c.relacl) a where a.grantee = $1::regrole
union all
select c.relname, t.attname, a.privilege_type
from pg_attribute t join pg_class c on c.oid = t.attrelid, aclexplode(t.attacl) a where a.grantee = $1::regrole
"""
TABLES = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"


def statements(service: str) -> dict[str, Statement]:
    return read_statements(PLATFORM / package(service) / "queries.sql")


@asynccontextmanager
async def undone(connection: Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def refused(owner: Connection, service: str, statement: Statement) -> bool:
    """Whether the service may not run it. EXPLAIN checks every right and runs nothing."""
    async with undone(owner):
        await owner.execute(f"set local role {role(service)}")
        try:
            await owner.execute(f"explain (generic_plan) {statement.text}")
        except asyncpg.InsufficientPrivilegeError:
            return True
        return False


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_may_run_every_statement_of_its_own(owner: Connection, service: str) -> None:
    assert [name for name, text in statements(service).items() if await refused(owner, service, text)] == []


@pytest.mark.parametrize("service", SERVICES)
async def test_without_any_one_of_its_rights_a_service_could_not_do_its_work(owner: Connection, service: str) -> None:
    granted = await owner.fetch(GRANTED, role(service))
    assert granted
    needless = []
    for right in granted:
        column = f" ({right['column']})" if right["column"] else ""
        async with undone(owner):
            await owner.execute(f"revoke {right['right']}{column} on {right['table']} from {role(service)}")
            if not any([await refused(owner, service, text) for text in statements(service).values()]):
                needless.append(tuple(right))
    assert needless == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_reads_no_table_that_its_statements_do_not_name(
    owner: Connection, users: dict[str, str], service: str
) -> None:
    tables = {row["relname"] for row in await owner.fetch(TABLES)}
    named = " ".join(statement.text for statement in statements(service).values())
    foreign = {table for table in tables if table not in named}
    assert len(foreign) >= 8
    connection = await asyncpg.connect(users[service])
    for table in foreign:
        for statement in (f"select from {table}", f"insert into {table} default values"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_deletes_and_truncates_nothing(owner: Connection, users: dict[str, str], service: str) -> None:
    connection = await asyncpg.connect(users[service])
    for row in await owner.fetch(TABLES):
        for statement in (f"delete from {row['relname']}", f"truncate {row['relname']} cascade"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    await connection.close()


FORBIDDEN = {
    "make a table": "create table loot (a int)",
    "make a schema": "create schema loot",
    "change a table": "alter table users add column loot text",
    "drop a table": "drop table voice_calls, render_jobs cascade",
    "drop an index": "drop index idx_users_phone_status",
    "open a table to everybody": "grant select on users to public",
    "switch the policies off": "alter table users disable row level security",
    "make a role": "create role loot login",
    "become the owner": "set role postgres",
    "become another service": "set role easymo_service_of_nobody",
    "read password hashes": "select rolpassword from pg_authid",
    "read a file of the server": "select pg_read_file('postgresql.conf')",
    "run a program": "copy (select 1) to program 'true'",
    "read the history of migrations": "select from supabase_migrations.schema_migrations",
    "end another's connection": "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'",
}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_changes_no_schema_takes_no_role_and_reads_no_secret(
    users: dict[str, str], service: str
) -> None:
    other = next(role(name) for name in SERVICES if name != service)
    connection = await asyncpg.connect(users[service])
    for deed, statement in FORBIDDEN.items():
        try:
            await connection.execute(statement.replace("easymo_service_of_nobody", other))
        except asyncpg.InsufficientPrivilegeError:
            continue
        pytest.fail(f"{service} can {deed}")
    await connection.close()


async def test_voice_bridge_counts_messages_without_reading_them(users: dict[str, str]) -> None:
    connection = await asyncpg.connect(users["voice-bridge"])
    assert await connection.fetchval("select count(created_at) from whatsapp_messages") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("select body from whatsapp_messages")
    await connection.close()


async def test_whoever_is_no_service_sees_no_row(owner: Connection, guarded: str) -> None:
    """Supabase's public key reaches roles like this one: they hold rights on every table, and no policy is theirs."""
    await owner.execute("insert into users (phone_number) values ('+250700000077')")
    await owner.execute("create role stranger login; grant select on all tables in schema public to stranger")
    stranger = await asyncpg.connect(as_user(guarded, "stranger"))
    assert await stranger.fetch("select * from users") == []
    await stranger.close()


async def test_a_message_is_answered_by_services_that_have_their_own_rights_only(
    owner: Connection, users: dict[str, str], valkey: Valkey
) -> None:
    """The webhook, its worker and agent-core; each operation of the APIs runs so in tests/e2e/test_openapi.py."""
    environ = {
        "REDIS_URL": valkey.url,
        "DATABASE_POOL_SIZE": "2",
        "AUTH_DISABLED": "true",
        "SERVICE_JWT_KEYS": "key-of-the-tests-of-the-roles-0123456",
        "WHATSAPP_APP_SECRET": whatsapp.SECRET,
        "WHATSAPP_VERIFY_TOKEN": whatsapp.VERIFY,
    }
    async with agent_core(environ, DATABASE_URL=users["agent-core"]) as agent_url:
        environ |= {"DATABASE_URL": users["whatsapp-webhook"], "AGENT_CORE_URL": agent_url}
        async with whatsapp.webhook(environ) as client, whatsapp.worker(environ):
            await whatsapp.deliver(client, whatsapp.text("I need a moto"))

            async def answered() -> bool:
                sent = "select count(*) from whatsapp_messages where direction = 'outbound' and status <> 'pending'"
                return bool(await owner.fetchval(sent))

            await whatsapp.until(answered, within_s=30)
    assert await owner.fetchval("select count(*) from whatsapp_messages where status = 'processed'") == 1


async def test_applying_twice_changes_nothing_and_takes_away_what_the_file_does_not_name(
    owner: Connection, guarded: str
) -> None:
    before = {service: set(await owner.fetch(GRANTED, role(service))) for service in SERVICES}
    await owner.execute("grant delete on users to easymo_agent_core")
    assert await apply_roles(guarded) == []
    assert {service: set(await owner.fetch(GRANTED, role(service))) for service in SERVICES} == before


def test_the_file_holds_no_password_and_no_role_can_log_in() -> None:
    text = ROLES.read_text()
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    assert "password" not in code.lower()
    assert code.count("create role") == code.count("nologin") == 1


def test_neither_a_migration_nor_the_proof_makes_a_role() -> None:
    """Roles outlive the databases of a proof, on whoever's server it runs."""
    files = [*(ROOT / "supabase" / "migrations").glob("*.sql"), ROOT / "acceptance.toml"]
    assert [file.name for file in files if "--roles" in file.read_text() or "create role" in file.read_text()] == []


async def test_migrate_makes_roles_only_when_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    with Postgres() as server:
        roles = "select count(*) from pg_roles where rolname like 'easymo%'"

        async def count() -> int:
            connection = await asyncpg.connect(server.url)
            found: int = await connection.fetchval(roles)
            await connection.close()
            return found

        with pytest.raises(OperationError, match="Apply the migrations first"):
            await apply_roles(server.url)
        assert await count() == 0
        await migrate(server.url)
        assert await count() == 0
        assert await asyncio.to_thread(main, ["--dry-run", "--roles", "--database-url", server.url]) == 0
        assert await count() == 0
        assert await asyncio.to_thread(main, ["--roles", "--database-url", server.url]) == 0
        assert await count() == len(SERVICES) + 1
        said = capsys.readouterr().out
        assert "roles.sql: would be applied" in said
        assert "roles.sql: applied; new roles: easymo_agent_core, easymo_service" in said
