"""The user's own server or an embedded one, behind the same interface."""

import asyncpg
import pytest

from easymo.embedded import (
    AddressError,
    Postgres,
    ServerLostError,
    Valkey,
    cache_server,
    database_server,
)


async def test_an_address_is_used_as_it_is_and_left_running(postgres: Postgres, database_url: str) -> None:
    with database_server(database_url) as server:
        assert server.url == database_url
        assert not server.embedded
        assert server.pid is None
        assert server.alive()
        connection = await asyncpg.connect(server.database_url("postgres"))
        assert await connection.fetchval("SELECT current_database()") == "postgres"
        await connection.close()
    assert postgres.alive()


@pytest.mark.parametrize("address", [None, ""])
def test_no_address_starts_an_embedded_server_for_the_block(address: str | None) -> None:
    with database_server(address) as database, cache_server(address) as cache:
        assert database.embedded
        assert cache.embedded
        assert database.alive()
        assert cache.alive()
        assert isinstance(database.pid, int)
    assert not database.alive()
    assert not cache.alive()


def test_a_users_server_that_is_gone_is_noticed() -> None:
    with (
        Valkey(port=0) as valkey,
        Postgres() as postgres,
        cache_server(valkey.url) as cache,
        database_server(postgres.url) as database,
    ):
        cache.check()
        database.check()
    for server in (cache, database):
        assert not server.alive()
        with pytest.raises(ServerLostError, match=r"The server at .* was lost while in use: it accepts no connection"):
            server.check()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            "postgresql://u:p%40@db.example:6543/app?sslmode=require",
            "postgresql://u:p%40@db.example:6543/a%20b?sslmode=require",
        ),
        ("postgres://db.example", "postgres://db.example/a%20b"),
        ("postgresql:///app?host=/run/pg&dbname=app", "postgresql:///a%20b?host=%2Frun%2Fpg"),
    ],
)
def test_another_database_of_a_users_server_keeps_the_rest_of_the_address(address: str, expected: str) -> None:
    with database_server(address) as server:
        assert server.database_url("a b") == expected


@pytest.mark.parametrize("address", ["mysql://u:secret@localhost/app", "postgresql://u:secret@localhost:many/app"])
def test_an_address_that_cannot_be_used_is_a_sentence_without_the_password(address: str) -> None:
    with pytest.raises(AddressError, match=r"Write it as postgresql://… or postgres://…") as caught:
        database_server(address)
    assert "secret" not in str(caught.value)
    with pytest.raises(AddressError, match=r"Write it as redis://… or rediss://… or unix://…"):
        cache_server(address)
