"""The embedded Valkey, as its users meet it."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from redis.asyncio import Redis

from easymo.embedded import StartError, Valkey

MIB = 1024 * 1024


async def test_a_full_cache_evicts_old_keys_and_goes_on_taking_writes() -> None:
    with Valkey(maxmemory_bytes=8 * MIB) as valkey:
        async with Redis.from_url(valkey.url) as client:
            pipeline = client.pipeline(transaction=False)
            for number in range(20_000):
                pipeline.set(f"key:{number}", "x" * 1024)
            await pipeline.execute()
            assert (await client.info("memory"))["maxmemory"] == 8 * MIB
            assert (await client.info("stats"))["evicted_keys"] > 10_000
            assert await client.exists("key:19999")
            # Which keys go cannot be seen here: the server's clock of last use counts in seconds.
            assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}


async def test_nothing_is_written_to_disk(valkey: Valkey) -> None:
    async with Redis.from_url(valkey.url) as client:
        persistence = await client.info("persistence")
        assert persistence["aof_enabled"] == 0
        assert await client.config_get("save") == {"save": ""}


def test_a_tracked_key_that_is_written_invalidates_the_reader(valkey: Valkey) -> None:
    with socket.socket(socket.AF_UNIX) as reader, socket.socket(socket.AF_UNIX) as writer:
        for client in (reader, writer):
            client.settimeout(10)
            client.connect(valkey.url.removeprefix("unix://"))
        with reader.makefile("rwb") as stream:
            stream.write(b"HELLO 3\r\nCLIENT TRACKING ON\r\nGET tracked\r\n")
            stream.flush()
            while stream.readline() != b"_\r\n":  # the key is not there
                pass
            writer.sendall(b"SET tracked 1\r\n")
            pushed = [stream.readline() for _ in range(6)]
        assert pushed == [b">2\r\n", b"$10\r\n", b"invalidate\r\n", b"*1\r\n", b"$7\r\n", b"tracked\r\n"]


async def test_six_caches_start_at_once_on_ports_of_their_own() -> None:
    with ExitStack() as stack, ThreadPoolExecutor(6) as threads:
        caches = list(threads.map(stack.enter_context, [Valkey(port=0) for _ in range(6)]))
        assert len({cache.url for cache in caches}) == 6
        for cache in caches:
            async with Redis.from_url(cache.url) as client:
                assert (await client.info("server"))["tcp_port"] == cache.port
                assert (await client.info("server"))["process_id"] == cache.pid


async def test_settings_of_the_caller_win() -> None:
    with Valkey(settings={"maxmemory-policy": "noeviction"}) as valkey:
        async with Redis.from_url(valkey.url) as client:
            assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_setting_that_valkey_refuses_is_a_sentence_with_the_log() -> None:
    with pytest.raises(StartError, match=r"Valkey could not be started: it exited with code 1.*\n(.|\n)*maxmemory"):
        Valkey(settings={"maxmemory": "lots"}).__enter__()
