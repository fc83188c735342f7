"""Addresses that every client library takes, extensions that migrations ask for, and binaries of the user's own."""

import hashlib
import hmac
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis

from easymo.embedded import MissingBinariesError, Postgres, StartError, Valkey, cache_server, database_server

DEBIAN_POSTGRES = Path("/usr/lib/postgresql/15/bin")
DEBIAN_REDIS = Path("/usr/bin/redis-server")


@pytest.fixture(scope="module")
def tcp_postgres() -> Iterator[str]:
    with database_server(None) as server:
        yield server.url


async def test_nobody_connects_to_the_database_without_the_password(tcp_postgres: str) -> None:
    parts = urlsplit(tcp_postgres)
    assert (parts.scheme, parts.hostname) == ("postgresql", "127.0.0.1")
    assert parts.password
    for password in (None, "wrong"):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
            await asyncpg.connect(
                host="127.0.0.1", port=parts.port, user="postgres", password=password, database="postgres"
            )
    connection = await asyncpg.connect(tcp_postgres)
    stored = await connection.fetchval("select rolpassword from pg_authid where rolname = 'postgres'")
    await connection.close()
    assert stored.startswith("SCRAM-SHA-256$")


def test_nobody_connects_to_the_cache_without_the_password() -> None:
    with cache_server(None) as server:
        assert redis.Redis.from_url(server.url).ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=urlsplit(server.url).port or 0).ping()


def test_the_password_is_in_no_command_line() -> None:
    with Postgres(port=0, password="tell-nobody") as database, Valkey(port=0, password="tell-nobody") as cache:
        assert "tell-nobody" in database.url
        assert "tell-nobody" in cache.url
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        assert not any(b"tell-nobody" in line for line in lines)


@pytest.mark.parametrize("extension", ["uuid-ossp", "pgcrypto", "pg_trgm", "citext", "vector"])
async def test_an_extension_that_migrations_ask_for_is_there(tcp_postgres: str, extension: str) -> None:
    connection = await asyncpg.connect(tcp_postgres)
    try:
        await connection.execute(f'create schema s; create extension "{extension}" schema s; drop schema s cascade')
    finally:
        await connection.close()


@pytest.mark.parametrize("name", ["", "www.example.com", "é" * 30, *("x" * length for length in (39, 40, 47, 48, 104))])
async def test_the_stand_in_for_uuid_ossp_gives_what_the_original_gives(tcp_postgres: str, name: str) -> None:
    connection = await asyncpg.connect(tcp_postgres)
    try:
        await connection.execute('create extension if not exists "uuid-ossp"')
        for version, expected in (("3", uuid.uuid3), ("5", uuid.uuid5)):
            found = await connection.fetchval(f"select uuid_generate_v{version}(uuid_ns_dns(), $1)", name)
            assert found == expected(uuid.NAMESPACE_DNS, name)
        first, second = [uuid.UUID(str(await connection.fetchval("select uuid_generate_v1()"))) for _ in range(2)]
        assert (first.version, first.variant) == (1, uuid.RFC_4122)
        assert first.time < second.time
        assert await connection.fetchval("select uuid_generate_v4() <> uuid_generate_v4()")
        comment = "select obj_description(oid, 'pg_extension') from pg_extension where extname = 'uuid-ossp'"
        assert "stand-in" in await connection.fetchval(comment)
    finally:
        await connection.close()


async def test_the_stand_in_for_pgcrypto_hashes_alike_and_refuses_what_it_cannot_do(tcp_postgres: str) -> None:
    connection = await asyncpg.connect(tcp_postgres)
    try:
        await connection.execute("create extension if not exists pgcrypto")
        for kind in ("md5", "sha224", "sha256", "sha384", "sha512"):
            assert await connection.fetchval("select digest('text', $1)", kind) == hashlib.new(kind, b"text").digest()
            for key in ("k", "k" * 200):
                found = await connection.fetchval("select hmac('text', $1, $2)", key, kind)
                assert found == hmac.new(key.encode(), b"text", kind).digest()
        assert len(await connection.fetchval("select gen_random_bytes(70)")) == 70
        with pytest.raises(asyncpg.RaiseError, match="no crypt"):
            await connection.execute("select crypt('secret', gen_salt('bf'))")
    finally:
        await connection.close()


@pytest.mark.skipif(not DEBIAN_POSTGRES.is_dir(), reason="no PostgreSQL 15 of Debian here")
async def test_postgres_of_the_users_own_serves_with_its_extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASYMO_POSTGRES_BIN", str(DEBIAN_POSTGRES))
    with database_server(None) as server:
        connection = await asyncpg.connect(server.url)
        assert connection.get_server_version().major == 15
        await connection.execute('create extension "uuid-ossp"; create extension pgcrypto')
        assert await connection.fetchval("select uuid_generate_v4() is not null")
        assert await connection.fetch("select 1 from pg_stat_statements")
        await connection.close()


@pytest.mark.skipif(not DEBIAN_REDIS.exists(), reason="no Redis of Debian here")
@pytest.mark.parametrize("place", [DEBIAN_REDIS, DEBIAN_REDIS.parent])
def test_redis_of_the_users_own_serves(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("EASYMO_VALKEY_BIN", str(place))
    with cache_server(None) as server:
        assert "valkey_version" not in redis.Redis.from_url(server.url).info("server")


def test_a_variable_that_names_no_program_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EASYMO_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(StartError, match=r"EASYMO_POSTGRES_BIN is .* where no program postgres is"):
        database_server(None).__enter__()


def test_without_the_wheel_the_servers_on_path_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in ("postgres", "valkey"):
        monkeypatch.setattr(f"easymo.embedded.{module}.installed_root", lambda _: None)
    monkeypatch.setenv("PATH", os.pathsep.join([str(DEBIAN_POSTGRES), str(DEBIAN_REDIS.parent)]))
    if DEBIAN_POSTGRES.is_dir() and DEBIAN_REDIS.exists():
        with database_server(None) as database, cache_server(None) as cache:
            assert database.alive()
            assert cache.alive()
    monkeypatch.setenv("PATH", str(tmp_path))
    for server in (Postgres(), Valkey()):
        with pytest.raises(MissingBinariesError, match=r"EASYMO_(POSTGRES|VALKEY)_BIN"):
            server.__enter__()
