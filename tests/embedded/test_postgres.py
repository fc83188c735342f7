"""The embedded Postgres, as its users meet it."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager

import asyncpg
import pytest

from easymo.embedded import Postgres, StartError, instance
from easymo.embedded.ports import lease_port
from easymo.embedded.postgres import default_settings

MIB = 1024 * 1024
GIB = 1024 * MIB


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_every_test_gets_a_fresh_database(database_url: str) -> None:
    async with connected(database_url) as connection:
        assert await connection.fetchval("SELECT current_database()") in database_url
        tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        assert await connection.fetchval(tables) == 0


async def test_statements_of_every_database_are_seen_from_database_postgres(
    postgres: Postgres, database_url: str
) -> None:
    async with connected(database_url) as measured, connected(postgres.url) as probe:
        for _ in range(3):
            await measured.fetchval("SELECT 'counted'::text || $1", "!")
        calls = await probe.fetchval(
            "SELECT sum(calls) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
            " WHERE d.datname = $1 AND query LIKE 'SELECT $2::text || $1%'",
            await measured.fetchval("SELECT current_database()"),
        )
        assert calls == 3


async def test_text_sorts_by_code_point_and_knows_more_than_ascii(database_url: str) -> None:
    async with connected(database_url) as connection:
        ordered = await connection.fetch("SELECT t FROM unnest(ARRAY['é', 'b', 'B', 'a']) t ORDER BY t")
        assert [row["t"] for row in ordered] == ["B", "a", "b", "é"]
        assert await connection.fetchval("SELECT upper('é')") == "É"


async def test_what_measuring_needs_is_set_and_settings_of_the_caller_win() -> None:
    async with _settings(Postgres()) as shown:
        assert await shown("shared_preload_libraries") == "pg_stat_statements"
        assert await shown("synchronous_commit") == "on"
        assert await shown("full_page_writes") == "on"
        assert await shown("listen_addresses") == ""
        assert await shown("max_connections") == "200"
        assert await shown("work_mem") != "3MB"
    async with _settings(Postgres(settings={"work_mem": "3MB", "fsync": "on"})) as shown:
        assert await shown("work_mem") == "3MB"
        assert await shown("fsync") == "on"


@asynccontextmanager
async def _settings(server: Postgres) -> AsyncIterator[Callable[[str], Awaitable[object]]]:
    with server:
        async with connected(server.url) as connection:
            yield lambda name: connection.fetchval(f"SHOW {name}")


async def test_six_servers_start_at_once_and_are_apart() -> None:
    with ExitStack() as stack, ThreadPoolExecutor(6) as threads:
        servers = list(threads.map(stack.enter_context, [Postgres() for _ in range(6)]))
        for number, server in enumerate(servers):
            async with connected(server.url) as connection:
                await connection.execute(f"CREATE TABLE only_here AS SELECT {number} AS number")
        for number, server in enumerate(servers):
            async with connected(server.url) as connection:
                assert await connection.fetchval("SELECT number FROM only_here") == number


async def test_a_server_outlives_the_thread_that_started_it() -> None:
    with ExitStack() as stack:
        with ThreadPoolExecutor(1) as threads:
            server = threads.submit(stack.enter_context, Postgres()).result()
        async with connected(server.url) as connection:  # the thread has ended
            assert await connection.fetchval("SELECT 1") == 1
        server.check()


async def test_a_port_gives_an_address_for_any_client() -> None:
    with Postgres(port=0) as server:
        assert server.url == f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
        async with connected(server.url) as connection:
            assert await connection.fetchval("SELECT inet_server_port()") == server.port


def test_a_taken_port_is_a_sentence_with_the_log(taken_port: int) -> None:
    with pytest.raises(StartError) as caught, Postgres(port=taken_port):
        pass
    assert str(caught.value).startswith(
        f"Postgres could not be started: it exited with code 1 (port {taken_port}). The port is taken: choose another"
    )
    assert "Address already in use" in caught.value.log_tail


def test_a_free_port_lost_to_another_process_is_replaced(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    free = lease_port()

    class Lost(socket.socket):
        """A lease on a port that another process took meanwhile."""

        def getsockname(self) -> tuple[str, int]:
            return "127.0.0.1", taken_port

    leases = iter([Lost(), free])
    monkeypatch.setattr(instance, "lease_port", lambda: next(leases))
    with Postgres(port=0) as server:
        assert server.port == free.getsockname()[1]


def test_no_port_is_leased_twice_and_none_that_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        leased = [stack.enter_context(lease_port()).getsockname()[1] for _ in range(50)]
        assert len({*leased, listener.getsockname()[1]}) == 51


def test_a_setting_that_postgres_refuses_is_a_sentence_with_the_log() -> None:
    with (
        pytest.raises(StartError, match='invalid value for parameter "work_mem"'),
        Postgres(settings={"work_mem": "lots"}),
    ):
        pass


def test_a_server_that_is_stopped_says_so(postgres: Postgres) -> None:
    assert postgres.alive()
    assert not Postgres().alive()


@pytest.mark.parametrize(
    ("memory", "shared_buffers", "work_mem"),
    [(256 * MIB, "64MB", "4MB"), (4 * GIB, "1024MB", "5MB"), (256 * GIB, "2048MB", "32MB")],
)
def test_memory_settings_follow_the_machine_within_bounds(memory: int, shared_buffers: str, work_mem: str) -> None:
    settings = default_settings(memory, 8)
    assert settings["shared_buffers"] == shared_buffers
    assert settings["work_mem"] == work_mem


def test_parallel_query_is_off_only_where_it_would_take_the_generators_core() -> None:
    assert default_settings(4 * GIB, 2)["max_parallel_workers_per_gather"] == "0"
    assert "max_parallel_workers_per_gather" not in default_settings(4 * GIB, 8)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
