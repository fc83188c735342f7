"""A proxy before a real server: it refuses, closes, delays or leads elsewhere, as it is told to."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import hiredis


class Proxy:
    """`refuse` maps commands to error replies; `close_at` names commands at which it hangs up; `delay_s` is one way."""

    def __init__(
        self, target: str, refuse: dict[str, str] | None = None, close_at: tuple[str, ...] = (), delay_s: float = 0.0
    ) -> None:
        self.target = target
        self.refuse = refuse or {}
        self.close_at = close_at
        self.delay_s = delay_s
        self.seen: list[tuple[bytes, ...]] = []
        self.speaks = asyncio.Event()
        self.speaks.set()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = urlsplit(self.target)
        if place.scheme == "unix":
            back_reader, back_writer = await asyncio.open_unix_connection(place.path)
        else:
            back_reader, back_writer = await asyncio.open_connection(place.hostname, place.port)
        replies: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._spawn(self._back(back_reader, replies))
        self._spawn(self._out(replies, writer))
        commands = hiredis.Reader()
        try:
            while data := await reader.read(65536):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    name = command[0].decode().upper()
                    self.seen.append(tuple(command))
                    if name in self.close_at:
                        return
                    if name in self.refuse:
                        await asyncio.sleep(0.01)  # the answers before it come first
                        replies.put_nowait((time.monotonic() + self.delay_s, f"-{self.refuse[name]}\r\n".encode()))
                    else:
                        await asyncio.sleep(0)
                        back_writer.write(hiredis.pack_command(tuple(command)))
        finally:
            writer.close()
            back_writer.close()

    async def _back(self, reader: asyncio.StreamReader, replies: asyncio.Queue[tuple[float, bytes]]) -> None:
        while data := await reader.read(65536):
            replies.put_nowait((time.monotonic() + self.delay_s, data))

    async def _out(self, replies: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due_at, data = await replies.get()
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            await self.speaks.wait()
            writer.write(data)

    def _spawn(self, work: Any) -> None:
        self._tasks.add(asyncio.create_task(work))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        handlers: set[asyncio.Task[Any]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            handlers.add(task)
            with suppress(ConnectionError, OSError):
                await self.serve(reader, writer)

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in (*self._tasks, *handlers):
                task.cancel()
            await asyncio.gather(*self._tasks, *handlers, return_exceptions=True)
