"""The addresses that a system gets are ones that its library takes, whole and in parts."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psycopg
import pytest
import redis
import sqlalchemy
from pydantic import PostgresDsn, RedisDsn, TypeAdapter
from sqlalchemy.ext.asyncio import create_async_engine

from easymo.embedded import cache_server, database_server
from easymo.proof.errors import AcceptanceError
from easymo.proof.system.acceptance import commands_of, read_acceptance
from easymo.proof.system.addresses import cache_places, database_places, server_environment
from easymo.proof.system.commands import missing_extension
from easymo.proof.system.processes import base_environment

DATABASE = "postgresql://postgres:a0b1@127.0.0.1:25432/easymo_prove_7_x_none"
CACHE = "redis://:a0b1@127.0.0.1:26379/0"
PLACE = ("127.0.0.1", 25432, "easymo_prove_7_x_none", "postgres", "a0b1")

#: What six of fourteen libraries took apart wrongly, or refused, while addresses were those of Unix sockets.
PARSERS: dict[str, Callable[[str], tuple[object, ...]]] = {
    "sqlalchemy": lambda url: tuple(
        getattr(sqlalchemy.make_url(url), part) for part in ("host", "port", "database", "username", "password")
    ),
    "pydantic PostgresDsn": lambda url: _of_pydantic(TypeAdapter(PostgresDsn).validate_python(url)),
    "psycopg": lambda url: _of_libpq(psycopg.conninfo.conninfo_to_dict(url)),
    "urllib (django-environ, dj-database-url, Celery)": lambda url: (
        urlsplit(url).hostname,
        urlsplit(url).port,
        urlsplit(url).path[1:],
        urlsplit(url).username,
        urlsplit(url).password,
    ),
}


def _of_pydantic(dsn: PostgresDsn) -> tuple[object, ...]:
    (host,) = dsn.hosts()
    return host["host"], host["port"], (dsn.path or "")[1:], host["username"], host["password"]


def _of_libpq(parts: dict[str, Any]) -> tuple[object, ...]:
    return parts["host"], int(parts["port"]), parts["dbname"], parts["user"], parts["password"]


@pytest.mark.parametrize("library", PARSERS)
def test_a_library_reads_the_address_as_it_is_meant(library: str) -> None:
    assert PARSERS[library](DATABASE) == PLACE


def test_pydantic_and_redis_read_the_cache_address_as_it_is_meant() -> None:
    assert TypeAdapter(RedisDsn).validate_python(CACHE).password == "a0b1"
    options = redis.Redis.from_url(CACHE).connection_pool.connection_kwargs
    assert (options["host"], options["port"], options["password"]) == ("127.0.0.1", 26379, "a0b1")


async def test_every_installed_driver_connects_by_address_and_by_parts() -> None:
    with database_server(None) as server, cache_server(None) as cache:
        parts = database_places(server.url)
        connection = await asyncpg.connect(server.url)
        await connection.close()
        with psycopg.connect(server.url) as opened:
            assert opened.info.host == parts["database_host"]
        engine = create_async_engine(server.url.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.connect() as made:
            assert (await made.execute(sqlalchemy.text("select 1"))).scalar() == 1
        await engine.dispose()
        environment = server_environment(server.url, cache.url)
        program = "import psycopg; psycopg.connect('').close()"
        done = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=environment)
        assert await done.wait() == 0, "libpq finds the server by its own variables"
        found = cache_places(cache.url)
        client = redis.Redis(
            host=found["redis_host"], port=int(found["redis_port"]), password=found["redis_password"], db=0
        )
        assert client.ping()
        client.close()


@pytest.mark.parametrize(
    ("url", "host", "port", "name", "user", "password"),
    [
        (DATABASE, "127.0.0.1", "25432", "easymo_prove_7_x_none", "postgres", "a0b1"),
        ("postgres://u%40x:p%2Fw@db.example.org/a%20b?sslmode=require", "db.example.org", "5432", "a b", "u@x", "p/w"),
        ("postgresql://postgres@/db?host=/run/pg&port=5433", "/run/pg", "5433", "db", "postgres", ""),
        ("postgresql://[::1]:5/db", "::1", "5", "db", "", ""),
    ],
)
def test_an_address_is_taken_apart(url: str, host: str, port: str, name: str, user: str, password: str) -> None:
    assert list(database_places(url).values()) == [url, host, port, name, user, password]


def test_a_cache_on_a_socket_is_taken_apart() -> None:
    assert cache_places("unix:///run/valkey.sock?db=3")["redis_host"] == "/run/valkey.sock"
    assert cache_places("unix:///run/valkey.sock?db=3")["redis_name"] == "3"
    assert cache_places("rediss://host")["redis_name"] == "0"


def test_the_users_own_servers_reach_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "PGHOST", "PGSERVICE"):
        monkeypatch.setenv(name, "production")
    assert "production" not in base_environment().values()


@pytest.mark.parametrize(
    ("given", "commands"),
    [
        ([], []),
        (["alembic", "upgrade", "head"], [["alembic", "upgrade", "head"]]),
        ([["npm", "ci"], ["npm", "run", "build"]], [["npm", "ci"], ["npm", "run", "build"]]),
    ],
)
def test_one_command_or_several_may_be_given(given: list[Any], commands: list[list[str]]) -> None:
    assert commands_of(given) == commands


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["alembic upgrade head"], 'a list of words, \\["alembic", "upgrade", "head"\\]'),
        ([["alembic upgrade head"], ["x"]], "a list of words"),
        (["npm", ["ci"]], "words stand beside commands"),
        ([[]], "an empty command"),
        ([[" "]], "an empty command"),
    ],
)
def test_a_command_that_is_none_is_refused(given: list[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        commands_of(given)


BASE = """
[system]
name = "Shop"
{system}
[[system.processes]]
name = "web"
start = ["true"]
[load]
scenario = "load.py"
{rest}
"""


@pytest.mark.parametrize(
    ("system", "rest", "said"),
    [
        ('prepare = ["alembic upgrade head"]', "", "a command is a list of words"),
        ('environment = { DATABASE_URL = "postgresql://db/production" }', "", "names one database for all arms"),
        ("", '[treatments.x]\napply = ["alembic", "upgrade", "+1"]', "has no `undo`"),
        ("", '[treatments.a]\ncheckout = "x"\n[treatments.b]\ncheckout = "y"', "name a checkout each"),
        ("", "[treatments.a]\n", "changes nothing"),
        ("", '[treatments.both]\nenvironment = { A = "1" }', "cannot be named 'both'"),
        ("", '[treatments."a b"]\nenvironment = { A = "1" }', "cannot be named 'a b'"),
        ('environment = { DB = "{database_pass}" }', "", "is no part of an address"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, system: str, rest: str, said: str) -> None:
    (tmp_path / "load.py").touch()
    file = tmp_path / "acceptance.toml"
    file.write_text(BASE.format(system=system, rest=rest))
    with pytest.raises(AcceptanceError, match=said) as caught:
        read_acceptance(file)
    assert caught.value.line is not None


def test_migrations_and_treatments_are_optional(tmp_path: Path) -> None:
    (tmp_path / "load.py").touch()
    file = tmp_path / "acceptance.toml"
    file.write_text(BASE.format(system='environment = { DATABASE_URL = "x+y://{database_host}" }', rest=""))
    assert read_acceptance(file).system.migrations == []


def test_a_missing_extension_is_two_lines_with_what_to_do() -> None:
    advice = missing_extension('ERROR:  extension "postgis" is not available\nDETAIL: …').strip().splitlines()
    assert len(advice) == 2
    assert "postgis" in advice[0]
    assert "EASYMO_POSTGRES_BIN" in advice[1]
    assert missing_extension("syntax error") == ""
