"""Clients that hold a connection without keeping up are cut off, by a real server on a real socket."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from easymo_platform.runtime.connections import HEAD_MAX_BYTES, BoundedProtocol

REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LARGE_BYTES = 64 * 1024 * 1024
GIVEN_UP_S = 30
"""Without the protocol nobody would be cut at all, so this only ends a test that has failed."""


class Impatient(BoundedProtocol):
    head_limit_s = 1.0
    stall_limit_s = 0.4


async def app(scope: Any, receive: Any, send: Any) -> None:
    """`/` answers at once, `/slow` later than a head may take, `/large` with more than any buffer holds."""
    if scope["path"] == "/slow":
        await asyncio.sleep(1.5)
    body = bytes(LARGE_BYTES if scope["path"] == "/large" else 2)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def server() -> AsyncIterator[uvicorn.Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=Impatient, ws="none", lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        config.host, config.port = listener.getsockname()
        try:
            yield server
        finally:
            server.should_exit = True
            await task


@pytest.fixture
def address(server: uvicorn.Server) -> tuple[str, int]:
    return server.config.host, server.config.port


@asynccontextmanager
async def connected(address: tuple[str, int]) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        async with asyncio.timeout(GIVEN_UP_S):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def drip_until_cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, drop: bytes) -> bytes:
    """Send a drop again and again, which buys no time; what the server had said when it hung up."""
    said = asyncio.create_task(read_to_the_end(reader))
    with contextlib.suppress(OSError):
        while not said.done():
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.05)
    return await said


async def read_to_the_end(reader: asyncio.StreamReader) -> bytes:
    said = b""
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            said += piece
    return said


async def test_a_client_that_says_nothing_is_cut(address: tuple[str, int]) -> None:
    async with connected(address) as (reader, _):
        assert await read_to_the_end(reader) == b""


async def test_a_head_that_comes_byte_by_byte_is_cut(address: tuple[str, int]) -> None:
    async with connected(address) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nx-slow: ")
        assert await drip_until_cut(reader, writer, b"a") == b""


async def test_the_second_request_of_a_connection_has_the_same_limit(address: tuple[str, int]) -> None:
    async with connected(address) as (reader, writer):
        writer.write(REQUEST + b"GET / HT")
        said = await drip_until_cut(reader, writer, b"T")
    assert said.startswith(b"HTTP/1.1 200")


async def test_a_route_may_take_longer_than_a_head_and_the_connection_is_kept(address: tuple[str, int]) -> None:
    async with connected(address) as (reader, writer):
        for path in (b"/slow", b"/"):
            writer.write(REQUEST.replace(b"/ ", path + b" ", 1))
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)


async def test_a_head_without_an_end_is_refused(address: tuple[str, int]) -> None:
    async with connected(address) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nx-long: " + b"a" * HEAD_MAX_BYTES)
        assert b"head of the request is too large" in await read_to_the_end(reader)


async def test_a_body_that_goes_on_after_the_answer_is_cut(address: tuple[str, int]) -> None:
    async with connected(address) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        said = await drip_until_cut(reader, writer, b"1\r\na\r\n")
    assert said.startswith(b"HTTP/1.1 200")


async def test_a_body_that_ends_after_the_answer_leaves_a_usable_connection(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Impatient, "head_limit_s", GIVEN_UP_S)
    async with connected(address) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\na")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        writer.write(b"bc" + REQUEST)
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")


async def test_a_client_that_does_not_take_its_answer_is_cut(server: uvicorn.Server, address: tuple[str, int]) -> None:
    async with asyncio.timeout(GIVEN_UP_S):
        with socket.create_connection(address) as client:
            client.sendall(REQUEST.replace(b"/ ", b"/large ", 1))
            for held in (True, False):  # the kernel does not tell a client that takes nothing
                while bool(server.server_state.connections) is not held:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
