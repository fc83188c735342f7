"""The embedded servers as things that break: killed and started again on their data, stopped, slow, full."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psutil

from easymo.embedded import Postgres, Valkey

_WITHIN_S = 60


class Breakable:
    """An embedded server on a TCP port, started again by the very command it was started with."""

    def __init__(self, server: Postgres | Valkey) -> None:
        assert server.pid is not None
        process = psutil.Process(server.pid)
        names = {"{directory}": str(server.directory), "{sockets}": str(server.sockets)}
        self._command = [process.exe()]
        for word in server._plan().command[1:]:  # a running Valkey has its address in place of its command line
            for name, value in names.items():
                word = word.replace(name, value)
            self._command.append(word)
        self._user = process.uids().real
        self._port = server.port
        self._pid = server.pid
        self._again: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """kill -9 of all its processes."""
        process = psutil.Process(self._pid)
        family = [process, *process.children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        self._wait(family)

    def shut_down(self) -> None:
        """The orderly end, with clients cut off (Postgres' fast shutdown)."""
        process = psutil.Process(self._pid)
        process.send_signal(signal.SIGINT)
        self._wait([process])

    def hang(self) -> None:
        """It keeps its connections and answers nothing."""
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """After :meth:`hang`."""
        os.kill(self._pid, signal.SIGCONT)

    def start(self) -> None:
        """Returns once it accepts connections."""
        self._again = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user if os.geteuid() == 0 else None,
        )
        self._pid = self._again.pid
        deadline = time.monotonic() + _WITHIN_S
        while not self.accepts():
            assert self._again.poll() is None, f"{self._command[0]} ended with {self._again.returncode}"
            assert time.monotonic() < deadline, f"{self._command[0]} did not start within {_WITHIN_S} s"
            time.sleep(0.02)

    def accepts(self) -> bool:
        """Whether somebody listens on its port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port or 0)) == 0

    def close(self) -> None:
        """End what was started here; what the embedded server has started is its own business."""
        if self._again is not None and self._again.poll() is None:
            self.kill()

    def _wait(self, family: list[psutil.Process]) -> None:
        """Until all have ended. Whoever inherited them need not have noticed."""
        if self._again is not None:
            self._again.wait(_WITHIN_S)
        deadline = time.monotonic() + _WITHIN_S
        while any(_runs(process) for process in family):
            assert time.monotonic() < deadline, f"{family} did not end within {_WITHIN_S} s"
            time.sleep(0.01)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class SlowWire:
    """A TCP proxy that holds every piece of data for ``delay_s``."""

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        self.port = 0
        self._target = port
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["SlowWire"]:
        """Accepts connections during the block."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            try:
                there, back = await asyncio.open_connection("127.0.0.1", self._target)
                ways = [
                    asyncio.ensure_future(self._pass(reader, back)),
                    asyncio.ensure_future(self._pass(there, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    back.close()
                    for way in ways:
                        way.cancel()
            finally:
                writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(data)
            await writer.drain()
