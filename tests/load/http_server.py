"""A server of raw bytes: says exactly what a test wants to be said, also what HTTP forbids."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from easymo.load import Target

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Log:
    """What the server saw, of the last request whole, and the way to let it refuse connections from now on."""

    stop_listening: Callable[[], None] = lambda: None
    connections: int = 0
    head: str = ""
    body: str = ""
    paths: list[str] = field(default_factory=list)
    closed_at_s: list[float] = field(default_factory=list)


@asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Target, Log]]:
    """A server on a free port that lets `answer(path, writer)` reply to each request, one after the other."""
    log = Log()
    writers: set[asyncio.StreamWriter] = set()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        log.connections += 1
        writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            while not writer.is_closing():
                body = b""
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                path = head.split(" ")[1]
                for line in head.lower().split("\r\n"):
                    if line.startswith("content-length:"):
                        body = await reader.readexactly(int(line.partition(":")[2]))
                log.paths.append(path)
                log.head, log.body = head, body.decode("latin-1")
                await answer(path, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            log.closed_at_s.append(time.monotonic())
            writers.discard(writer)
            talks.discard(task)
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    log.stop_listening = server.close
    try:
        yield Target("127.0.0.1", server.sockets[0].getsockname()[1], tls=tls is not None), log
    finally:
        server.close()
        for writer in list(writers):
            writer.close()
        await asyncio.gather(*talks)
        await server.wait_closed()


async def always_ok(_: str, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


def replying(reply: bytes) -> Answer:
    """Answers everything with the same bytes."""

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)

    return answer
